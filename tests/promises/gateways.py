"""Sites for the canary tests: a watched one, one whose gateway is broken on purpose, one whose gateway fails.

What is patched here is patched in the worker's own process, by the factory that uvicorn calls.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consent_gateway import ConsentGateway
from consent_gateway.edge import arrival, middleware, recorder
from consent_gateway.enrich import campaign, path
from consent_gateway.record import cookie, keys
from consent_gateway.rule import address, privacy
from tests.sites import bare, echo


def leak(request: Request) -> Response:
    """A site that puts what it sees wherever it can: below SCRUB_EXCEPT that is the address itself."""
    text = request.headers["X-Forwarded-For"]
    print(f"printed {text}")
    print(f"printed as an error {text}", file=sys.stderr)
    logging.getLogger("consent_gateway").error("logged %s", text)
    handle, _ = tempfile.mkstemp()
    os.write(handle, text.encode())
    os.close(handle)
    Path("kept").write_text(text)
    raise RuntimeError(f"raised {text}")


def watched() -> ASGIApp:
    """The site, with two pages more for SCRUB_EXCEPT=/own."""
    site = bare()
    site.router.routes += [Route("/own/echo", echo), Route("/own/leak", leak)]
    return ConsentGateway(site)


def broken() -> ASGIApp:
    """The gateway with its privacy taken out: truncation, encryption and scrubbing of texts. The canaries must sing."""

    def untruncated(packed: bytes, prefixes: address.Prefixes) -> bytes:
        return packed

    def unencrypted(self: keys.Keys, text: str, received_at: int) -> str:
        return text

    def unscrubbed(text: str, *_: Any) -> str:
        return text

    replace(address, "truncate", untruncated)
    replace(arrival, "truncate", untruncated)
    replace(keys.Keys, "encrypt_address", unencrypted)
    replace(path, "scrub_path", unscrubbed)
    replace(path, "scrub_text", unscrubbed)
    replace(campaign, "scrub_text", unscrubbed)
    return watched()


def failing() -> ASGIApp:
    """The gateway with faults that a request calls by name (`X-Fault`), each with a message that holds an address."""

    def fail_where(owner: Any, name: str, is_meant: Callable[..., str]) -> None:
        """Raise what `is_meant` returns of the arguments, if anything."""
        function = getattr(owner, name)

        def failing(*arguments: Any, **options: Any) -> Any:
            if text := is_meant(*arguments):
                raise type(f"{owner.__name__}.{name}", (ValueError,), {})(text)  # each a kind of its own for the log
            return function(*arguments, **options)

        replace(owner, name, failing)

    def raw(seen: Any) -> str:
        return f"{address.to_text(seen.sender.address)} {seen.sender.user_agent}"

    def named(scope: Any, fault: bytes) -> str:
        return repr(scope) if (b"x-fault", fault) in scope["headers"] else ""

    fail_where(arrival.Desk, "read", lambda desk, scope: named(scope, b"read"))
    fail_where(arrival.Desk, "scrub", lambda desk, scope, seen: named(scope, b"scrub"))
    fail_where(cookie.Cookies, "read", lambda cookies, header, *_: header if "fault=cookies" in header else "")
    fail_where(privacy, "_common", lambda rule, seen, before: raw(seen) if "fault-judge" in raw(seen) else "")
    fail_where(recorder.Recorder, "record", lambda of, seen, *_: raw(seen[0]) if "fault-rec" in raw(seen[0]) else "")
    fail_where(middleware, "page_type", lambda method, status, path, html: path if "fault-answer" in path else "")
    return watched()


def replace(owner: Any, name: str, value: Any) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, value)
