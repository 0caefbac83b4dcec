"""Seals of the ledger: how many records there were at a moment, and the hash of the last, signed.

Made by the back office every hour and at the end of each month's file, one line each in `ledger/seals.jsonl`, and
copied into the store. A seal carries the hash of the one before, so none can be taken out. With them a ledger that was
cut off, or whose chain was computed anew, is found by anyone who has the public key.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from . import chain
from .chain import START, Fault
from .signature import is_genuine, signed
from .spool import sync_folder

FILE = "seals.jsonl"
EVERY_MS = 3_600_000

Seal = dict[str, Any]  # at, count (since the beginning), head, file, size, before, proof


class Seals:
    """Makes the seals of one ledger. By one process at a time: the back office."""

    def __init__(self, data_dir: Path, key: Ed25519PrivateKey) -> None:
        self.folder, self._key = data_dir / "ledger", key
        self._path = self.folder / FILE

    def due(self, now: int) -> bool:
        """Is it time, and is there anything new? `now` in milliseconds, UTC."""
        last = self.last()
        files = chain.months(self.folder)
        if not files:
            return False
        if last is None:
            return True
        if (last["file"], last["size"]) == (files[-1].name, files[-1].stat().st_size):
            return False
        return last["file"] < files[-1].name or now - _ms(last["at"]) >= EVERY_MS

    def seal(self, now: int) -> list[Seal]:
        """Seal every month that is over, and what there is now. Returns the seals that were made."""
        last = self.last()
        count, head, place = 0, START, ("", 0)
        if last is not None:
            count, head, place = last["count"], last["head"], (last["file"], last["size"])
        sealed = place
        made: list[Seal] = []

        def make() -> None:
            made.append(self._make(now, count, head, place, made[-1] if made else last))

        for line in chain.lines(self.folder, place):
            if line.file != place[0] and place != sealed:
                make()
                sealed = place
            count, head, place = count + 1, line.hash, (line.file, line.end)
        if place != sealed:
            make()
        if made:
            self._append(made)
        return made

    def purge(self, oldest_month: str, now: int) -> list[str]:
        """Remove the months before one (`2026-11`), whole, each behind the seal at its end. Returns their names."""
        ends = {(seal["file"], seal["size"]) for seal in self.read()}
        gone = []
        for path in chain.months(self.folder)[:-1]:
            if path.stem >= oldest_month or (path.name, path.stat().st_size) not in ends:
                break
            path.unlink()
            gone.append(path.name)
        if gone:
            sync_folder(self.folder)
        return gone

    def read(self) -> list[Seal]:
        return read(self.folder)

    def last(self) -> Seal | None:
        found = self.read()
        return found[-1] if found else None

    def _make(self, now: int, count: int, head: str, place: tuple[str, int], before: Seal | None) -> Seal:
        return signed(
            {
                "at": _iso(now),
                "count": count,
                "head": head,
                "file": place[0],
                "size": place[1],
                "before": chain.digest(_encode(before)) if before else START,
            },
            self._key,
        )

    def _append(self, made: Iterable[Seal]) -> None:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            torn = b"\n" if size and os.pread(handle, 1, size - 1) != b"\n" else b""
            os.write(handle, torn + b"".join(_encode(seal) + b"\n" for seal in made))
            os.fdatasync(handle)
        finally:
            os.close(handle)
        sync_folder(self.folder)


_encode = msgspec.json.Encoder(order="sorted").encode


def read(folder: Path) -> list[Seal]:
    """The whole seals of a ledger, oldest first."""
    try:
        data = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return []
    return list(_seals(data.splitlines()))


def _seals(texts: Iterable[bytes]) -> Iterator[Seal]:
    for text in texts:
        try:
            seal = msgspec.json.decode(text)
        except (msgspec.DecodeError, ValueError):
            continue
        if isinstance(seal, dict) and {"at", "count", "head", "file", "size", "before"} <= seal.keys():
            yield seal


@dataclass
class Report:
    """What a look at the whole ledger found. `sealed` records are behind a genuine seal."""

    records: int = 0
    sealed: int = 0
    seals: int = 0
    head: str = START
    last_seal: str = ""
    faults: list[Fault] = field(default_factory=list)


def verify(folder: Path, keys: Mapping[str, Ed25519PublicKey], stored: Iterable[Seal] = ()) -> Report:
    """Compare the ledger with its own chain, with its seals, and with the seals that the store has.

    A changed, removed, inserted or cut-off record is a fault, with the time since when. Records may be purged from the
    front, up to a seal.
    """
    report = Report()
    own = read(folder)
    for number, seal in enumerate(own, 1):
        if not is_genuine(seal, keys):
            report.faults.append(Fault(f"{FILE}, line {number}", str(seal["at"]), "was not made with our key"))
        elif number > 1 and seal["before"] != chain.digest(_encode(own[number - 2])):
            report.faults.append(Fault(f"{FILE}, line {number}", str(seal["at"]), "a seal before this one is missing"))
    genuine = [seal for seal in own if is_genuine(seal, keys)]
    mine = {(seal["count"], seal["head"]) for seal in genuine}
    for seal in stored:
        if is_genuine(seal, keys) and (seal["count"], seal["head"]) not in mine:
            genuine.append(seal)
            report.faults.append(Fault(FILE, str(seal["at"]), "a seal that the store has is missing here"))
    genuine.sort(key=lambda seal: (seal["count"], seal["at"]))
    report.seals, report.last_seal = len(genuine), str(genuine[-1]["at"]) if genuine else ""
    _compare(folder, genuine, report)
    return report


def _compare(folder: Path, seals: list[Seal], report: Report) -> None:
    first = next(chain.lines(folder), None)
    base = _base(first.before if first else START, seals)
    report.records = count = base["count"] if base else 0
    by_count: dict[int, list[Seal]] = {}
    for seal in seals:
        by_count.setdefault(seal["count"], []).append(seal)
    since = str(base["at"]) if base else ""
    for line, fault in chain.walk(folder, base["head"] if base else START):
        if fault is not None:
            report.faults.append(fault if fault.since or not since else Fault(fault.place, since, fault.why))
        count += 1
        report.records, report.head = count, line.hash
        for seal in by_count.get(count, ()):
            if seal["head"] == line.hash:
                report.sealed = count
            else:
                why = f"is not the record that was sealed at {seal['at']}: the ledger was written anew before it"
                report.faults.append(Fault(f"{line.file}, line {line.number}", since, why))
        since = line.at or since
    for seal in seals:
        if seal["count"] > count:
            why = f"{seal['count'] - count} records that were sealed at {seal['at']} are missing at the end"
            report.faults.append(Fault("the end", since, why))
            break


def _base(before: str, seals: list[Seal]) -> Seal | None:
    """The seal behind which older months were purged; none when the ledger begins at its beginning."""
    return None if before == START else next((seal for seal in seals if seal["head"] == before), None)


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
