"""Sites that can go wrong: each factory is named in `Site(..., app="tests.faults.sites:…")`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests import sites

SLOW_FILE = "slow"  # in TMPDIR: how many seconds each write of a segment takes


def site() -> ASGIApp:
    """Each answer names the process that gave it."""
    inner = sites.site()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-pid", str(os.getpid()).encode()))
            await send(message)

        await inner(scope, receive, sending)

    return app


def slow_disk() -> ASGIApp:
    """While the file `slow` is there, the disk takes that long for each write of events."""
    from consent_gateway.record import spool

    mark = Path(os.environ["TMPDIR"]) / SLOW_FILE
    write = spool._Segment.write

    def slowly(self: Any, lines: list[bytes]) -> int:
        if mark.exists():
            time.sleep(float(mark.read_text()))
        return write(self, lines)

    spool._Segment.write = slowly  # type: ignore[method-assign]
    return site()


def no_lifespan() -> ASGIApp:
    """The gateway around an application that knows no lifespan, and says so by raising."""
    from consent_gateway import ConsentGateway

    bare = sites.bare()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] != "lifespan"
        await bare(scope, receive, send)

    return ConsentGateway(app)
