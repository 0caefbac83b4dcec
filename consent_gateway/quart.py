"""For Quart.

    from consent_gateway import ConsentGateway
    from consent_gateway.quart import add_to

    app = Quart(__name__)
    add_to(app)
    app.asgi_app = ConsentGateway(app.asgi_app)

Templates know `script_tag()`, `permits("marketing")` and `privacy_url()`, and page views name the rule of their URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import jinja

if TYPE_CHECKING:
    from quart import Quart


def add_to(app: Quart, *, prefix: str = "/_cg") -> None:
    """Give the app's templates the functions of `consent_gateway.jinja`, and each request's scope its URL rule."""
    from quart import request

    jinja.add_to(app.jinja_env, prefix=prefix)

    async def tell_route() -> None:
        if request.url_rule is not None:
            request.scope["cg.route"] = request.url_rule.rule

    app.before_request(tell_route)
