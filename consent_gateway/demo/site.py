"""The demo's web site: a few pages of an ordinary small company, with the gateway mounted as any site mounts it.

Every page has the script's tag in its head: that is the banner. The members' page shows the one line that a site writes
to ask what it may do: `scope["consent"].permits("analytics")`. Nothing that a visitor sends is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from consent_gateway import script_tag

from .articles import ARTICLES, BY_SLUG

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from consent_gateway import Settings

HERE = Path(__file__).parent
FORM_LIMIT = 16_384  # bytes of a contact form that are read before it is refused
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


templates = Jinja2Templates(directory=HERE / "templates")
templates.env.filters["day"] = _day
templates.env.globals.update(script_tag=script_tag, prefix="/_cg")


def page(request: Request, name: str, context: Mapping[str, Any] | None = None, status: int = 200) -> Response:
    return templates.TemplateResponse(request, name, dict(context or {}), status_code=status, headers=PAGE_HEADERS)


async def home(request: Request) -> Response:
    return page(request, "home.html", {"articles": ARTICLES[:3]})


async def workshop(request: Request) -> Response:
    return page(request, "workshop.html")


async def articles(request: Request) -> Response:
    return page(request, "articles.html", {"articles": ARTICLES})


async def article(request: Request) -> Response:
    found = BY_SLUG.get(request.path_params["slug"])
    if found is None:
        raise HTTPException(404)
    others = [other for other in ARTICLES if other is not found][:2]
    return page(request, f"articles/{found.slug}.html", {"article": found, "others": others})


async def contact(request: Request) -> Response:
    if request.method != "POST":
        return page(request, "contact.html", {"form": {}, "missing": []})
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT:
            raise HTTPException(413)
    try:
        sent = parse_qs(body.decode(errors="replace"), max_num_fields=20)
    except ValueError:
        raise HTTPException(400) from None
    form = {name: sent.get(name, [""])[0].strip() for name in ("name", "email", "message")}
    missing = [name for name, value in form.items() if not value]
    if missing:
        return page(request, "contact.html", {"form": form, "missing": missing}, status=422)
    return page(request, "thanks.html", {"name": form["name"]})


async def members(request: Request) -> Response:
    known = "consent" in request.scope and request.scope["consent"].permits("analytics")
    seen = request.client.host if request.client else ""
    return page(request, "members.html", {"known": known, "address": seen, "articles": ARTICLES[:3]})


async def choice(request: Request) -> Response:
    return page(request, "choice.html")


async def robots(request: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /members\n")


async def trouble(request: Request, error: Exception) -> Response:
    """Any refusal (404 and its like) as a page of the site."""
    assert isinstance(error, HTTPException)
    response = page(request, "trouble.html", {"status": error.status_code}, status=error.status_code)
    response.headers.update(error.headers or {})
    return response


def create_site() -> Starlette:
    """The site alone, as it was before its owner mounted the gateway."""
    return Starlette(
        routes=[
            Route("/", home),
            Route("/workshop", workshop),
            Route("/articles", articles),
            Route("/articles/{slug}", article),
            Route("/contact", contact, methods=["GET", "POST"]),
            Route("/members", members),
            Route("/choice", choice),
            Route("/robots.txt", robots),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        exception_handlers={HTTPException: trouble},
    )


def site(settings: Settings | None = None) -> ASGIApp:
    """The site with the gateway mounted; the settings come from the environment when none are given."""
    from consent_gateway import ConsentGateway

    if settings is not None:
        templates.env.globals["prefix"] = settings.PREFIX
    app = create_site()
    app.add_middleware(ConsentGateway, settings=settings)
    return app
