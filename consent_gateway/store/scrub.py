"""What a withdrawal and an erasure do to rows that are stored already. Run by the forwarder, between batches.

Mutations rewrite whole parts, so they are gathered: within an hour of the first stop, and at once when a person's rows
came in after their stop. Progress is a place in the file of stops, kept only after the store has done it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from clickhouse_connect.driver.client import Client

from ..record.ledger import Stop, Stops
from ..rule.columns import COLUMNS
from ..rule.purposes import ANALYTICS, MEASUREMENT

log = logging.getLogger("consent_gateway.forwarder")

GATHER_SECONDS = 3600.0
_SYNC = {"mutations_sync": 2}
_AT_ONCE = 1000  # persons a statement

Person = int


class Scrubber:
    """Brings the stops of this host into the store."""

    def __init__(self, data_dir: Path, stops: Stops, *, gather: float = GATHER_SECONDS) -> None:
        self._path = data_dir / "ledger" / "scrubbed"
        self._stops, self._gather = stops, gather
        self._done = int(self._path.read_text()) if self._path.exists() else 0
        self._due = 0.0
        self._late: set[tuple[Person, Stop]] = set()

    def came_late(self, person: Person, why: Stop) -> None:
        """A row of this person went in although it should have been treated: scrub now."""
        self._late.add((person, why))

    def scrub(self, client: Client, *, now: bool = False) -> int:
        """Do what is due (or everything, `now`), and return how many persons it was for."""
        self._stops.look()
        waiting = self._stops.seen[self._done :]
        if waiting and not self._due:
            self._due = time.monotonic() + self._gather
        whom = set(self._late)
        upto = self._done
        if waiting and (now or time.monotonic() >= self._due):
            whom |= {(person, why) for person, _, why in waiting}
            upto = self._done + len(waiting)
        if not whom:
            return 0
        for why, statements in _STATEMENTS.items():
            persons = sorted(person for person, reason in whom if reason is why)
            for start in range(0, len(persons), _AT_ONCE):
                _run(client, statements, persons[start : start + _AT_ONCE])
        self._late.clear()
        if upto > self._done:
            self._done, self._due = upto, 0.0
            draft = self._path.with_suffix(".tmp")
            draft.write_text(str(upto))
            draft.replace(self._path)
        log.info("scrubbed the store for %d withdrawals, objections or erasures", len(whom))
        return len(whom)


def _run(client: Client, statements: Sequence[str], persons: list[Person]) -> None:
    for statement in statements:
        client.command(statement, parameters={"persons": persons}, settings=_SYNC)


def _emptied(purpose: str) -> str:
    """Assignments that empty every column of a purpose. None of `analytics` is in the sort key."""
    named = [column for column in COLUMNS if column.purpose == purpose]
    return ", ".join(f"`{column.name}` = {_EMPTY[type(column.empty)]}" for column in named)


_EMPTY = {str: "''", int: "0"}
_OF = "person IN {persons:Array(UInt64)}"
_STATEMENTS: dict[Stop, tuple[str, ...]] = {
    Stop.ERASED: (f"ALTER TABLE events DELETE WHERE {_OF}",),
    Stop.WITHDRAWN: (
        f"ALTER TABLE events DELETE WHERE {_OF} AND NOT has(purposes, '{MEASUREMENT}')",
        f"ALTER TABLE events UPDATE {_emptied(ANALYTICS)}, consent = 'withdrawn', "
        f"purposes = arrayFilter(purpose -> purpose != '{ANALYTICS}', purposes) WHERE {_OF}",
    ),
}
