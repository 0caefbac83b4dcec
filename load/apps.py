"""The applications that are measured: bare ones to compare with, and the gateway. Each runs as `apps.py NAME --fd N`.

All of them run under the same uvicorn with uvloop and httptools, one process, no access log, no proxy headers (the
gateway reads them itself). The listening socket is inherited, so several processes can share it.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import uvicorn  # noqa: E402

EVENTS = "/_cg/events"
PAGE = (
    b"<!doctype html><html lang=en><title>A page</title><h1>A page</h1><p>" + b"Some text of a page. " * 60 + b"</html>"
)
_HTML = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(PAGE)).encode())]
_NO_STORE = [(b"cache-control", b"no-store")]


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The floor: reads the body, answers 204 to a POST and a page to anything else."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    if scope["method"] != "POST":
        await send({"type": "http.response.start", "status": 200, "headers": list(_HTML)})
        await send({"type": "http.response.body", "body": PAGE})
        return
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 204, "headers": list(_NO_STORE)})
    await send({"type": "http.response.body"})


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def bare_app() -> Any:
    return bare


def starlette_app() -> Any:
    """An empty route that reads the body."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def take(request: Request) -> Response:
        await request.body()
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    return Starlette(routes=[Route(EVENTS, take, methods=["POST"])])


def fastapi_app() -> Any:
    """An empty route whose body is a pydantic model: the gateway's own definition of an event."""
    from fastapi import FastAPI, Response

    from consent_gateway.edge.wire import WireEvent

    app = FastAPI()

    async def take(event: Any) -> Any:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    take.__annotations__ = {"event": WireEvent}
    app.post(EVENTS)(take)
    return app


def gateway_app() -> Any:
    """The gateway around the bare application, its settings from the environment."""
    from consent_gateway import ConsentGateway

    return ConsentGateway(bare)


def floor_app() -> Any:
    """The same stages in a straight line around the bare application, and nothing that makes them a product."""
    from load.floor import Floor

    floor = Floor(bare, "a secret of at least thirty-two characters")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (_live(receive, send) if scope["type"] == "lifespan" else floor(scope, receive, send))

    return app


APPS: dict[str, Callable[[], Any]] = {
    "bare": bare_app,
    "starlette": starlette_app,
    "fastapi": fastapi_app,
    "floor": floor_app,
    "gateway": gateway_app,
}


def serve(app: Any, fd: int) -> None:
    """Serve on an inherited socket until SIGTERM."""
    listener = socket.socket(fileno=fd)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", ws="none", access_log=False, log_level="warning", proxy_headers=False,
        server_header=False, lifespan="on", timeout_graceful_shutdown=2,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(APPS))
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    serve(APPS[options.name](), options.fd)


if __name__ == "__main__":
    main()
