"""The table `held`: rows of persons who asked that their data be kept aside, or whose data are kept for a legal claim.

They leave `events`, so no report has to know of them, and have no TTL there. They come back when the last reason has
ended; then what the person withdrew or erased meanwhile is applied, and the TTL counts again. Both ways can be broken
off at any moment and begun anew: a row is known by its batch, the hash of what it holds and its place among its equals.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping

from clickhouse_connect.driver.client import Client

from ..record.ledger import Stop, Stops
from ..record.spool import is_for_held
from ..rule.columns import COLUMNS
from .days import Days, SiteDay
from .layout import Layout

log = logging.getLogger("consent_gateway.forwarder")

MOVES = {Stop.RESTRICTED, Stop.LIFTED, Stop.CLAIMED, Stop.RELEASED}
_EVERY_SECONDS = 60.0  # each move is a heavy mutation, whoever asks for it
_NAMES = ", ".join(f"`{column.name}`" for column in COLUMNS)
# without the address, which a TTL may have emptied between two tries
HASH = f"cityHash64({', '.join(f'`{column.name}`' for column in COLUMNS if not column.days)})"
_COPY = f"row_number() OVER (PARTITION BY batch, {HASH})"
_OF = "person IN {persons:Array(UInt64)}"


def table_of(batch: str) -> str:
    """Where a segment's rows go, by its name."""
    return "held" if is_for_held(batch) else "events"


class Holder:
    """Moves rows between the two tables, as the stops say. Run by the forwarder, between batches. `expect` is told of
    persons whose rows are about to come back, to apply what ended meanwhile."""

    def __init__(
        self, stops: Stops, layout: Layout, expect: Callable[[set[int]], None], days: Days | None = None
    ) -> None:
        self._stops, self._layout, self._expect, self._days = stops, layout, expect, days
        self._done = 0  # a place among the stops; at a start all of them, which changes nothing twice
        self._late: set[int] = set()
        self._next = 0.0

    def expect(self, persons: Collection[int], batch: str) -> None:
        """Rows of these persons are about to go in. Those that were sealed before the person asked are moved after."""
        wanted = is_for_held(batch)
        self._late |= {person for person in persons if self._stops.held(person) is not wanted}

    def due(self) -> bool:
        return bool(self._work()[0]) and time.monotonic() >= self._next

    def move(self, client: Client) -> set[int]:
        """Move what is due, and wait for it. Returns the persons whose rows are in another table now."""
        persons, upto = self._work()
        held = sorted(person for person in persons if self._stops.held(person))
        free = sorted(persons - set(held))
        self._expect(set(free))
        days = self._reopen(client, held)
        moved = move_in(client, self._layout, held)
        if self._days is not None and days:
            self._days.forget_visits(client, days)
        moved |= move_out(client, self._layout, free)
        self._reopen(client, free)
        self._done, self._late = upto, self._late - persons
        self._next = time.monotonic() + _EVERY_SECONDS
        if moved:
            log.info("moved the rows of %d persons aside, or back", len(moved))
        return moved

    def _reopen(self, client: Client, persons: list[int]) -> list[SiteDay]:
        """The days of the rows that are about to go, or are back: their reports read the events again."""
        return self._days.reopen_where(client, _OF, {"persons": persons}) if self._days is not None and persons else []

    def begin_anew(self) -> None:
        """After rows came back from a backup: look at everybody again."""
        self._done, self._next = 0, 0.0

    def _work(self) -> tuple[set[int], int]:
        self._stops.look()
        upto = len(self._stops.seen)
        return {person for person, _, why in self._stops.seen[self._done : upto] if why in MOVES} | self._late, upto


def move_in(client: Client, layout: Layout, persons: list[int]) -> set[int]:
    """From `events` to `held`. A batch arrives whole: what is found now is copied whole, and just that is deleted."""
    found = _found(client, layout, "events", persons)
    if not found:
        return set()
    parameters = {"persons": persons, "batches": sorted({batch for batch, _ in found})}
    where = f"{_OF} AND batch IN {{batches:Array(String)}}"
    client.command(
        f"INSERT INTO {layout.local('held')} ({_NAMES}, held_hash, held_copy) "
        f"SELECT {_NAMES}, {HASH}, {_COPY} FROM events WHERE {where}",
        parameters=parameters,
        settings=layout.insert_settings,
    )
    _delete(client, layout, "events", where, parameters)
    return {person for _, person in found}


def move_out(client: Client, layout: Layout, persons: list[int]) -> set[int]:
    """Back from `held` to `events`, but for rows that an earlier try has brought back."""
    found = _found(client, layout, "held", persons)
    if not found:
        return set()
    parameters = {"persons": persons}
    there = f"SELECT batch, {HASH}, {_COPY} FROM events WHERE {_OF}"
    client.command(
        f"INSERT INTO {layout.local('events')} ({_NAMES}) SELECT {_NAMES} FROM held FINAL "
        f"WHERE {_OF} AND (batch, held_hash, held_copy) NOT IN ({there})",
        parameters=parameters,
        settings=layout.insert_settings | {"insert_deduplicate": 0},
    )
    _delete(client, layout, "held", _OF, parameters)
    return {person for _, person in found}


def _found(client: Client, layout: Layout, table: str, persons: list[int]) -> set[tuple[str, int]]:
    if not persons:
        return set()
    rows = client.query(
        f"SELECT DISTINCT batch, person FROM {table} WHERE {_OF}",
        parameters={"persons": persons},
        settings=layout.count_settings,
    ).result_rows
    return {(str(batch), int(person)) for batch, person in rows}


def _delete(client: Client, layout: Layout, table: str, where: str, parameters: Mapping[str, object]) -> None:
    client.command(
        f"ALTER TABLE {layout.local(table)}{layout.on_cluster} DELETE WHERE {where}",
        parameters=dict(parameters),
        settings={"mutations_sync": 2},
    )
