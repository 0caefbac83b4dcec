"""What is held about one person: found in the spool and in the store, counted, and put in words, as JSON and as CSV.

A person is found by the number that rows carry, never by an address or by anything that others may share. The address
is decrypted for the person whose it is, and only here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from ..config.notices import words
from ..config.policy import Policy
from ..record.keys import Keys
from ..record.spool import Spool, is_whole
from ..rule.columns import COLUMNS, NAMES
from ..rule.privacy import Row
from ..store.layout import Layout

MOST_ROWS = 50_000  # of one export; a person with more gets the newest, and is told
_SECONDS = 30
_NUMBERS = {column.name for column in COLUMNS if column.type == "UInt64"}  # too long for JavaScript: as text
_SELECT = ", ".join(
    f"toString(`{column.name}`) AS `{column.name}`"
    if column.type.startswith("DateTime64") or column.name in _NUMBERS
    else f"`{column.name}`"
    for column in COLUMNS
)


def stored(client: Client, person: int) -> list[Row]:
    """The rows of a person in the store, the newest first; those kept aside say so."""
    found: list[Row] = []
    for table, aside in (("events", False), ("held", True)):
        final = " FINAL" if aside else ""
        answer = client.query(
            f"SELECT {_SELECT} FROM {table} AS rows{final} WHERE rows.person = {{person:UInt64}} "
            f"ORDER BY rows.at DESC LIMIT {MOST_ROWS + 1}",
            parameters={"person": person},
            settings={"max_execution_time": _SECONDS},
        )
        found += [dict(zip(answer.column_names, row, strict=True)) | {"aside": aside} for row in answer.result_rows]
    return found


def count(client: Client, person: int, layout: Layout) -> dict[str, int]:
    """How many rows each table has of a person."""
    return {
        table: int(
            client.query(
                f"SELECT count() FROM {table} WHERE person = {{person:UInt64}}",
                parameters={"person": person},
                settings=layout.count_settings,
            ).result_rows[0][0]
        )
        for table in ("events", "held")
    }


def waiting(spool: Spool, person: int) -> Iterator[tuple[Path, bytes]]:
    """The lines of a person in all three folders of the spool, damaged ones too, each with its segment."""
    mark = b'"person":%d' % person
    for folder in (spool.open, spool.sealed, spool.aside):
        for path in folder.iterdir():
            try:
                lines = path.read_bytes().splitlines(keepends=True)
            except FileNotFoundError:  # it went to the store while we looked
                continue
            for line in lines:
                if (at := line.find(mark)) >= 0 and not line[at + len(mark) : at + len(mark) + 1].isdigit():
                    yield path, line


def on_the_way(spool: Spool, person: int) -> list[Row]:
    """Rows of a person that the store does not have yet, as they would be written."""
    lines = (line for _, line in waiting(spool, person) if is_whole(line.rstrip(b"\n")))
    return [_as_text({name: row[name] for name in NAMES if name in row}) for row in map(msgspec.json.decode, lines)]


def _as_text(row: Row) -> Row:
    return {name: str(value) if name in _NUMBERS else value for name, value in row.items()}


def export(rows: list[Row], keys: Keys, policy: Policy, language: str) -> dict[str, Any]:
    """Rows with the words that explain them: of each column what it holds, why it is kept, and for how long."""
    say = words("notice", language)
    complete = len(rows) <= MOST_ROWS
    return {
        "complete": complete,
        "columns": [
            {
                "name": column.name,
                "words": say["data"][column.group],
                "purpose": policy.purpose(column.purpose).names[language],
                "basis": say["basis"][policy.purpose(column.purpose).basis.value],
                "source": column.source,
                "kept_days": policy.column_days(column),
            }
            for column in COLUMNS
        ],
        "rows": [readable(row, keys) for row in rows[:MOST_ROWS]],
    }


def readable(row: Row, keys: Keys) -> Row:
    """A row without what is empty, its address decrypted for whose it is."""
    shown = {name: value for name, value in row.items() if value not in ("", None, {}, [], ())}
    if address := shown.get("address"):
        shown["address"] = keys.decrypt_address(str(address)) or "its key was destroyed"
    return shown


def as_csv(rows: list[Row]) -> str:
    """All rows, one a line; lists and tables in a cell as JSON. A cell that a spreadsheet would run begins with `'`."""
    text = io.StringIO()
    names = [*NAMES, "aside"]
    writer = csv.DictWriter(text, names, restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(row.get(name, "")) for name in names})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value[:1] else value
