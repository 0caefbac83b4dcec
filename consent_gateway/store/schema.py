"""The tables, made from the column register: types, comments, and TTLs that keep data no longer than its purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clickhouse_connect.driver.client import Client

from ..record.ledger import Stop
from ..rule.columns import COLUMNS, RETENTION_DAYS, Column
from ..rule.purposes import ANALYTICS, MEASUREMENT
from . import days, migrations, views
from .client import DATABASE
from .held import HASH
from .layout import SINGLE, Layout

SORT_KEY = ("site", "toDate(at)", "type", "path", "visitor", "at")
STOP_DAYS = RETENTION_DAYS[ANALYTICS] + 31  # outlives every row and every cookie that it could be about
_REQUEST_COLUMNS = """\
    `host` LowCardinality(String) COMMENT 'the host whose register it is in',
    `number` UInt32 COMMENT 'its number there',
    `right` LowCardinality(String) COMMENT 'what is asked for',
    `site` LowCardinality(String) COMMENT 'the site, by its name in the settings',
    `state` LowCardinality(String) COMMENT 'open, done, refused or closed',
    `received` Date COMMENT 'the day it was received',
    `due` Date COMMENT 'when the answer is promised',
    `legal_limit` Date COMMENT 'the last day that the law allows',
    `extended` Bool COMMENT 'to three months, with a reason',
    `held` Bool COMMENT 'data are kept for a legal claim',
    `person` UInt64 COMMENT 'the durable pseudonym, where one could be found',
    `proof` String COMMENT 'what was counted when it was done, as JSON',
    `entries` UInt32 COMMENT 'how many entries the register has of it',
    `changed` DateTime64(3, 'UTC') COMMENT 'when the last one was made'"""
_WHYS = ", ".join(f"'{why.name.lower()}' = {why.value}" for why in Stop)
_STOP_COLUMNS = f"""\
    `person` UInt64 COMMENT 'whose consent ended, who objected or was erased',
    `at` DateTime64(3, 'UTC') COMMENT 'since when',
    `why` Enum8({_WHYS}) COMMENT 'what happened',
    `host` LowCardinality(String) COMMENT 'the host that published it',
    `received` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when it was told, by the clock of the store'"""


def statements(layout: Layout = SINGLE, *, several_hosts: bool = False, zone: str = "UTC") -> Iterator[str]:
    """What makes the tables and views, in order. Only several hosts need `stops`: one has the file of them."""
    yield from tables(layout, several_hosts=several_hosts)
    yield from (statement for _, statement, _ in views.statements(zone, layout))


def tables(layout: Layout = SINGLE, *, several_hosts: bool = False) -> Iterator[str]:
    """What makes the tables."""
    yield events_table(layout)
    if layout.cluster:
        yield layout.distributed("events", _columns(ttl=False))
    yield held_table(layout)
    if layout.cluster:
        yield layout.distributed("held", _held_columns())
    yield requests_table(layout)
    if layout.cluster:
        yield layout.distributed("rights_requests", _REQUEST_COLUMNS)
    if several_hosts:
        yield stops_table(layout)
        yield (  # an older version's knows fewer reasons
            f"ALTER TABLE {DATABASE}.{layout.local('stops')}{layout.on_cluster} MODIFY COLUMN `why` Enum8({_WHYS})"
        )
        if layout.cluster:
            yield layout.distributed("stops", _STOP_COLUMNS)
    yield from days.statements(layout)
    yield from migrations.table(layout)


def events_table(layout: Layout = SINGLE) -> str:
    """The statement that makes `events`. One partition a month of `at`, as a segment has one month."""
    return (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local('events')}{layout.on_cluster}\n(\n{_columns()}\n)\n"
        f"ENGINE = {layout.engine('events')}\nPARTITION BY toYYYYMM(at)\nORDER BY ({', '.join(SORT_KEY)})\n"
        f"TTL toDateTime(received_at) + INTERVAL {RETENTION_DAYS[MEASUREMENT]} DAY\n"
        f"SETTINGS {layout.remembers}, old_parts_lifetime = 60, {layout.durable}"
    )


def held_table(layout: Layout = SINGLE) -> str:
    """The statement that makes `held`: rows of `events` that are kept aside, without a TTL. A row that was copied twice
    becomes one: `held_copy` counts rows that are equal."""
    return (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local('held')}{layout.on_cluster}\n(\n{_held_columns()}\n)\n"
        f"ENGINE = {layout.engine('held', 'Replacing')}\nORDER BY (person, batch, held_hash, held_copy)\n"
        f"SETTINGS {layout.remembers}, old_parts_lifetime = 60, {layout.durable}"
    )


