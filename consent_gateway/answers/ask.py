"""From a question to the rows of a report: the query is put together, bounded, and asked.

What is closed is read from the tables of closed days (see `store.days`), the rest from the events; both are added up
here, small groups are folded, and the figures are worked out from the sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from ..rule.errors import ConfigError
from .dimensions import DIMENSIONS
from .figures import FIGURES
from .question import Question, midnight
from .relations import NOT_NEEDED, Relations, Span, key_columns
from .reports import Report

Rows = list[dict[str, Any]]
Runs = Mapping[date, int]  # closed days, and the run of the job that is right for each

LIMITS: Mapping[str, Any] = MappingProxyType({
    "max_execution_time": 30, "max_memory_usage": 2_000_000_000, "max_result_rows": 100_000,
    "max_rows_to_read": 2_000_000_000, "max_bytes_to_read": 200_000_000_000, "readonly": 2,
})  # fmt: skip
LIVE_MS = 30 * 60_000
OTHER = "other"
_COARSE = {"week": "toMonday({day})", "month": "toStartOfMonth({day})", "day": "{day}"}
_NOTHING: Runs = MappingProxyType({})
_OF_VISITOR = {name for name, dimension in DIMENSIONS.items() if dimension.level == "visitor"}  # the same all day


@dataclass(frozen=True, slots=True)
class Query:
    """One statement and its parameters."""

    sql: str
    parameters: dict[str, Any]


def ask(
    client: Client,
    report: Report,
    question: Question,
    *,
    closed: Runs = _NOTHING,
    passing: Runs = _NOTHING,
    minimum: int = 0,
) -> Rows:
    """The rows of a report, each a mapping of its columns. Of `closed` days its numbers are ready, and the visits; of
    those of `passing` runs just the visits. Groups of fewer than `minimum` daily visitors are folded into "other",
    which is left out when it is as small."""
    if report.whole:
        query = whole(report, question, visits={**closed, **passing})
    else:
        query = facts(report, question, closed=closed, passing=passing, minimum=minimum)
    answer = client.query(query.sql, parameters=query.parameters, settings=dict(LIMITS))
    return [dict(zip(report.columns, row, strict=True)) for row in answer.result_rows]


def total(
    client: Client, report: Report, question: Question, *, closed: Runs = _NOTHING, passing: Runs = _NOTHING
) -> dict[str, Any]:
    """The figures of all its rows together, also of those beyond the limit; empty for a whole report.

    Who is in several rows (who read two pages, say) would count twice, so there is no number of visitors then.
    """
    if report.whole or report.single:
        return {}
    figures = ask(client, replace(report, single=True), question, closed=closed, passing=passing)[0]
    if not report.over_time and any(key.dimension not in _OF_VISITOR for key in report.keys):
        figures |= {"visitors": None} if "visitors" in figures else {}
    return figures


def beside(report: Report, rows: Rows, before: Rows, question: Question) -> Rows:
    """Each row with what it is compared with: every figure again as `NAME_before`, empty where there was none. A moment
    stands beside that which is as far from the beginning of its days, all else by its keys."""
    names = [] if report.single else [key.name for key in report.keys]
    then = question.before()
    assert then is not None

    def keys(rows: Rows, moments: Sequence[str]) -> list[tuple[Any, ...]]:
        places = {moment: place for place, moment in enumerate(moments)}
        return [tuple(places.get(row[name]) if name == "period" else row[name] for name in names) for row in rows]

    known = dict(zip(keys(before, then.moments()), before, strict=True))
    nothing: dict[str, Any] = {}
    return [
        row | {f"{name}_before": known.get(key, nothing).get(name) for name in report.figures}
        for key, row in zip(keys(rows, question.moments()), rows, strict=True)
    ]


def whole(report: Report, question: Question, *, visits: Runs = _NOTHING) -> Query:
    """The query of a report whose file answers everything itself."""
    if len(question.steps) < report.steps:
        raise ConfigError(f"{report.name} needs at least {report.steps} steps: step=/cart step=event:order")
    relations = _relations(report, question, _days(question), visits)
    text = relations.text()
    kinds, values = zip(*map(_step, question.steps), strict=True) if question.steps else ((), ())
    relations.parameters |= {"kinds": list(kinds), "values": list(values), "steps": list(question.steps)}
    return Query(f"{text}\n{report.sql}", relations.parameters)


def facts(
    report: Report, question: Question, *, closed: Runs = _NOTHING, passing: Runs = _NOTHING, minimum: int = 0
) -> Query:
    """The query that adds up facts: of closed days from their table, of the others from events and visits."""
    if report.single:  # daily visitors, whatever the interval of a time line beside it
        question = replace(question, interval="day")
    usable = closed if report.closed and _reads_closed(report, question) else _NOTHING
    days = _days(question)
    runs = [usable[day] for day in days if day in usable]
    read = [day for day in days if day not in usable]
    by_day = report.over_time and question.interval in _COARSE  # a text for each row would be dear
    own = replace(question, interval=NOT_NEEDED) if by_day else question
    relations = _relations(report, own, read, {**closed, **passing})
    text, keys = relations.text() if read else "", key_columns(report)
    parts = [report.sql] if read else []
    if runs:
        relations.parameters |= {"report": report.file or report.name, "runs": runs, "first": days[0], "last": days[-1]}
        parts.append(_closed(["0 AS key"] if by_day else keys, report.counts))
    where = relations.on_keys()
    if report.single:
        keys = []
    named = list(keys)
    if keys and by_day:
        named[0] = f"toString({_COARSE[question.interval].format(day='facts.day')}) AS key"
    sums = [f"sum(facts.{count}) AS {count}" for count in report.counts]
    by = f" GROUP BY {', '.join(keys)}" if keys else ""
    together = "\nUNION ALL\n".join(parts)
    query = f"SELECT {', '.join([*named, *sums])} FROM (\n{together}\n) AS facts{where}{by}"
    folds = minimum > 0 and bool(keys) and not report.over_time and "visitors" in report.counts
    if folds:
        relations.parameters["minimum"] = minimum
        query = _folded(query, keys, report.counts)
    columns = [f"{column} AS `{key.name}`" for column, key in zip(keys, report.keys, strict=False)]
    columns += [f"{FIGURES[name].expression} AS `{name}`" for name in report.figures]
    order = [f"key = '{OTHER}'"] if folds else []
    order += [report.order] if report.order and keys else []
    order += keys
    query = f"SELECT {', '.join(columns)} FROM ({query})"
    if order:
        query += f" ORDER BY {', '.join(order)} LIMIT {{limit:UInt32}}"
    return Query(f"{text}\n{query}", relations.parameters)


def _step(step: str) -> tuple[str, str]:
    if step.startswith("event:"):
        return "event", step.removeprefix("event:")
    return ("start", step[:-1]) if step.endswith("*") else ("page", step)


def counted(report: Report, question: Question, run: int) -> Query:
    """The query of a report's whole numbers by its keys, as they are kept for a day that is closed. The visits of the
    day are there, by that run."""
    question = replace(question, interval=NOT_NEEDED)
    relations = _relations(report, question, [question.first], {question.first: run})
    columns = ", ".join([*key_columns(report), *(f"sum(facts.{count}) AS {count}" for count in report.counts)])
    by = ", ".join(key_columns(report))
    text = f"{relations.text()}\nSELECT {columns} FROM (\n{report.sql}\n) AS facts GROUP BY {by}"
    return Query(text, relations.parameters)


def uses_visits(report: Report, question: Question) -> bool:
    """Does the answer need what visits did on the days that are read? Only of whole days, of everybody but programs, it
    may lie ready."""
    whole_days = not (question.bots or report.bots or report.live)
    return whole_days and Relations(report, question, []).uses_visits


def _relations(report: Report, question: Question, days: list[date], visits: Runs) -> Relations:
    if report.live:
        return Relations(report, question, [(question.now - LIVE_MS, question.now + 1)])
    if question.bots or report.bots:
        visits = _NOTHING
    others = _spans(question.zone, [day for day in days if day not in visits])
    return Relations(
        report, question, _spans(question.zone, days), [visits[day] for day in days if day in visits], others
    )


def _days(question: Question) -> list[date]:
    return [question.first + timedelta(days=number) for number in range(question.days)]


def _spans(zone: ZoneInfo, days: list[date]) -> list[Span]:
    """The moments of days; those that follow each other are one span."""
    spans: list[Span] = []
    for day in days:
        start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        if spans and spans[-1][1] == start:
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def _reads_closed(report: Report, question: Question) -> bool:
    """Closed days hold everybody but programs, divided by the report's own keys only."""
    own = {key.dimension for key in report.keys}
    fine = report.over_time and question.interval not in _COARSE
    return not question.bots and not fine and all(one.dimension in own for one in question.filters)


def _closed(keys: Sequence[str], counts: Sequence[str]) -> str:
    columns = ["day", *keys, *(f"counts[{place}] AS {count}" for place, count in enumerate(counts, 1))]
    return (
        f"SELECT {', '.join(columns)} FROM days WHERE site = {{site:String}} AND report = {{report:String}} "
        "AND day >= {first:Date} AND day <= {last:Date} AND run IN {runs:Array(UInt64)}"
    )


def _folded(query: str, keys: Sequence[str], counts: Sequence[str]) -> str:
    small = "groups.visitors < {minimum:UInt32}"
    named = ", ".join(f"if({small}, '{OTHER}', groups.{key}) AS {key}" for key in keys)
    sums = ", ".join(f"sum(groups.{count}) AS {count}" for count in counts)
    having = f"GROUP BY {', '.join(keys)} HAVING visitors >= {{minimum:UInt32}}"
    return f"SELECT {named}, {sums} FROM ({query}) AS groups {having}"
