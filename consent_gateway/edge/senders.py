"""Which tokens may send events. The back office knows them; the edge asks it, and remembers what it heard for a while.

So a token that is revoked may send for `_SECONDS` more, and a flood of wrong ones costs the back office a few questions
at a time. Only digests are remembered.
"""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from ..record import office
from ..rule.errors import OfficeError

_SECONDS = 30.0
_MOST_KNOWN = 1000
_MOST_ASKING = 4  # threads of the site that may wait for the back office
_ASK_SECONDS = 5.0


class Senders:
    """What one worker knows of tokens."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._known: dict[bytes, tuple[bool, float]] = {}
        self._asking = 0

    def remembers(self, authorization: str) -> bool:
        """Was the back office asked about the token in this header a moment ago?"""
        return time.monotonic() < self._known.get(_digest(authorization), (False, 0.0))[1]

    async def knows(self, authorization: str) -> bool | None:
        """Is the token in this header one of scope `events`? `None` when nobody can say now."""
        digest = _digest(authorization)
        may, until = self._known.get(digest, (False, 0.0))
        if time.monotonic() < until:
            return may
        if self._asking >= _MOST_ASKING:
            return None
        self._asking += 1
        try:
            status, _, _ = await run_in_threadpool(
                office.call,
                self._data_dir,
                "GET",
                "/public/sender",
                headers={"Authorization": authorization},
                timeout=_ASK_SECONDS,
            )
        except (OfficeError, OSError, ValueError):
            return None
        finally:
            self._asking -= 1
        if status not in (204, 401):
            return None
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[digest] = status == 204, time.monotonic() + _SECONDS
        return status == 204


def _digest(authorization: str) -> bytes:
    return sha256(authorization.encode("utf-8", "surrogatepass")).digest()
