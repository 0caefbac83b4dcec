"""How lines of the spool get into a table: by one insert, as one block and so as one part, all of them or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from clickhouse_connect.driver.client import Client

from ..rule.columns import COLUMNS

_SETTINGS: dict[str, Any] = {
    "input_format_skip_unknown_fields": 1,  # the check sum and the event's id
    "input_format_allow_errors_num": 0,
    "input_format_parallel_parsing": 0,  # one block
    "max_insert_block_size": 1_000_000,
    "min_insert_block_size_rows": 1_000_000,
    "insert_deduplicate": 1,
}
_ONE_BLOCK = {"max_block_size": 1_000_000, "max_threads": 1}
_NAMES = ", ".join(f"`{column.name}`" for column in COLUMNS)
# words as plain strings: a dictionary column is made of them at once, where reading into one goes value by value
_READ_AS = ", ".join(f"`{column.name}` {column.type.replace('LowCardinality(String)', 'String')}" for column in COLUMNS)


def insert_lines(client: Client, table: str, lines: bytes, settings: Mapping[str, Any], query_id: str) -> None:
    """Insert JSON lines with columns of the register.

    The embedded engine reads them from a file that is in memory only, and takes half the time when it need not read
    them into the table's own types. A server could do so too (`input()`), but the right to do it is another, and only a
    server can show which.
    """
    settings = _SETTINGS | dict(settings)
    if not client.uri.startswith("chdb:"):
        client.raw_insert(table, insert_block=lines, fmt="JSONEachRow", settings=settings | {"query_id": query_id})
        return
    with open(os.memfd_create("lines"), "wb") as file:
        file.write(lines)
        file.flush()
        told = ", ".join(f"{name} = {_quoted(value)}" for name, value in (settings | _ONE_BLOCK).items())
        client.command(
            f"INSERT INTO {table} ({_NAMES}) SETTINGS {told} "
            f"SELECT {_NAMES} FROM file('/proc/self/fd/{file.fileno()}', 'JSONEachRow', {_quoted(_READ_AS)})"
        )


def _quoted(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
