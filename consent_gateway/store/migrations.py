"""How the tables of an earlier version become today's: by number, forward only, each safe to run twice.

A new store is made by `schema`, and begins at the newest number. To change a table, change the register or `schema`,
and append a migration here; a test brings the tables of each earlier version up, with data in them, and compares them
with new ones. Tables of a newer version than this code knows are refused: what they hold would be misread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from ..rule.errors import StoreError
from .client import DATABASE
from .layout import SINGLE, Layout

FIRST = 1  # the version of tables that don't say theirs
TABLE = "migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """From the version before to `number`. Its statements change the local tables first, then those that read them."""

    number: int
    words: str
    statements: Callable[[Layout], Iterable[str]]


def _drop_visits(layout: Layout) -> Iterable[str]:
    """Its order changed. It is made anew, and its days with it."""
    for name in dict.fromkeys(("day_visits", layout.local("day_visits"))):
        yield f"DROP TABLE IF EXISTS {DATABASE}.{name}{layout.on_cluster} SYNC"


MIGRATIONS: tuple[Migration, ...] = (Migration(2, "visits of days with their parts", _drop_visits),)


def add_column(layout: Layout, tables: Sequence[str], definition: str) -> Iterable[str]:
    """The statements that add a column, `` `name` Type COMMENT '…' ``. One of `events` is one of `held` too."""
    for table in tables:
        for name in dict.fromkeys((layout.local(table), table)):
            yield f"ALTER TABLE {DATABASE}.{name}{layout.on_cluster} ADD COLUMN IF NOT EXISTS {definition}"


def newest(known: Sequence[Migration] = MIGRATIONS) -> int:
    return max((one.number for one in known), default=FIRST)


def version(client: Client, layout: Layout = SINGLE) -> int | None:
    """That of the live tables; `None` where there are none yet."""
    found = client.query(
        "SELECT name FROM system.tables WHERE database = {database:String}", parameters={"database": DATABASE}
    ).result_rows
    names = {str(name) for (name,) in found}
    if TABLE in names:
        latest = client.query(f"SELECT max(version) FROM {TABLE}").result_rows[0][0]
        return int(latest) or FIRST
    return FIRST if layout.local("events") in names else None


def bring_up(client: Client, layout: Layout = SINGLE, known: Sequence[Migration] = MIGRATIONS) -> int | None:
    """Run what is missing, and return the version that the tables had. `StoreError` when they are newer than we are."""
    here = version(client, layout)
    if here is not None and here > newest(known):
        raise StoreError(
            f"the tables are of version {here}, which a newer consent-gateway made; this one knows them up to "
            f"{newest(known)}: install the newer one, or restore a backup into a new store"
        )
    for migration in sorted(known, key=lambda one: one.number):
        if here is not None and migration.number > here:
            for statement in (*migration.statements(layout), *table(layout)):
                client.command(statement)
            _record(client, layout, migration.number, migration.words)
    return here


def begin(client: Client, layout: Layout = SINGLE, known: Sequence[Migration] = MIGRATIONS) -> None:
    """Note that tables which were just made are today's."""
    _record(client, layout, newest(known), "made new")


def table(layout: Layout = SINGLE) -> Iterable[str]:
    """What makes the table that says which migrations were run."""
    columns = (
        "    `version` UInt32 COMMENT 'the version of all tables since then',\n"
        "    `words` String COMMENT 'what was changed',\n"
        "    `at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when'"
    )
    yield (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local(TABLE)}{layout.on_cluster}\n(\n{columns}\n)\n"
        f"ENGINE = {layout.engine(TABLE)}\nORDER BY version"
    )
    if layout.cluster:
        yield layout.distributed(TABLE, columns)


def _record(client: Client, layout: Layout, number: int, words: str) -> None:
    sql = f"INSERT INTO {layout.local(TABLE)} (version, words) SELECT {{version:UInt32}}, {{words:String}}"
    client.command(sql, parameters={"version": number, "words": words})
