"""Answers as files: a report's rows as CSV or JSON lines. Events and visits write themselves: see `ranges`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from .reports import Report


def to_csv(report: Report, rows: list[dict[str, Any]]) -> str:
    """RFC 4180, with what the rows are compared with. A cell that a spreadsheet would take for a formula gets an
    apostrophe in front."""
    names = [*report.columns, *(name for name in (rows[0] if rows else ()) if name not in report.columns)]
    return _csv(names, ([row[name] for name in names] for row in rows))


def to_lines(report: Report, rows: list[dict[str, Any]]) -> str:
    """JSON lines: an object a line, its keys the report's columns."""
    return "".join(
        json.dumps({column: row[column] for column in report.columns}, ensure_ascii=False) + "\n" for row in rows
    )


def head(names: Iterable[str]) -> str:
    """The first line of a CSV file."""
    return _csv(names, [])


def _csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not isinstance(value, int | float) else text