def _held_columns() -> str:
    return (
        f"{_columns(ttl=False)},\n"
        f"    `held_hash` UInt64 DEFAULT {HASH} COMMENT 'what the row holds',\n"
        "    `held_copy` UInt64 DEFAULT rowNumberInBlock() COMMENT 'which of equal rows'"
    )


def requests_table(layout: Layout = SINGLE) -> str:
    """The statement that makes `rights_requests`: a copy of the register, of each request the row that says most."""
    return (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local('rights_requests')}{layout.on_cluster}\n"
        f"(\n{_REQUEST_COLUMNS}\n)\n"
        f"ENGINE = {layout.engine('rights_requests', 'Replacing').removesuffix(')')}"
        f"{', entries)' if layout.cluster else '(entries)'}\nORDER BY (host, number)"
    )


def stops_table(layout: Layout) -> str:
    """The statement that makes `stops`: how the hosts tell each other. The same stop told twice becomes one row."""
    return (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local('stops')}{layout.on_cluster}\n(\n{_STOP_COLUMNS}\n)\n"
        f"ENGINE = {layout.engine('stops', 'Replacing')}\nORDER BY (person, at, why)\n"
        f"TTL toDateTime(at) + INTERVAL {STOP_DAYS} DAY"
    )


def _columns(*, ttl: bool = True) -> str:
    """The columns as the register has them; a distributed table has no TTL."""
    return ",\n".join(f"    {_column(column, ttl=ttl)}" for column in COLUMNS)


def _column(column: Column, *, ttl: bool) -> str:
    words = column.words.replace("'", "\\'")
    line = f"`{column.name}` {column.type} COMMENT '{words}'"
    if ttl and column.kept_days < RETENTION_DAYS[MEASUREMENT]:
        line += f" TTL toDateTime(received_at) + INTERVAL {column.kept_days} DAY"
    return line


def apply(client: Client, layout: Layout = SINGLE, *, several_hosts: bool = False, zone: str = "UTC") -> None:
    """Bring tables of an earlier version up, and make what is not there; a view that says something else (another time
    zone, a new version) is replaced. `StoreError` when the tables are of a newer version than ours."""
    before = migrations.bring_up(client, layout)
    for statement in tables(layout, several_hosts=several_hosts):
        client.command(statement)
    if before is None:
        migrations.begin(client, layout)
    found = client.query(
        "SELECT name, comment FROM system.tables WHERE database = {database:String} AND engine = 'View'",
        parameters={"database": DATABASE},
    ).result_rows
    known = {str(name): str(comment) for name, comment in found}
    for name, statement, comment in views.statements(zone, layout):
        if known.get(name) != comment:
            client.command(statement)


def inspect(client: Client, layout: Layout = SINGLE) -> dict[str, Any]:
    """What `doctor` asks: version, rows, where the live table differs from the register (columns, types, comments, sort
    key), parts that the engine set aside as damaged."""
    table = {"table": layout.local("events"), "database": DATABASE}
    where = "WHERE database = {database:String} AND table = {table:String}"
    columns = client.query(f"SELECT name, type, comment FROM system.columns {where}", parameters=table).result_rows
    live = {name: kind for name, kind, _ in columns}
    said = {name: comment for name, _, comment in columns}
    wanted = {column.name: column.type for column in COLUMNS}
    drift = [f"{name} is missing" for name in wanted.keys() - live.keys()]
    drift += [f"{name} is in no register" for name in live.keys() - wanted.keys()]
    drift += [f"{name} is {live[name]}, not {kind}" for name, kind in wanted.items() if live.get(name, kind) != kind]
    drift += [f"{one.name} says {said[one.name]!r}" for one in COLUMNS if said.get(one.name, one.words) != one.words]
    key = client.query(
        "SELECT sorting_key FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        parameters=table,
    ).result_rows
    drift += [f"rows are sorted by {found}" for (found,) in key if found != ", ".join(SORT_KEY)]
    parts = client.query(f"SELECT name FROM system.detached_parts {where}", parameters=table).result_rows
    return {
        "version": client.command("SELECT version()"),
        "tables": migrations.version(client, layout),
        "oldest": client.command(f"SELECT toUnixTimestamp(min(received_at)) FROM {layout.local('events')}"),
        "rows": client.command(f"SELECT count() FROM {layout.local('events')}"),
        "drift": sorted(drift),
        "detached": [name for (name,) in parts],
    }
