"""The chain of the ledger: each record carries the hash of the line before it, from the first one on, across months.

One line is one record; its hash is the SHA-256 of its bytes without the line feed. What a killed writer or a full disk
left half written at the end of a file was never acknowledged: the next append moves it to `torn` and goes on behind the
last whole line, so it breaks no chain. Who holds the files alone can compute the chain anew; the seals (`seals`), which
need a key, find that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

MONTH_FILE = re.compile(r"\d{4}-\d{2}\.jsonl")
START = "0" * 64  # what the very first record has for the one before it
_TAIL_BYTES = 64 * 1024  # a record has a few kilobytes


def months(folder: Path) -> list[Path]:
    """The files of the chain, oldest first."""
    try:
        return sorted(path for path in folder.iterdir() if MONTH_FILE.fullmatch(path.name))
    except FileNotFoundError:
        return []


def digest(line: bytes) -> str:
    """The hash of a line without its line feed."""
    return sha256(line).hexdigest()


def head(folder: Path, handle: int | None = None) -> str:
    """The hash of the last whole line, which the next record carries. The caller holds the chain's lock.

    `handle` is the open newest file; what is torn at its end is moved away first.
    """
    if handle is not None:
        _mend(folder, handle)
        if last := _last_line(handle):
            return digest(last)
    for path in reversed(months(folder)):
        with path.open("rb") as file:
            if last := _last_line(file.fileno()):
                return digest(last)
    return START


def _last_line(handle: int) -> bytes:
    """The last whole line of a file, without its line feed; empty when there is none."""
    size = os.fstat(handle).st_size
    step = _TAIL_BYTES
    while size:
        data = os.pread(handle, min(step, size), max(0, size - step))
        whole = data[: data.rfind(b"\n")] if b"\n" in data else b""
        start = whole.rfind(b"\n")
        if start >= 0 or step >= size:
            return whole[start + 1 :]
        step *= 2
    return b""


def _mend(folder: Path, handle: int) -> None:
    """What stands behind the last line feed was never acknowledged: it goes to `torn`, for a person to look at."""
    size = os.fstat(handle).st_size
    if not size or os.pread(handle, 1, size - 1) == b"\n":
        return
    data = os.pread(handle, min(_TAIL_BYTES, size), max(0, size - _TAIL_BYTES))
    torn = data[data.rfind(b"\n") + 1 :]
    with os.fdopen(os.open(folder / "torn", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        file.write(torn + b"\n")
    os.ftruncate(handle, size - len(torn))


@dataclass(frozen=True, slots=True)
class Line:
    """One whole line of the ledger. `record` is `None` when it is no JSON object."""

    file: str
    number: int  # in its file, from 1
    end: int  # bytes of its file up to here
    text: bytes
    record: dict[str, Any] | None

    @property
    def hash(self) -> str:
        return digest(self.text)

    @property
    def at(self) -> str:
        return str((self.record or {}).get("at", ""))

    @property
    def before(self) -> str:
        return str((self.record or {}).get("before", ""))


def lines(folder: Path, start: tuple[str, int] = ("", 0), *, holding: bytes = b"") -> Iterator[Line]:
    """Every whole line, in order, from a place (file, bytes) on; or just those with these bytes in them."""
    for path in months(folder):
        if path.name < start[0]:
            continue
        offset = start[1] if path.name == start[0] else 0
        with path.open("rb") as file:
            number = file.read(offset).count(b"\n")
            for text in file:
                if not text.endswith(b"\n"):
                    break  # being written, or torn
                number += 1
                offset += len(text)
                if holding in text:
                    yield Line(path.name, number, offset, text[:-1], _record(text))


def _record(text: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):  # a ValueError where it is no UTF-8
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the ledger is not as it was written. `since` is the time of the last record that is in order."""

    place: str
    since: str
    why: str


def walk(folder: Path, base: str | None = None) -> Iterator[tuple[Line, Fault | None]]:
    """Every line with what is wrong between it and the one before. `base` is the hash that the first one must carry:
    `START`, or the head behind which older months were purged; `None` when any will do."""
    expected, since = base, ""
    for line in lines(folder):
        fault = None
        place = f"{line.file}, line {line.number}"
        if line.record is None:
            fault = Fault(place, since, "is no record")
        elif expected is not None and line.before != expected:
            fault = Fault(
                place, since, "does not follow the record before it: one was changed, removed or inserted here"
            )
        yield line, fault
        expected = line.hash
        since = line.at or since
