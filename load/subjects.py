"""The pages that `browser.py` loads: one page, and in its head nothing, our script, or another's, set up as it asks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

SETUP = Path(__file__).resolve().parent / "others"
_TEXT = "<p>" + "Some text of a page about bicycles and the roads along the river. " * 12 + "</p>"
PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<title>A page</title><link rel="icon" href="data:,">{head}</head>'
    "<body><main><h1>A page</h1>{text}</main></body></html>"
)


@dataclass(frozen=True)
class Subject:
    """One thing to measure. `head` is what its documentation puts into a page; `package` is npm's name of it."""

    key: str
    name: str
    head: str
    package: str = ""
    file: str = ""


def _script(path: str, kind: str = "defer") -> str:
    return f'<script src="{path}" {kind}></script>'


def _sheet(path: str) -> str:
    return f'<link rel="stylesheet" href="{path}">'


def _dist(key: str, path: str) -> str:
    return f"/others/{key}/package/{path}"


SUBJECTS = (
    Subject("bare", "bare page", ""),
    Subject("floor", "two requests and their elements", _script("/setup/floor.js")),
    Subject("ours", "Consent Gateway", _script("/_cg/site.js")),
    Subject("more", "Consent Gateway with its extras", _script("/_cg/site.js") + _script("/_cg/more.js")),
    Subject(
        "vanilla-cookieconsent",
        "vanilla-cookieconsent",
        _sheet(_dist("vanilla-cookieconsent", "dist/cookieconsent.css"))
        + _script(_dist("vanilla-cookieconsent", "dist/cookieconsent.umd.js"))
        + _script("/setup/vanilla-cookieconsent.js"),
        "vanilla-cookieconsent",
    ),
    Subject(
        "klaro",
        "Klaro",
        _script("/setup/klaro.js") + _script(_dist("klaro", "dist/klaro.js")),
        "klaro",
    ),
    Subject(
        "tarteaucitron",
        "tarteaucitron",
        _script(_dist("tarteaucitron", "tarteaucitron.min.js"), "") + _script("/setup/tarteaucitron.js", ""),
        "tarteaucitronjs",
    ),
    Subject(
        "cookieconsent",
        "Osano cookieconsent",
        _sheet(_dist("cookieconsent", "build/cookieconsent.min.css"))
        + _script(_dist("cookieconsent", "build/cookieconsent.min.js"))
        + _script("/setup/cookieconsent.js"),
        "cookieconsent",
    ),
    Subject(
        "plausible",
        "Plausible's script",
        _script("/setup/plausible.js", 'type="module"'),
        "@plausible-analytics/tracker",
    ),
)


def with_file(name: str, file: str) -> Subject:
    """One more, of which only a script is at hand."""
    attributes = 'defer data-website-id="1" data-host-url="/others/sink" data-goatcounter="/others/sink"'
    return Subject(name, name, _script(f"/others/{name}/script.js", attributes), file=file)


async def page(request: Request) -> Response:
    known = request.app.state.heads
    key = request.path_params["key"]
    if key not in known:
        head = with_file(key, "").head if (Path(os.environ["OTHERS"]) / key / "script.js").exists() else None
        if head is None:
            raise HTTPException(404)
        known[key] = head
    return HTMLResponse(PAGE.format(head=known[key], text=_TEXT * 6))


async def sink(request: Request) -> Response:
    return Response(status_code=202)


def site() -> ASGIApp:
    """All pages behind one gateway, so that no subject has another server."""
    from consent_gateway import ConsentGateway

    others = Path(os.environ["OTHERS"])
    others.mkdir(exist_ok=True)
    app = Starlette(
        routes=[
            Route("/others/sink", sink, methods=["GET", "POST"]),
            Route("/others/sink/{rest:path}", sink, methods=["GET", "POST"]),
            Mount("/others", StaticFiles(directory=others)),
            Mount("/setup", StaticFiles(directory=SETUP)),
            Route("/{key}", page),
        ]
    )
    app.state.heads = {subject.key: subject.head for subject in SUBJECTS}
    return ConsentGateway(app)
