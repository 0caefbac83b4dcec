"""A small site to test with, and the factories that mount the gateway on it (named in `Site(..., app=…)`)."""

from __future__ import annotations

import os
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Scope
from starlette.websockets import WebSocket

PAGE = "<!doctype html><html lang=en><title>{0}</title><h1>{0}</h1></html>"


def seen(connection: HTTPConnection) -> dict[str, Any]:
    """What the site can see of a request. `scope` is everything, as Python prints it."""
    consent = connection.scope.get("consent")
    return {
        "client": list(connection.scope["client"] or []),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in connection.scope["headers"]],
        "status": consent.status if consent else None,
        "analytics": consent.permits("analytics") if consent else None,
        "objection": consent.objection if consent else None,
        "pid": os.getpid(),
        "scope": {name: repr(value) for name, value in connection.scope.items()},
    }


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE.format("A page"))


async def cached(request: Request) -> Response:
    return HTMLResponse(PAGE.format("For all"), headers={"Cache-Control": "public, max-age=60"})


async def members(request: Request) -> Response:
    return HTMLResponse(PAGE.format("Yes" if request.scope["consent"].permits("analytics") else "No"))


async def echo(request: Request) -> Response:
    return JSONResponse(seen(request))


async def data(request: Request) -> Response:
    return JSONResponse({"answer": 42})


async def style(request: Request) -> Response:
    return PlainTextResponse("body { margin: 0 }", media_type="text/css")


async def boom(request: Request) -> Response:
    raise RuntimeError("the site's own fault")


async def echo_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(seen(socket))
    await socket.close()


async def refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return HTMLResponse(PAGE.format("Not here"), error.status_code)


def bare() -> Starlette:
    """The site without the gateway: pages (`/`, anything below `/page/` and `/any/`), and one of each other kind."""
    return Starlette(
        routes=[
            Route("/", page),
            Route("/page/{slug}", page),
            Route("/any/{rest:path}", page),
            Mount("/mounted/{tenant}", routes=[Route("/page", page)]),
            Route("/cached", cached),
            Route("/members", members),
            Route("/echo", echo, methods=["GET", "POST"]),
            Route("/json", data),
            Route("/style.css", style),
            Route("/boom", boom),
            WebSocketRoute("/ws", echo_socket),
        ],
        exception_handlers={HTTPException: refusal},
    )


def site() -> ASGIApp:
    """The site with the gateway around it, its settings from the environment."""
    from consent_gateway import ConsentGateway

    return ConsentGateway(bare())


def added() -> ASGIApp:
    """The same, mounted as a framework's middleware."""
    from consent_gateway import ConsentGateway

    app = bare()
    app.add_middleware(ConsentGateway)
    return app


def guarded() -> ASGIApp:
    """The site with its own sign-in, which here is a header: whom it names may read, and `boom` is its fault."""
    from consent_gateway import ConsentGateway

    async def who(scope: Scope) -> Any:
        told = dict(scope["headers"]).get(b"x-signed-in", b"").decode()
        if told == "boom":
            raise RuntimeError("the site's own fault")
        return {"": None, "yes": True}.get(told, told)

    return ConsentGateway(bare(), authorize=who)
