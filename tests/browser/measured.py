"""A site whose pages carry the script, of each kind that the measurement must tell apart; and what came of a visit.

The back office is left out, so that what was recorded stays in the spool and can be read while the site runs.
"""

from __future__ import annotations

import json
import time
from typing import Any

from playwright.sync_api import Page
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consent_gateway.record.spool import Spool, read_lines
from tests.running import Site, wait_for

PAGE = """<!doctype html><html lang="en"><head><title>{name}</title><link rel="icon" href="data:,">
<script src="/_cg/site.js" defer></script>{head}</head><body style="margin:0"><h1>{name}</h1>
<p><a id="next" href="/page/next">Next</a> <a id="out" href="https://elsewhere.invalid/a/b?secret=1">Out</a>
<a id="file" href="/files/price-list.pdf?for=me">File</a></p>
<form id="contact" method="post" action="/form"><input name="mail" value="ann@example.com"><button>Send</button></form>
<div style="height:4000px"></div></body></html>"""
_MORE = '<script src="/_cg/more.js" defer></script>'
_AHEAD = '<script type="speculationrules">{{"{kind}":[{{"urls":["/any/{name}"],"eagerness":"immediate"}}]}}</script>'
_CACHES = {"cached": "public, max-age=600", "kept": "private, max-age=600", "never": "no-store", "any": "no-cache"}


async def page(request: Request) -> Response:
    """`/page/x`, with the extras as `/page/x?more`; `/cached/x` and others say how a cache may keep them; `/prefetch/x`
    and `/prerender/x` load `/any/x` ahead of a visit to it."""
    kind, name = request.path_params["kind"], request.path_params["name"]
    if kind not in ("page", "prefetch", "prerender", *_CACHES):
        raise HTTPException(404)
    head = _AHEAD.format(kind=kind, name=name) if kind in ("prefetch", "prerender") else ""
    if "more" in request.query_params:
        head += _MORE
    told = {"Cache-Control": _CACHES[kind]} if kind in _CACHES else {}
    return HTMLResponse(PAGE.format(name=name, head=head), headers=told)


async def form(request: Request) -> Response:
    return HTMLResponse(PAGE.format(name="form", head=""))


async def file(request: Request) -> Response:
    return Response(b"%PDF-", media_type="application/pdf", headers={"Content-Disposition": "attachment"})


async def missing(request: Request, error: Exception) -> Response:
    return HTMLResponse(PAGE.format(name="missing", head=_MORE), 404)


def site() -> ASGIApp:
    """The site with the gateway around it, its settings from the environment."""
    from consent_gateway import ConsentGateway

    routes = [Route("/form", form, methods=["POST"]), Route("/files/{name}", file), Route("/{kind}/{name}", page)]
    return ConsentGateway(Starlette(routes=routes, exception_handlers={404: missing}))


def recorded(site: Site, path: str = "", type: str = "") -> list[dict[str, Any]]:
    """The rows in the spool, in their order; of one path and of one type if these are given."""
    spool = Spool(site.data_dir)
    rows = [json.loads(line) for segment in spool.segments(spool.open) for line in read_lines(segment)[0]]
    chosen = [row for row in rows if path in ("", row.get("path")) and type in ("", row["type"])]
    return sorted(chosen, key=lambda row: str(row["at"]))


def wait_for_rows(site: Site, count: int, path: str = "", type: str = "") -> list[dict[str, Any]]:
    """At least so many of them."""
    wait_for(f"{count} {type or 'rows'} of {path}", lambda: len(recorded(site, path, type)) >= count)
    return recorded(site, path, type)


def arrive(page: Page, url: str) -> None:
    """Open a page, and wait until its script knows that it may send: a quiet network is no sign of that."""
    page.goto(url, wait_until="networkidle")
    page.wait_for_function("window.cg?.permits('measurement')")


def leave(page: Page, site: Site, name: str) -> None:
    """Go on to another page, and wait until it is recorded. What the page before sent has most likely arrived, too:
    what must not come has had its time; what must come is waited for all the same."""
    page.goto(f"{site.url}/page/after-{name}", wait_until="networkidle")
    wait_for_rows(site, 1, f"/page/after-{name}")


def within_a_day() -> None:
    """At midnight a visitor becomes another: what compares two visits does not begin just before."""
    left = 86_400 - time.time() % 86_400
    if left < 60:
        time.sleep(left)


def by_server(row: dict[str, Any]) -> bool:
    return "http_status" in row
