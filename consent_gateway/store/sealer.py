"""The sealer: judges each complete segment once more, and fixes its bytes. From then on it is the store's batch.

Lines that are not as they were written are set aside; the lines of persons who withdrew, objected or were erased since
are rewritten. Each step can be repeated after a `kill -9`, and none counts twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import msgspec

from ..record.books import Key, Tally
from ..record.ledger import Stop, Stops
from ..record.repeats import Taken
from ..record.spool import Spool, for_held, id_of, line, write_segment
from ..rule.privacy import Row, when, without_purpose
from ..rule.purposes import ANALYTICS, MEASUREMENT
from .batch import Batch, read
from .progress import Progress

log = logging.getLogger("consent_gateway.forwarder")

# Requests may be on their way with the old cookie when somebody objects. Later ones were judged by what they carried,
# and may come after the objection was taken back.
_ON_THE_WAY_MS = 60_000
_NEVER_MS = 253_402_300_799_999  # the last moment of the year 9999


class Sealer:
    """Works in the forwarder's thread, before and between batches."""

    def __init__(self, spool: Spool, stops: Stops, tally: Tally, progress: Progress) -> None:
        self._spool, self._stops, self._tally, self._progress = spool, stops, tally, progress
        self._taken: Taken | None = None

    def seal(self) -> None:
        """Seal what is complete; what resists is named, and does not hold up the rest."""
        for path in self._spool.strangers():
            self._progress.name_trouble(path, "is no segment; it is left alone, take it away")
        self._stops.look()
        for path in self._spool.complete():
            try:
                self._seal(path)
            except OSError as error:
                self._progress.name_trouble(path, f"can't be sealed now: {error.strerror}")

    def set_aside(self, batch: Batch, suffix: str) -> None:
        """Keep the broken lines for a human, and count them."""
        write_segment(self._spool.aside / f"{batch.name}-{suffix}", batch.broken)
        self._tally.add(suffix, batch.name, batch.broken_sites("aside"))
        self._progress.aside += len(batch.broken)
        log.error(
            "%d damaged lines of segment %s are set aside in %s", len(batch.broken), batch.name, self._spool.aside
        )

    def _seal(self, path: Path) -> None:
        target = self._spool.sealed / path.name
        if target.exists():  # we died between the two last steps
            path.unlink()
            return
        found = read(path)
        if found.broken:
            self.set_aside(found, "damaged")
        batch, repeated = self._without_repeats(found)
        lines, held, erased = self._judge_again(batch)
        if gone := repeated + erased:
            self._tally.add("seal", batch.name, gone)
        if held:
            write_segment(target.with_name(for_held(path.name)), held)
        if not lines:
            path.unlink()
        elif lines is found.whole and not found.broken:
            path.rename(target)
        else:
            write_segment(target, lines)
            path.unlink()

    def _without_repeats(self, batch: Batch) -> tuple[Batch, Counter[Key]]:
        """Leave out events that another segment has, or this one twice, and count them."""
        try:
            self._taken = self._taken or Taken(self._spool.root.parent / "taken")
        except OSError:  # no room for it: what was sent again may be kept twice, but nothing waits
            return batch, Counter()
        name = int.from_bytes(blake2b(batch.name.encode(), digest_size=8).digest(), "big")
        own: set[int] = set()
        repeats: set[int] = set()
        for index, text in enumerate(batch.whole):
            number = id_of(text)
            if number and (number in own or self._taken.is_elsewhere(number, name)):
                repeats.add(index)
            own.add(number)
        if not repeats:
            return batch, Counter()
        log.info("segment %s: %d events were sent again, and are in another one", batch.name, len(repeats))
        gone = Counter((batch.heads[index].site, "repeated") for index in repeats)
        kept = [index for index in range(len(batch.whole)) if index not in repeats]
        return replace(batch, whole=[batch.whole[i] for i in kept], heads=[batch.heads[i] for i in kept]), gone

    def _judge_again(self, batch: Batch) -> tuple[list[bytes], list[bytes], Counter[Key]]:
        """The lines as they may be stored now (the same list when nobody in it has stopped anything), those of persons
        whose rows are kept aside, and what went."""
        stopped = {person for person in batch.persons() if self._stops.of(person)}
        gone: Counter[Key] = Counter()
        if not stopped:
            return batch.whole, [], gone
        judged: list[bytes] = []
        held: list[bytes] = []
        for text, head in zip(batch.whole, batch.heads, strict=True):
            if head.person not in stopped:
                judged.append(text)
                continue
            row: Row = msgspec.json.decode(text)
            if aside := self._stops.held(head.person):  # as it was collected: what ended is applied when it is back
                kept = row if self._stops.claimed(head.person) or not _erased(self._stops.of(head.person)) else None
            else:
                kept = _after_stops(row, self._stops.of(head.person))
            if aside and kept is not None:
                held.append(_line(for_held(batch.name), row))
            elif kept is row:
                judged.append(text)
            elif kept is None:
                gone[head.site, "erased"] += 1
            else:
                judged.append(_line(batch.name, kept))
        return (batch.whole if judged == batch.whole else judged), held, gone


def _line(batch: str, row: Row) -> bytes:
    """A row as a line of a segment."""
    event = {name: value for name, value in row.items() if name not in ("batch", "id", "crc")}
    return line(batch.encode(), msgspec.json.encode(event), row.get("id", ""))


def _erased(stops: list[tuple[int, Stop]]) -> bool:
    return any(why is Stop.ERASED for _, why in stops)


def _after_stops(row: Row, stops: list[tuple[int, Stop]]) -> Row | None:
    """What of a spooled row may be kept after its person's stops; the same row when all of it may."""
    kept: Row | None = row
    for at, why in stops:
        if kept is None or why is Stop.ERASED:
            return None
        if why is Stop.WITHDRAWN:
            kept = without_purpose(kept, ANALYTICS)
        elif when(at) <= row["at"] < when(_objected_until(stops, at, why)):
            kept = without_purpose(kept, MEASUREMENT)
    return kept


def _objected_until(stops: list[tuple[int, Stop]], since: int, why: Stop) -> int:
    """When a stop's objection ends (milliseconds), if it is one: what came by mail counts until it is taken back."""
    if why is Stop.OBJECTS:
        return min((at for at, other in stops if other is Stop.UNOBJECTED and at >= since), default=_NEVER_MS)
    return since + _ON_THE_WAY_MS if why is Stop.OBJECTED else since
