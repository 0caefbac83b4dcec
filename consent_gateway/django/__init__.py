"""For Django under ASGI: a template tag library, a context processor, and a middleware that tells the URL pattern.

    INSTALLED_APPS = [..., "consent_gateway.django"]                       # {% load consent_gateway %}
    MIDDLEWARE = ["consent_gateway.django.tell_route", ...]                # page views name their URL pattern
    TEMPLATES = [{..., "OPTIONS": {"context_processors": [..., "consent_gateway.django.consent"]}}]

    application = ConsentGateway(get_asgi_application())                   # in asgi.py

Nothing here is imported by the rest of the package, and this file imports no Django: the parts that need it do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def consent(request: Any) -> dict[str, Any]:
    """The context processor: `{{ consent.status }}`, `{% if consent.objection %}`. Asking it anything makes the
    response private to this visitor; that it is there does not. None without the gateway: templates show nothing."""
    return {"consent": getattr(request, "scope", {}).get("consent")}


def tell_route(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The middleware: when a view has answered, its URL pattern stands in the scope, where the gateway reads it.

    An answer for which the consent was asked is made private here already: so Django's cache of the site leaves it out.
    """
    from asgiref.sync import iscoroutinefunction

    if not iscoroutinefunction(get_response):

        def answer(request: Any) -> Any:
            response = get_response(request)
            _tell(request, response)
            return response

        return answer

    async def answer_async(request: Any) -> Any:
        response = await get_response(request)
        _tell(request, response)
        return response

    return answer_async


def _tell(request: Any, response: Any) -> None:
    match, scope = request.resolver_match, getattr(request, "scope", {})
    if match is not None:
        scope["cg.route"] = "/" + match.route.removeprefix("^").removesuffix("$")
    if getattr(scope.get("consent"), "was_read", False):
        from django.utils.cache import patch_cache_control

        patch_cache_control(response, private=True)


# what django.utils.decorators.sync_and_async_middleware says: no thread is needed either way
tell_route.sync_capable = tell_route.async_capable = True  # type: ignore[attr-defined]
