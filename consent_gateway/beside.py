"""The gateway beside a site that is no Python program: its own routes alone, for a proxy that passes `/_cg` to it.

`consent-gateway serve --listen 127.0.0.1:8700` runs it. It knows nothing of the site's pages: the page's script counts
them, or their access log does (`replay --follow`).
"""

from __future__ import annotations

from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from .app import ConsentGateway
from .edge.wire import problem
from .rule.errors import ConfigError

_END_SECONDS = 5


def app() -> ConsentGateway:
    """What each worker serves; its settings come from the environment."""
    return ConsentGateway(Starlette(exception_handlers={404: _nothing}))


async def _nothing(request: Request, error: Exception) -> Response:
    return problem(404, "Only the gateway's own routes are here; the site is elsewhere.")


def run(listen: str, workers: int) -> None:
    """Serve until a signal comes. `listen` is HOST:PORT, or unix:PATH."""
    uvicorn.run(
        f"{__name__}:app",
        factory=True,
        workers=workers,
        proxy_headers=False,  # whom to believe is TRUSTED_PROXIES' matter
        server_header=False,
        access_log=False,  # the proxy has one
        timeout_graceful_shutdown=_END_SECONDS,
        **where(listen),
    )


def where(listen: str) -> dict[str, Any]:
    """What uvicorn is told of it."""
    if listen.startswith("unix:") and listen != "unix:":
        return {"uds": listen.removeprefix("unix:")}
    host, colon, port = listen.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"--listen is {listen!r}: allowed are HOST:PORT, such as 127.0.0.1:8700, and unix:PATH")
    return {"host": host.strip("[]") or "0.0.0.0", "port": int(port)}
