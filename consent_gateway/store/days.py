"""Closed days: what reports count of days that are over, as whole numbers, without any pseudonym.

`days` holds the numbers, each day's under a *run* of the job that worked them out; `closed` says of each site's day
which run is right, or that the day is open again. Markers have versions, the latest one counts. A run's numbers are
read only after its marker is there, so a job that was killed leaves nothing that anybody reads, and two hosts that
close the same day don't count it twice. A run that began before a day was opened again has the older version, so it
can't close it.

Whatever changes rows of days that are over calls `reopen`: the forwarder for late batches, the scrubber, and what a
right does to the data. Such a day is read from the events until the job has worked it out again. The visits of a run
lie in a table of their own (`day_visits`), which holds pseudonyms: where rows are deleted, they go at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from ..rule.columns import RETENTION_DAYS
from ..rule.purposes import MEASUREMENT
from . import day_visits
from .client import DATABASE
from .layout import SINGLE, Layout

SiteDay = tuple[str, date]

_DAYS = """\
    `site` LowCardinality(String) COMMENT 'the site',
    `report` LowCardinality(String) COMMENT 'the query that these numbers are of',
    `day` Date COMMENT 'the day, in the time zone of the settings',
    `run` UInt64 COMMENT 'the run of the job that worked them out; right if the table closed says so',
    `key` String COMMENT 'what is counted: a page, a country, …',
    `key2` String COMMENT 'and its second part, where it has one',
    `key3` String COMMENT 'and its third',
    `counts` Array(UInt64) COMMENT 'the whole numbers that the figures of the report are made from, in its order'"""
_CLOSED = """\
    `site` LowCardinality(String) COMMENT 'the site',
    `day` Date COMMENT 'the day, in the time zone of the settings',
    `version` UInt64 COMMENT 'the latest one counts',
    `run` UInt64 COMMENT 'the run whose numbers are right; 0 when the day is open',
    `register` UInt64 COMMENT 'which queries were worked out',
    `rows` UInt64 COMMENT 'events of that day then'"""
_STATE = (
    "SELECT site, day, max(version), argMax(run, version), argMax(register, version), argMax(rows, version) "
    "FROM closed{where} GROUP BY site, day"
)
_OPEN = (
    "INSERT INTO {table} SELECT item.1, item.2, "
    "greatest(toUInt64(toUnixTimestamp64Micro(now64(6))), (SELECT max(version) FROM closed) + 2), 0, 0, 0 "
    "FROM (SELECT arrayJoin(arrayZip({{sites:Array(String)}}, {{days:Array(Date)}})) AS item)"
)
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class State:
    """What the latest marker says of a day. `version` is about the time of it, in microseconds."""

    version: int
    run: int
    register: int
    rows: int


def statements(layout: Layout = SINGLE) -> Iterator[str]:
    """What makes the two tables. Numbers are kept as long as the events that they count."""
    days = RETENTION_DAYS[MEASUREMENT]
    numbers, markers = "site, report, day, run, key, key2, key3", "site, day, version"
    for table, columns, order in (("days", _DAYS, numbers), ("closed", _CLOSED, markers)):
        yield (
            f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local(table)}{layout.on_cluster}\n(\n{columns}\n)\n"
            f"ENGINE = {layout.engine(table)}\nPARTITION BY toYear(day)\nORDER BY ({order})\n"
            f"TTL day + INTERVAL {days} DAY"
        )
        if layout.cluster:
            yield layout.distributed(table, columns)
    yield from day_visits.statements(layout)


class Days:
    """The tables of one installation. The methods take the client of whoever calls; they raise what it raises."""

    def __init__(self, zone: ZoneInfo, layout: Layout = SINGLE) -> None:
        self.zone, self.layout = zone, layout

    def today(self) -> date:
        return datetime.now(self.zone).date()

    def day_of(self, at: str) -> date:
        """The day of a moment as rows have it, `2026-11-22 10:00:00.123` in UTC."""
        return _day_of(at[:16], self.zone)

    def reopen(self, client: Client, days: Iterable[SiteDay]) -> None:
        """The events of these days have changed, or are about to: until they are worked out again they are read from
        the events. Of changes that take their time call it before and after."""
        self._reopen(client, {(site, day) for site, day in days if day < self.today()})

    def _reopen(self, client: Client, days: Iterable[SiteDay]) -> None:
        over = sorted(days)
        for start in range(0, len(over), _AT_ONCE):
            some = over[start : start + _AT_ONCE]
            self._open(client, [site for site, _ in some], [day for _, day in some])

    def reopen_where(self, client: Client, condition: str, parameters: Mapping[str, Any]) -> list[SiteDay]:
        """The same for the days of the events that a condition of ours holds for, also the one that is not over.
        Returns them."""
        found = client.query(
            f"SELECT DISTINCT site, toDate(at, {{zone:String}}) FROM events WHERE {condition}",
            parameters={**parameters, "zone": self.zone.key},
        ).result_rows
        days = [(str(site), day) for site, day in found]
        self._reopen(client, days)
        return days

    def forget_visits(self, client: Client, days: Iterable[SiteDay]) -> None:
        """Rows of these days were deleted: remove what was made from them before, and wait. Runs that begin from here
        on know nothing of them."""
        before, days = self.now(client), sorted(days)
        self._reopen(client, days)
        for start in range(0, len(days), _AT_ONCE):
            some = days[start : start + _AT_ONCE]
            day_visits.remove(
                client, self.layout,
                "run < {run:UInt64} AND "
                "has(arrayZip({sites:Array(String)}, {days:Array(Date)}), (toString(site), day))",
                {"sites": [site for site, _ in some], "days": [day for _, day in some], "run": before},
            )  # fmt: skip

    def late(self, client: Client, heads: Iterable[tuple[str, str]]) -> None:
        """A batch is in the store: reopen the days before today that it has rows of. `heads` are site and time."""
        self.reopen(client, {(site, self.day_of(at)) for site, at in {(site, at[:16]) for site, at in heads}})

    def states(self, client: Client, site: str = "") -> dict[SiteDay, State]:
        """The latest marker of every day that ever had one."""
        where = " WHERE site = {site:String}" if site else ""
        rows = client.query(_STATE.format(where=where), parameters={"site": site}).result_rows
        return {(str(one), day): State(*map(int, state)) for one, day, *state in rows}

    def closed(self, client: Client, site: str, register: int) -> dict[date, int]:
        """The closed days of a site, each with its run. Only what was worked out by these very queries counts."""
        return {
            day: state.run
            for (_, day), state in self.states(client, site).items()
            if state.run and state.register == register
        }

    def begin(self, client: Client, site: str, day: date) -> int:
        """A new run for a day, which is open from here on. It closes only if nothing opens it once more."""
        self._open(client, [site], [day])
        return self.states(client, site)[site, day].version

    def close(self, client: Client, site: str, day: date, run: int, register: int, rows: int) -> None:
        """The run's numbers are all there."""
        values = {"site": site, "day": day, "run": run, "register": register, "rows": rows}
        client.command(
            f"INSERT INTO {self.layout.local('closed')} SELECT {{site:String}}, {{day:Date}}, {{run:UInt64}} + 1, "
            "{run:UInt64}, {register:UInt64}, {rows:UInt64}",
            parameters=values, settings=self.layout.insert_settings,
        )  # fmt: skip

    def now(self, client: Client) -> int:
        """The moment as a version, by the clock of the store."""
        return int(client.query("SELECT toUnixTimestamp64Micro(now64(6))").result_rows[0][0])

    def mutations(self, client: Client) -> tuple[int, int]:
        """Changes of the events that the engine was ever asked for, and how many are not done yet."""
        (counts,) = client.query(
            f"SELECT count(), countIf(NOT is_done AND NOT is_killed) FROM {self.layout.mutations} "
            "WHERE database = {database:String} AND table = {table:String}",
            parameters={"database": DATABASE, "table": self.layout.local("events")},
        ).result_rows
        return int(counts[0]), int(counts[1])

    def clear(self, client: Client, before: int) -> int:
        """Remove the numbers of runs that nobody reads any more, begun before a moment (a version). How many runs."""
        right = {state.run for state in self.states(client).values()}
        for month, run in day_visits.passing(client, self.layout, before):
            day_visits.drop(client, self.layout, month, run)
        stale: set[int] = set()
        for table in ("days", "day_visits"):
            rows = client.query(f"SELECT DISTINCT run FROM {table} WHERE run < {{before:UInt64}}",
                                parameters={"before": before}).result_rows  # fmt: skip
            runs = sorted({int(run) for (run,) in rows} - right)
            stale.update(runs)
            for start in range(0, len(runs), _AT_ONCE):
                some = {"runs": runs[start : start + _AT_ONCE]}
                name = f"{self.layout.local(table)}{self.layout.on_cluster}"
                client.command(f"ALTER TABLE {name} DELETE WHERE run IN {{runs:Array(UInt64)}}", parameters=some)
        return len(stale)

    def forget(self, client: Client) -> None:
        """All is open: the events came back from a backup."""
        for table in ("closed", "days"):
            client.command(f"TRUNCATE TABLE {DATABASE}.{self.layout.local(table)}{self.layout.on_cluster}")
        day_visits.remove(client, self.layout, "passing = 0", {})

    def _open(self, client: Client, sites: list[str], days: list[date]) -> None:
        client.command(
            _OPEN.format(table=self.layout.local("closed")),
            parameters={"sites": sites, "days": days},
            settings=self.layout.insert_settings,
        )


@lru_cache(4096)
def _day_of(minute: str, zone: ZoneInfo) -> date:
    return datetime.fromisoformat(f"{minute}+00:00").astimezone(zone).date()
