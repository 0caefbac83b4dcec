"""From observations to the spool: judge, encode, append, and keep the books. The only writer of events in a worker."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..record.books import Books
from ..record.repeats import Repeats
from ..record.spool import Writer
from ..rule.errors import SpoolFull
from ..rule.event import DropReason, Event, Observation
from ..rule.privacy import Rule

log = logging.getLogger("consent_gateway")

NO_SITE = "-"  # under which name the books keep what belongs to none of our sites
_QUIET_SECONDS = 60.0


class Faults:
    """Logs each kind of fault at most once a minute, by type and place, never by value: values may hold an address."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def say(self, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        kind = f"{type(error).__name__} at {place}"
        now = time.monotonic()
        if now >= self._said.get(kind, 0.0):
            self._said[kind] = now + _QUIET_SECONDS
            way = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))
            log.error("a fault inside the gateway, the site goes on: %s (%s)", kind, way)


class Recorder:
    """Writes what the rule lets through. Called from the event loop; a call takes microseconds and never waits."""

    def __init__(self, rule: Rule, writer: Writer, books: Books, memory: Path, faults: Faults) -> None:
        self.rule, self.faults = rule, faults
        self._writer, self._books, self._memory = writer, books, memory
        self._encode = msgspec.json.Encoder().encode
        self._repeats: Repeats | None = None
        self._repeats_until = 0

    def record(self, seen: Sequence[Observation], ids: Sequence[str] = ()) -> int | None:
        """Judge and spool the observations of one request, and return the handle to sync, if anything was written.

        When this returns, what was kept is in the kernel. `SpoolFull` when it can't be: then none of it is kept.
        """
        months: dict[str, list[tuple[bytes, str]]] = {}
        fresh: list[int] = []
        for index, observation in enumerate(seen):
            site = self.count_received(observation.site)
            event_id = ids[index] if ids else ""
            if event_id:
                number = int(event_id, 16)
                if number in self._today(observation.received_at) or number in fresh:
                    self._books.count(site, f"dropped.{DropReason.DUPLICATE}")
                    continue
                fresh.append(number)
            event = self._judge(observation)
            if isinstance(event, DropReason):
                self._books.count(site, f"dropped.{event}")
                continue
            month = event.at[:4] + event.at[5:7]
            months.setdefault(month, []).append((self._encode(event), event_id))
        handle: int | None = None
        site = seen[0].site if seen else NO_SITE
        for month, events in months.items():
            try:
                handle = self._writer.append(month, events)
            except SpoolFull:
                self._books.count(site, f"dropped.{DropReason.OVERLOAD}", len(events))
                raise
            self._books.count(site, "accepted", len(events))
        for number in fresh:
            self._today(seen[0].received_at).add(number)
        return handle

    def _judge(self, seen: Observation) -> Event | DropReason:
        try:
            return self.rule.judge(seen)
        except Exception as error:  # in doubt the data is dropped
            self.faults.say(error)
            return DropReason.FAULT

    def count_received(self, site: str) -> str:
        """Count one arrival, and return the name under which the books keep it."""
        known = site if site in self.rule.own_hosts else NO_SITE
        self._books.count(known, "received")
        return known

    def count_dropped(self, site: str, reason: DropReason) -> None:
        """Something that never became an observation."""
        self._books.count(self.count_received(site), f"dropped.{reason}")

    def _today(self, now: int) -> Repeats:
        if self._repeats is None or now >= self._repeats_until:
            if self._repeats is not None:
                self._repeats.close()
            day = now // 86_400_000
            self._repeats = Repeats(self._memory, str(day))
            self._repeats_until = (day + 1) * 86_400_000
        return self._repeats
