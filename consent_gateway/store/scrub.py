"""What a withdrawal and an erasure do to rows that are stored already. Run by the forwarder, between batches.

Mutations rewrite whole parts, so they are gathered: within an hour of the oldest stop, and at once when rows went in of
a person who had stopped before. The engine works on them in the background while batches go on; what was asked for is
forgotten only when it is done, so a `kill -9` asks for it again.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clickhouse_connect.driver.client import Client

from ..record.ledger import Stop, Stops
from ..rule.columns import COLUMNS
from ..rule.purposes import ANALYTICS, MEASUREMENT
from .client import DATABASE, first_line
from .days import Days, SiteDay
from .layout import SINGLE, Layout

log = logging.getLogger("consent_gateway.forwarder")

GATHER_SECONDS = 3600.0
_AT_ONCE = 1000  # persons a statement

Person = int
Due = set[tuple[Person, Stop]]


@dataclass(frozen=True, slots=True)
class _Work:
    """A scrub that the engine was asked for: `upto` is a place in the file of stops, `days` those that lose rows."""

    whom: Due
    late: Due
    upto: int
    days: set[SiteDay] = field(default_factory=set)


class Scrubber:
    """Brings the stops of this host into the store. Its own memory lies beside them: `scrubbed`, a place in their file,
    and `late`, those whose rows go in after it."""

    def __init__(
        self,
        data_dir: Path,
        stops: Stops,
        *,
        gather: float = GATHER_SECONDS,
        layout: Layout = SINGLE,
        days: Days | None = None,
    ) -> None:
        self._days = days
        folder = data_dir / "ledger"
        self._scrubbed, self._late_file = folder / "scrubbed", folder / "late"
        self._stops, self._gather, self._layout = stops, gather, layout
        self._done = int(self._scrubbed.read_text()) if self._scrubbed.exists() else 0
        self._late: Due = set()
        if self._late_file.exists():
            self._late = {(person, Stop(why)) for person, why in json.loads(self._late_file.read_text())}
        self._asked: _Work | None = None
        self._fault = ""

    def expect(self, persons: set[Person]) -> None:
        """Rows of these persons are about to go in. Of those who stopped before, they are to be scrubbed at once:
        the segment was sealed before, or is back from a backup. On the disk before this returns."""
        self._stops.look()
        found = {(person, why) for person in persons for _, why in self._stops.of(person) if why in _STATEMENTS}
        if not found <= self._late:
            self._late |= found
            self._keep_late()

    def due(self) -> bool:
        """Is there anything to do now?"""
        return self._asked is not None or bool(self._work(now=False).whom)

    def scrub(self, client: Client, *, now: bool = False) -> int:
        """Ask the engine for what is due (for everything, `now`, and wait), or see how far it is. Returns for how many
        persons it is done."""
        if now and self._asked is not None:
            self._late, self._asked = self._late | self._asked.late, None
        if self._asked is None:
            work = self._work(now=now)
            if not work.whom and work.upto == self._done:
                return 0
            for why, statements in _STATEMENTS.items():
                persons = sorted(person for person, reason in work.whom if reason is why)
                for start in range(0, len(persons), _AT_ONCE):
                    some = persons[start : start + _AT_ONCE]
                    if self._days is not None:  # before: afterwards nobody knows which days they were
                        days = self._days.reopen_where(client, _OF, {"persons": some})
                        work.days.update(days if why is Stop.ERASED else ())
                    _ask(client, self._layout, "events", statements, some, wait=now)
                    if why is Stop.ERASED:  # what is kept aside is touched by nothing else until it is back
                        unclaimed = [person for person in some if not self._stops.claimed(person)]
                        _ask(client, self._layout, "held", statements, unclaimed, wait=now)
            self._late -= work.late  # from here on whoever comes late is late for the next
            self._asked = work
        if self._unfinished(client):
            return 0
        work, self._asked = self._asked, None
        if self._days is not None and work.days:
            self._days.forget_visits(client, work.days)
        self._keep_late()
        if work.upto != self._done:
            _replace(self._scrubbed, str(work.upto))
            self._done = work.upto
        if work.whom:
            log.info("scrubbed the store for %d withdrawals or erasures", len(work.whom))
        return len(work.whom)

    def scrub_all(self, client: Client) -> int:
        """Apply every stop again, after rows came back from a backup. For how many persons it is done."""
        self._done, self._asked = 0, None
        return self.scrub(client, now=True)

    def _work(self, *, now: bool) -> _Work:
        self._stops.look()
        seen = self._stops.seen
        if self._done > len(seen):  # the ledger was restored: all of it again, which changes nothing twice
            self._done = 0
        upto = len(seen) if now or self._is_time() else self._done
        waiting = {(person, why) for person, _, why in seen[self._done : upto] if why in _STATEMENTS}
        return _Work(waiting | self._late, set(self._late), upto)

    def _is_time(self) -> bool:
        """By the oldest stop's own time, so that restarts don't put it off."""
        ages = (at for _, at, why in self._stops.seen[self._done :] if why in _STATEMENTS)
        return (first := next(ages, None)) is not None and time.time() >= first / 1000 + self._gather

    def _unfinished(self, client: Client) -> int:
        rows = client.query(
            f"SELECT latest_fail_reason FROM {self._layout.mutations} "
            "WHERE database = {database:String} AND table IN {tables:Array(String)} AND NOT is_done AND NOT is_killed",
            parameters={"database": DATABASE, "tables": [self._layout.local(name) for name in ("events", "held")]},
        ).result_rows
        fault = next((reason for (reason,) in rows if reason), "")
        if fault and fault != self._fault:
            log.error("the store fails to scrub, and goes on trying: %s", first_line(RuntimeError(fault)))
        self._fault = fault
        return len(rows)

    def _keep_late(self) -> None:
        asked = self._asked.late if self._asked else set()
        _replace(self._late_file, json.dumps(sorted(self._late | asked)))


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".tmp")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fdatasync(file.fileno())
    draft.replace(path)


def _ask(
    client: Client, layout: Layout, table: str, statements: Sequence[str], persons: list[Person], *, wait: bool
) -> None:
    for statement in statements if persons else ():
        statement = f"ALTER TABLE {layout.local(table)}{layout.on_cluster} {statement}"
        client.command(statement, parameters={"persons": persons}, settings={"mutations_sync": 2 if wait else 0})


def _emptied(purpose: str) -> str:
    """Assignments that empty every column of a purpose. None of `analytics` is in the sort key."""
    named = [column for column in COLUMNS if column.purpose == purpose]
    return ", ".join(f"`{column.name}` = {_EMPTY[type(column.empty)]}" for column in named)


_EMPTY = {str: "''", int: "0"}
_OF = "person IN {persons:Array(UInt64)}"
# An objection has none: it holds from its time on, and what was stored before was stored lawfully.
_STATEMENTS: dict[Stop, tuple[str, ...]] = {
    Stop.ERASED: (f"DELETE WHERE {_OF}",),
    Stop.WITHDRAWN: (
        f"DELETE WHERE {_OF} AND NOT has(purposes, '{MEASUREMENT}')",
        f"UPDATE {_emptied(ANALYTICS)}, consent = 'withdrawn', "
        f"purposes = arrayFilter(purpose -> purpose != '{ANALYTICS}', purposes) WHERE {_OF}",
    ),
}
