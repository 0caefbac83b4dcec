"""Who signed in, read or exported what, and when: lines of JSON in `DATA_DIR/audit/`, appended, never changed.

A line says the report, the days and the site, and how many filters were set, but no filter's value, no network and no
browser: it is about those who read, not about visitors. Files are turned at a megabyte, and the oldest goes when there
are sixteen.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from .sessions import Person

_FILE = "audit.jsonl"
_MOST_BYTES = 1024 * 1024
_MOST_FILES = 16
_AGAIN_SECONDS = 600.0  # the same person reading the same again within it is one line: the live view asks all the time
_MOST_REMEMBERED = 1000


class Audit:
    """Writes and reads the log. `most_bytes` is what a file may hold."""

    def __init__(self, data_dir: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._folder = data_dir / "audit"
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, ...], float] = {}

    def note(self, person: Person | None, did: str, what: str = "") -> None:
        """`did` is one of: signed in, signed in by a link, was refused, signed out, read, exported."""
        who, how = (person.name, person.how) if person else ("", "")
        now = time.monotonic()
        with self._lock:
            key = (who, how, did, what)
            if did == "read" and now - self._seen.get(key, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
                return
            if len(self._seen) >= _MOST_REMEMBERED:
                self._seen.clear()
            self._seen[key] = now
            line = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "who": who,
                "role": str(person.role) if person else "",
                "how": how,
                "did": did,
                "what": what,
            }
            self._append(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def read(self) -> Iterator[dict[str, str]]:
        """All lines that are kept, the oldest first."""
        for path in [*sorted(self._folder.glob("audit-*.jsonl"), key=_number), self._folder / _FILE]:
            with suppress(FileNotFoundError):
                for line in path.read_text(encoding="utf-8").splitlines():
                    with suppress(ValueError):  # the end of a line that a crash cut short
                        yield json.loads(line)

    def _append(self, line: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / _FILE
        with suppress(FileNotFoundError):
            if path.stat().st_size + len(line) > self._most_bytes:
                self._turn(path)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)

    def _turn(self, path: Path) -> None:
        old = sorted(self._folder.glob("audit-*.jsonl"), key=_number)
        for extra in old[: max(0, len(old) - _MOST_FILES + 2)]:
            extra.unlink(missing_ok=True)
        path.rename(self._folder / f"audit-{_number(old[-1]) + 1 if old else 1}.jsonl")


def _number(path: Path) -> int:
    text = path.stem.rpartition("-")[2]
    return int(text) if text.isdecimal() else 0
