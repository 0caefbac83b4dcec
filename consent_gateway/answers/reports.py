"""The register of reports. A report is a file in `queries/` and a row here; CLI, JSON, CSV and page list it at once.

Each query has the same typed parameters: site, first and last moment (milliseconds), time zone, whether bots count, and
how many rows. Results are small: bounded in rows, time and memory by the engine.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from ..rule.errors import ConfigError

_QUERIES = Path(__file__).parent / "queries"
_LIMITS = {"max_execution_time": 30, "max_memory_usage": 2_000_000_000, "max_result_rows": 100_000, "readonly": 2}
MOST_ROWS = 10_000
DEFAULT_DAYS = 30
MOST_DAYS = 1100
_YEARS = range(1971, 2100)


@dataclass(frozen=True, slots=True)
class Report:
    """One analytics question. `columns` are what its query answers, in order, and how a person reads them."""

    name: str
    title: str
    words: str
    columns: dict[str, str]

    @property
    def sql(self) -> str:
        return _sql(self.name)


@cache
def _sql(name: str) -> str:
    return (_QUERIES / f"{name}.sql").read_text()


_COUNTS = {"visitors": "Daily visitors", "page_views": "Page views"}

REPORTS: dict[str, Report] = {
    report.name: report
    for report in (
        Report("overview", "Overview", "daily visitors and page views, day by day", {"day": "Day"} | _COUNTS),
        Report("pages", "Pages", "the pages read most", {"path": "Page"} | _COUNTS),
        Report("referrers", "Referrers", "the sites that visits came from", {"referrer": "Referrer"} | _COUNTS),
        Report("channels", "Channels", "the kinds of ways that led here", {"channel": "Channel"} | _COUNTS),
        Report(
            "countries", "Countries", "where the visitors' networks are registered", {"country": "Country"} | _COUNTS
        ),
        Report("browsers", "Browsers", "what the visitors browse with", {"browser": "Browser"} | _COUNTS),
    )
}

# the one report that no query answers: it counts what never reached the store, too, since this host's books began
BOOKS = Report("books", "Books", "what became of every event, on this host", {"term": "What", "events": "Events"})
ALL = REPORTS | {BOOKS.name: BOOKS}


@dataclass(frozen=True, slots=True)
class Question:
    """Which site and days a report is about. `first` and `last` are days in the owner's time zone, both included."""

    site: str
    first: date
    last: date
    zone: ZoneInfo
    bots: bool = False
    limit: int = 100

    @classmethod
    def parse(cls, values: dict[str, str], *, sites: frozenset[str], zone: ZoneInfo, today: date) -> Question:
        """Out of a query string or a command line: `site`, `from`, `to`, `bots`, `limit`, each optional."""
        unknown = values.keys() - {"site", "from", "to", "bots", "limit"}
        if unknown:
            raise ConfigError(f"{sorted(unknown)[0]!r} is no filter: allowed are site, from, to, bots and limit")
        site = values.get("site") or min(sites)
        if site not in sites:
            raise ConfigError(f"site is {site!r}: allowed are {', '.join(sorted(sites))}")
        last = _day("to", values.get("to"), today)
        first = _day("from", values.get("from"), last - timedelta(days=DEFAULT_DAYS - 1))
        if first > last:
            raise ConfigError(f"from is {first} and to is {last}: allowed is a first day not after the last")
        if (last - first).days >= MOST_DAYS:
            raise ConfigError(
                f"from {first} to {last} is too long: allowed are {MOST_DAYS} days, the retention is shorter"
            )
        limit = values.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST_ROWS:
            raise ConfigError(f"limit is {limit!r}: allowed is a number from 1 to {MOST_ROWS}")
        bots = values.get("bots", "no").lower()
        if bots not in ("yes", "no"):
            raise ConfigError(f"bots is {bots!r}: allowed are yes and no")
        return cls(site, first, last, zone, bots == "yes", int(limit))

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "site": self.site,
            "start": _midnight(self.first, self.zone),
            "end": _midnight(self.last + timedelta(days=1), self.zone),
            "zone": self.zone.key,
            "bots": int(self.bots),
            "limit": self.limit,
        }


def ask(client: Client, report: Report, question: Question) -> list[dict[str, Any]]:
    """The rows of a report, each a mapping of its columns."""
    answer = client.query(report.sql, parameters=question.parameters, settings=_LIMITS)
    return [dict(zip(report.columns, row, strict=True)) for row in answer.result_rows]


def to_csv(report: Report, rows: list[dict[str, Any]]) -> str:
    """RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(report.columns)
    writer.writerows([_cell(row[column]) for column in report.columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not isinstance(value, int | float) else text


def _day(name: str, text: str | None, otherwise: date) -> date:
    if not text:
        return otherwise
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.year not in _YEARS:
        raise ConfigError(f"{name} is {text!r}: allowed is a day like 2026-11-22")
    return day


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
