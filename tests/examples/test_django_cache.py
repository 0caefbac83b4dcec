"""Django's own cache of the site keeps no answer for which the consent was asked."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

from consent_gateway.edge.middleware import SeenConsent
from consent_gateway.rule.consent import UNKNOWN, Consent, Status

GIVEN = Consent(Status.GIVEN, frozenset({"analytics"}), consent_id="AbCdEfGhIjKlMnOpQrStUv", policy_version="1")


def test_the_sites_cache_leaves_it_out() -> None:
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    def asking(request: Any, number: int) -> Any:
        return HttpResponse(str(request.scope["consent"].permits("analytics")))

    def plain(request: HttpRequest) -> Any:
        plain_answers.append(1)
        return HttpResponse("for all")

    plain_answers: list[int] = []
    urls: Any = ModuleType("urls")
    urls.urlpatterns = [path("asking/<int:number>", asking), path("plain", plain)]
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=urls,
        USE_I18N=False,
        MIDDLEWARE=[
            "django.middleware.cache.UpdateCacheMiddleware",
            "consent_gateway.django.tell_route",
            "django.middleware.cache.FetchFromCacheMiddleware",
        ],
    )
    site = get_asgi_application()

    def get(target: str, consent: Consent) -> tuple[bytes, dict[str, Any]]:
        scope = {
            "type": "http", "method": "GET", "path": target, "query_string": b"", "headers": [(b"host", b"x")],
            "consent": SeenConsent(consent),
        }  # fmt: skip
        sent: list[Any] = []
        body = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if not body:
                await asyncio.sleep(60)
            return body.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(site(scope, receive, send))
        return sent[1]["body"], scope

    assert [get("/plain", UNKNOWN)[0] for _ in range(2)] == [b"for all", b"for all"]
    assert len(plain_answers) == 1, "the cache is on"
    assert [get("/asking/1", consent)[0] for consent in (GIVEN, UNKNOWN, GIVEN)] == [b"True", b"False", b"True"]
    assert get("/asking/2", GIVEN)[1]["cg.route"] == "/asking/<int:number>"
