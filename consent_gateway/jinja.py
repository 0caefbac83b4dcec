"""For templates of Jinja (Starlette, FastAPI, Litestar; for Quart see `consent_gateway.quart`).

    from consent_gateway.jinja import add_to

    templates = Jinja2Templates(directory="templates")
    add_to(templates.env)

Then a template knows `{{ script_tag() }}` for its head, `{% if permits("marketing") %}` and `{{ privacy_url() }}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .edge import script, template

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.runtime import Context


def add_to(environment: Environment, *, prefix: str = "/_cg") -> None:
    """Give an environment these functions. They look at the `request` of the template's context, and find the gateway
    also behind a root path; `prefix` is the setting PREFIX."""
    from jinja2 import pass_context

    @pass_context
    def permits(context: Context, purpose: str) -> bool:
        """May data of this visitor be used for this purpose? Asking makes the response private to them."""
        return template.permits(_scope(context), purpose)

    @pass_context
    def script_tag(context: Context, **options: Any) -> script.Tag:
        """The tag for a page's head; the options are those of `consent_gateway.script_tag`."""
        return script.script_tag(template.base(_scope(context), prefix), **options)

    @pass_context
    def privacy_url(context: Context) -> str:
        """Where the privacy page is, for a link at the foot of each page."""
        return f"{template.base(_scope(context), prefix)}/privacy"

    environment.globals.update(permits=permits, script_tag=script_tag, privacy_url=privacy_url)


def _scope(context: Context) -> Mapping[str, Any]:
    request = context.get("request")
    scope: Mapping[str, Any] = getattr(request, "scope", None) or {}
    return scope
