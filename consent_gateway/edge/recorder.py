"""From observations to the spool: judge, encode, append, and keep the books. The only writer of events in a worker."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import repeat
from pathlib import Path

import msgspec

from ..record.books import Books
from ..record.group import Group, Overloaded
from ..record.repeats import Repeats
from ..record.spool import Writer
from ..rule.errors import SpoolFull
from ..rule.event import DropReason, Observation
from ..rule.privacy import Rule
from .pressure import Pressure, lean, pressure

log = logging.getLogger("consent_gateway")

NO_SITE = "-"  # under which name the books keep what belongs to none of our sites
_QUIET_SECONDS = 60.0
_SLOW_WRITE = 0.05  # seconds; longer ones must not happen in the event loop
_SLOW_SECONDS = 5.0
_MOST_QUEUED = 2000  # observations; one has 12 kB at most


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


Lot = tuple[Sequence[Observation], Sequence[str | None]]  # of one request, and the ids of those that have one


class Recorder:
    """Writes what the rule lets through. A write takes microseconds, so the event loop does it, while the disk is fast.

    After two writes that took longer than `_SLOW_WRITE` each (one may be a pause of the machine's) a thread does them
    for some seconds, in groups; with `sync` always, and each group is synced. Page views never wait for it: when too
    much is queued they give way.
    """

    def __init__(
        self, rule: Rule, writer: Writer, books: Books, memory: Path, faults: Faults, *, sync: bool = False
    ) -> None:
        self.rule, self.faults = rule, faults
        self._lean, self._is_lean = lean(rule), False
        self.books, self._writer, self._memory, self._sync = books, writer, memory, sync
        self._encode = msgspec.json.Encoder().encode
        self._repeats: Repeats | None = None
        self._repeats_until = 0
        self._was_slow, self._slow_until = False, 0.0
        self._closed = False
        self._group: Group[Lot] = Group("consent-gateway-events", self._keep_group, _MOST_QUEUED)

    @property
    def is_slow(self) -> bool:
        """Must the event loop not write now? As long as the thread has work, too: the order stays."""
        return self._sync or self._group.busy or time.monotonic() < self._slow_until

    def record_view(self, seen: Observation) -> None:
        """Judge and spool a page view. `SpoolFull` when that can't be: it is dropped."""
        self._count((seen,), "received")
        if self._closed or self.is_slow:
            self._hand_over(((seen,), ()))
        else:
            self._keep([((seen,), ())])

    async def record(self, seen: Sequence[Observation], ids: Sequence[str | None]) -> None:
        """Judge and spool the events of one request, of one sender or each of its own. `ids` are theirs, for those that
        have one.

        When this returns, what was kept is in the kernel (with `sync`: on the disk). `SpoolFull` when it can't be.
        """
        self._count(seen, "received")
        if self._closed or self.is_slow:
            await asyncio.wrap_future(self._hand_over((seen, ids)))
        else:
            self._keep([(seen, ids)])

    def weigh(self) -> None:
        """See now and then whether enrichment gives way: at each event that would cost as much as the limits do."""
        self._is_lean = self.pressure is Pressure.LEAN

    @property
    def pressure(self) -> Pressure:
        """How much waits, and what gives way for it."""
        return pressure(max(self._writer.full, self._group.full))

    def close(self, seconds: float) -> bool:
        """Take no more, and write what is queued. False when that took longer than it may."""
        self._closed = True
        return self._group.close(seconds)

    def _hand_over(self, lot: Lot) -> Future[None]:
        try:
            return self._group.put(lot, len(lot[0]))
        except Overloaded:
            self._count(lot[0], f"dropped.{DropReason.OVERLOAD}")
            raise SpoolFull("too many events wait for the disk, or the site is ending") from None

    def _keep_group(self, lots: list[Lot]) -> list[None]:
        self.weigh()
        try:
            self._keep(lots)
        except Exception as error:
            self.faults.say(error)  # nobody waits for a page view
            raise
        return [None] * len(lots)

    def _keep(self, lots: Sequence[Lot]) -> None:
        """Judge, and write what is left; all of a month at once."""
        today = self._ids_of_today(lots)
        judge, encode = (self._lean if self._is_lean else self.rule).judging(), self._encode
        months: dict[str, tuple[list[tuple[bytes, str | None]], list[Observation]]] = {}
        fresh: dict[int, int] = {}  # numbers of ids, and where they belong
        for seen, ids in lots:
            for observation, event_id in zip(seen, ids or repeat(None), strict=False):
                if event_id and today is not None:
                    number = int(event_id, 16) or 1  # 0 is an empty place
                    place = today.place(number)
                    if place is None or number in fresh:
                        self._count((observation,), f"dropped.{DropReason.DUPLICATE}")
                        continue
                    fresh[number] = place
                try:
                    event = judge(observation)
                except Exception as error:  # in doubt the data is dropped
                    self.faults.say(error)
                    event = DropReason.FAULT
                if isinstance(event, DropReason):
                    self._count((observation,), f"dropped.{event}")
                    continue
                month = event.at[:7]
                if month not in months:
                    months[month] = [], []
                events, kept = months[month]
                events.append((encode(event), event_id))
                kept.append(observation)
        for month in list(months):
            events, kept = months[month]
            began = time.monotonic()
            try:
                self._writer.append(month[:4] + month[5:], events, sync=self._sync)
            except SpoolFull:
                self._count([one for _, left in months.values() for one in left], f"dropped.{DropReason.OVERLOAD}")
                raise
            finally:
                ended = time.monotonic()
                was_slow, self._was_slow = self._was_slow, ended - began > _SLOW_WRITE
                if self._was_slow and was_slow:
                    self._slow_until = ended + _SLOW_SECONDS
            del months[month]
            self._count(kept, "accepted")
        if today is not None:
            today.add(fresh)

    def _ids_of_today(self, lots: Sequence[Lot]) -> Repeats | None:
        """The ids that came before, unless nothing here has one."""
        for _, ids in lots:
            if any(ids):
                break
        else:
            return None
        try:
            return self._today(lots[-1][0][-1].sender.received_at)
        except OSError as error:  # no memory for them: what is sent again later is better than what is kept twice
            self._count([one for seen, _ in lots for one in seen], f"dropped.{DropReason.OVERLOAD}")
            raise SpoolFull(f"no memory for the ids of today: {error.strerror}") from error

    def _known(self, site: str) -> str:
        return site if site in self.rule.own_hosts else NO_SITE

    def _count(self, seen: Sequence[Observation], term: str) -> None:
        sender, known, count = seen[0].sender, self.rule.own_hosts, self.books.count
        if seen[-1].sender is sender:  # one request's, which are of one sender or each of its own
            count(sender.site if sender.site in known else NO_SITE, term, len(seen))
            return
        for site, number in Counter(one.sender.site for one in seen).items():
            count(self._known(site), term, number)

    def count_dropped(self, site: str, reason: DropReason, by: int = 1) -> None:
        """So many that never became an observation."""
        if by:
            known = self._known(site)
            self.books.count(known, "received", by)
            self.books.count(known, f"dropped.{reason}", by)

    def _today(self, now: int) -> Repeats:
        if self._repeats is None or now >= self._repeats_until:
            if self._repeats is not None:
                self._repeats.close()
            day = now // 86_400_000
            self._repeats = Repeats(self._memory, str(day))
            self._repeats_until = (day + 1) * 86_400_000
        return self._repeats
