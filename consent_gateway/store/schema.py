"""The tables, made from the column register: types, comments, and TTLs that keep data no longer than its purpose."""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from ..rule.columns import COLUMNS, RETENTION_DAYS, Column
from ..rule.purposes import MEASUREMENT
from .client import DATABASE

# Inserts whose tokens are remembered. A batch is tried again within seconds, and counted first after a crash.
_TOKENS = 10_000

SORT_KEY = ("site", "toDate(at)", "type", "path", "visitor", "at")


def events_table() -> str:
    """The statement that makes `events`. One partition a month of `at`, as a segment has one month."""
    columns = ",\n".join(f"    {_column(column)}" for column in COLUMNS)
    return (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.events\n(\n{columns}\n)\n"
        f"ENGINE = MergeTree\nPARTITION BY toYYYYMM(at)\nORDER BY ({', '.join(SORT_KEY)})\n"
        f"TTL toDateTime(received_at) + INTERVAL {RETENTION_DAYS[MEASUREMENT]} DAY\n"
        f"SETTINGS non_replicated_deduplication_window = {_TOKENS}, old_parts_lifetime = 60"
    )


def _column(column: Column) -> str:
    words = column.words.replace("'", "\\'")
    line = f"`{column.name}` {column.type} COMMENT '{words}'"
    if column.kept_days < RETENTION_DAYS[MEASUREMENT]:
        line += f" TTL toDateTime(received_at) + INTERVAL {column.kept_days} DAY"
    return line


def apply(client: Client) -> None:
    """Make what is not there."""
    client.command(events_table())
