"""Events and visits of a whole range, for a file: a day at a time, in slices of some thousand rows, so that neither the
store nor anybody after it holds more than one of them.

Least data: columns that need consent come only when asked for, and the address, which is stored encrypted, never. With
the policy's `minimum_group` single events and visits are not given away at all: reports are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from clickhouse_connect.driver.client import Client

from ..rule.columns import COLUMNS
from ..rule.purposes import ANALYTICS
from .ask import LIMITS
from .question import Question
from .relations import Relations, Span
from .reports import Report

Form = Literal["csv", "jsonl"]

SLICE_ROWS = 10_000  # about so many; a second is never cut in two
NEVER = frozenset({"address"})
_FORMATS = {"csv": "CSV", "jsonl": "JSONEachRow"}
_WRITTEN = {
    "date_time_output_format": "iso", "output_format_json_escape_forward_slashes": 0,
    "output_format_json_quote_64bit_integers": 0,
}  # fmt: skip
_FORMULA = r"^[=+\\-@\\t\\r]"  # what a spreadsheet takes for one
_WORD = "String"


@dataclass(frozen=True, slots=True)
class Range(Report):
    """What can be had whole: rows of the relation `source`, each with its moment in milliseconds. `types` are its
    columns, `said` how one is worked out where it isn't simply there, `consented` those that need consent."""

    source: str = ""
    moment: str = ""
    types: tuple[tuple[str, str], ...] = ()
    said: tuple[tuple[str, str], ...] = ()
    consented: frozenset[str] = frozenset()
    query: str = ""

    @property
    def sql(self) -> str:
        return self.query

    def names(self, *, consented: bool) -> list[str]:
        """Its columns, in order."""
        return [name for name, _ in self.types if consented or name not in self.consented]


def _of(name: str, words: str, source: str, moment: str, types: Mapping[str, str], said: Mapping[str, str]) -> Range:
    consented = frozenset(column.name for column in COLUMNS if column.purpose == ANALYTICS) & types.keys()
    return Range(
        name, name.capitalize(), words, "", (), (), whole=True, source=source, moment=moment,
        types=tuple(types.items()), said=tuple(said.items()), consented=consented,
    )  # fmt: skip


_TYPES = {column.name: column.type for column in COLUMNS if column.name not in NEVER}
_MOMENT = "fromUnixTimestamp64Milli(one.{0}, 'UTC')"
_OF_VISITS = (
    "country", "region", "browser", "browser_version", "os", "os_version", "device", "language", "referrer_host",
    "channel", "source", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
)  # fmt: skip

EVENTS = _of("events", "every event as it is stored", "rows", "toUnixTimestamp64Milli(one.at)", _TYPES, {})
VISITS = _of(
    "visits", "every visit, with its pages in order", "visits", "one.started",
    {"site": _WORD, "day": "Date", "visitor": "UInt64", "started": "time", "ended": "time", "duration_ms": "UInt32",
     "page_views": "UInt32", "bounced": "Bool", "entry_page": _WORD, "exit_page": _WORD, "paths": "Array(String)"}
    | dict.fromkeys(_OF_VISITS, _WORD),
    {"site": "{site:String}", "started": _MOMENT.format("started"), "ended": _MOMENT.format("ended"),
     "duration_ms": "toUInt32(one.duration_ms)", "page_views": "toUInt32(one.visit_views)",
     "bounced": "CAST(one.bounced AS Bool)"},
)  # fmt: skip
RANGES = {one.name: one for one in (EVENTS, VISITS)}


def slices(client: Client, one: Range, day: Question) -> list[tuple[int, int, int]]:
    """How a day (a question of one) is cut: from second, to second (excluded), rows."""
    counted = f"SELECT intDiv({one.moment}, 1000) AS second, count() AS number FROM {one.source} AS one GROUP BY second"
    placed = (
        f"SELECT second, number, intDiv(sum(number) OVER (ORDER BY second), {SLICE_ROWS}) AS slice FROM ({counted})"
    )
    query = f"SELECT min(second), max(second) + 1, sum(number) FROM ({placed}) GROUP BY slice ORDER BY slice"
    relations = Relations(replace(one, query=query), day, [(day.start, day.end)])
    answer = client.query(f"{relations.text()}\n{query}", parameters=relations.parameters, settings=dict(LIMITS))
    return [(int(start), int(end), int(rows)) for start, end, rows in answer.result_rows]


def rows(client: Client, one: Range, day: Question, span: Span, form: Form, *, consented: bool = False) -> bytes:
    """The rows of a slice (two seconds, the latter excluded), written out, oldest first, without a head."""
    columns = ", ".join(_column(one, name, form) for name in one.names(consented=consented))
    order = "one.at, one.view_id, one.type" if one is EVENTS else "one.started, one.visitor"
    query = (
        f"SELECT {columns} FROM {one.source} AS one WHERE {one.moment} >= {{slice_from:Int64}} * 1000 "
        f"AND {one.moment} < {{slice_to:Int64}} * 1000 ORDER BY {order}"
    )
    alone = one is EVENTS and not day.filters  # with filters what happened elsewhere on the day may decide
    spans = [(span[0] * 1000, span[1] * 1000)] if alone else [(day.start, day.end)]
    relations = Relations(replace(one, query=query), day, spans)
    relations.parameters |= {"slice_from": span[0], "slice_to": span[1]}
    text = f"{relations.text()}\n{query}"
    return client.raw_query(text, parameters=relations.parameters, settings=dict(LIMITS) | _WRITTEN, fmt=_FORMATS[form])


def _column(one: Range, name: str, form: Form) -> str:
    """One column as it is written. Pseudonyms are text in JSON: their 64 bits are more than its readers' numbers have.
    In CSV a cell that a spreadsheet would take for a formula gets an apostrophe in front, lists and maps are JSON."""
    kind, value = dict(one.types)[name], dict(one.said).get(name, f"one.{name}")
    if kind == "UInt64":
        value = f"toString({value})"
    elif form == "csv" and kind.startswith(("Array", "Map")):
        value = f"toJSONString({value})"
    elif form == "csv" and kind.endswith(("String", "String)")):
        value = f"if(match({value}, '{_FORMULA}'), concat('\\'', {value}), {value})"
    return f"{value} AS `{name}`"
