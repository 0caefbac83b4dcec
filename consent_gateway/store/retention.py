"""How long the store keeps what it holds: the TTLs of `events`, from the policy, never over the register's maximum.

A table is made with the register's days. When the policy says fewer, now or from a version that takes effect while the
site runs, the live table is altered; the engine then empties what is too old by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from ..config.policy import Policy
from ..rule.columns import COLUMNS, RETENTION_DAYS
from ..rule.purposes import MEASUREMENT
from .client import DATABASE
from .layout import SINGLE, Layout

_DAYS = r"TTL toDateTime\(received_at\) \+ toIntervalDay\((\d+)\)"
_COLUMN = re.compile(rf"`(\w+)` [^`]*?{_DAYS}")


@dataclass(frozen=True, slots=True)
class Kept:
    """Days from `received_at`: of a whole row, and of the columns that are emptied before it goes."""

    row: int
    columns: dict[str, int]


def wanted(policy: Policy) -> Kept:
    """What the policy in force says. A row goes with `measurement`, whatever else it holds: its page is in the sort
    key, which can't be emptied."""
    row = policy.retention_days(MEASUREMENT)
    days = {column.name: policy.column_days(column) for column in COLUMNS}
    return Kept(row, {name: one for name, one in days.items() if one < row})


def of_register() -> Kept:
    """What a table is made with."""
    row = RETENTION_DAYS[MEASUREMENT]
    return Kept(row, {column.name: column.kept_days for column in COLUMNS if column.kept_days < row})


def live(client: Client, layout: Layout = SINGLE) -> Kept:
    """What the table does now; a row that is kept for ever has 0 days."""
    statement = client.query(
        "SELECT create_table_query FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        parameters={"database": DATABASE, "table": layout.local("events")},
    ).result_rows[0][0]
    columns, _, rest = str(statement).partition("ENGINE = ")
    row = re.search(_DAYS, rest)
    return Kept(int(row[1]) if row else 0, {name: int(days) for name, days in _COLUMN.findall(columns)})


def drift(found: Kept, told: Kept) -> list[str]:
    """Where a table keeps something longer or shorter than it should, in words."""
    words = [] if found.row == told.row else [f"rows are kept for {found.row or 'all'} days, not {told.row}"]
    for name in sorted(found.columns.keys() | told.columns.keys()):
        here, there = found.columns.get(name, found.row), told.columns.get(name, told.row)
        if here != there:
            words.append(f"{name} is kept for {here or 'all'} days, not {there}")
    return words


def statements(found: Kept, told: Kept, layout: Layout = SINGLE) -> Iterator[str]:
    """What makes the one into the other. The engine applies it to what is stored already, in the background."""
    table = f"ALTER TABLE {DATABASE}.{layout.local('events')}{layout.on_cluster}"
    ttl = "TTL toDateTime(received_at) + INTERVAL {} DAY"
    if found.row != told.row:
        yield f"{table} MODIFY {ttl.format(told.row)}"
    for name in sorted(found.columns.keys() | told.columns.keys()):
        days = told.columns.get(name)
        if days is None:
            yield f"{table} MODIFY COLUMN `{name}` REMOVE TTL"
        elif found.columns.get(name) != days:
            yield f"{table} MODIFY COLUMN `{name}` {ttl.format(days)}"


class Retention:
    """Keeps the live table as the policy in force says. `clock` gives milliseconds, UTC."""

    def __init__(self, policy: Policy, layout: Layout, clock: Callable[[], int]) -> None:
        self._policy, self._layout, self._clock = policy, layout, clock
        self._until = 0

    def keep(self, client: Client) -> None:
        """Called with every new client and between batches; does something at the start and when a version takes
        effect."""
        now = self._clock()
        if now < self._until:
            return
        for statement in statements(live(client, self._layout), wanted(self._policy.as_of(now)), self._layout):
            client.command(statement)
        self._until = self._policy.changes_at(now)

    def drift(self, client: Client) -> list[str]:
        return drift(live(client, self._layout), wanted(self._policy.as_of(self._clock())))
