"""A Chromium that is driven over a pipe, with nothing of the DevTools protocol switched on that isn't asked for.

Drivers switch the network's inspection on; each `fetch` then takes a stack trace, for which the script is parsed again,
and a script that asks its server looks several times as slow as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from base64 import b64decode
from typing import Any, Self

from load.running import Trouble

_ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--remote-debugging-pipe", "about:blank",
]  # fmt: skip
_SECONDS = 60.0


class Chromium:
    """The browser; `with` ends it."""

    def __init__(self, path: str) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def connect() -> None:  # the protocol's pipes are 3 and 4
            given = os.dup(to_read), os.dup(to_write)
            os.dup2(given[0], 3)
            os.dup2(given[1], 4)

        self._process = subprocess.Popen(
            [path, f"--user-data-dir={self._profile.name}", *_ARGUMENTS], preexec_fn=connect, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._left = b""
        self._events: list[dict[str, Any]] = []
        self._last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """One command; its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise Trouble(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            self._events.append(answer)

    def wait_for(self, method: str, **having: Any) -> dict[str, Any]:
        """The next event of this name with these parameters, also one that came before."""
        while True:
            for event in self._events:
                if event.get("method") == method and having.items() <= event["params"].items():
                    self._events.remove(event)
                    return dict(event["params"])
            self._events.append(self._next())

    def evaluate(self, session: str, expression: str) -> Any:
        """The value of an expression, of a promise what it resolves to."""
        found = self.call("Runtime.evaluate", session, expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise Trouble(f"in the page: {found['exceptionDetails'].get('text')}")
        return found["result"].get("value")

    def trace(self, categories: list[str]) -> None:
        self._events.clear()
        self.call("Tracing.start", transferMode="ReturnAsStream", traceConfig={"includedCategories": categories})

    def traced(self) -> list[dict[str, Any]]:
        """End the trace; its events."""
        self.call("Tracing.end")
        stream = self.wait_for("Tracing.tracingComplete")["stream"]
        parts: list[bytes] = []
        while True:
            part = self.call("IO.read", handle=stream)
            parts.append(b64decode(part["data"]) if part.get("base64Encoded") else part["data"].encode())
            if part["eof"]:
                return list(json.loads(b"".join(parts))["traceEvents"])

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + _SECONDS
        while b"\0" not in self._left:
            read = os.read(self._read, 1 << 20)
            if not read or time.monotonic() > until:
                raise Trouble("chromium does not answer")
            self._left += read
        message, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(message))
