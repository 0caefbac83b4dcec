"""What a report's query reads: `rows`, the events that a question is about, and `visits`, made from them.

This is the one place that knows site, time, programs and filters, so that a report's file is about its figures only.
Text that came from outside is in typed parameters; the SQL here is made from the closed list of dimensions.
What a visit is, says `store.views`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ..rule.columns import NAMES
from ..rule.errors import ConfigError
from ..store.views import visits
from .dimensions import DIMENSIONS, PROPERTY, find
from .question import Filter, Question
from .reports import REPORTS, Key, Report

Span = tuple[int, int]  # moments in milliseconds, the second one excluded

_BUCKETS = {
    "minute": "formatDateTime({at}, '%Y-%m-%dT%H:%i', {{zone:String}})",
    "hour": "formatDateTime({at}, '%Y-%m-%dT%H:00', {{zone:String}})",
    "day": "toString(toDate({at}, {{zone:String}}))",
    "week": "toString(toMonday(toDate({at}, {{zone:String}})))",
    "month": "toString(toStartOfMonth(toDate({at}, {{zone:String}})))",
}
_TESTS = {
    "=": "{column} = {{{value}:String}}",
    "^": "startsWith({column}, {{{value}:String}})",
    "~": "positionCaseInsensitiveUTF8({column}, {{{value}:String}}) > 0",
}
_OF_VISITORS = [one.column for one in DIMENSIONS.values() if one.level == "visitor"]
_OF_ENTRY = [one.column for one in DIMENSIONS.values() if one.level == "visit" and not one.column.endswith("_page")]


@dataclass(frozen=True, slots=True)
class Condition:
    """All filters of one dimension that are negated, or that are not: `test` holds for any of them, `on_key` says the
    same of the report's key of that dimension."""

    dimension: str
    level: str
    test: str
    negated: bool
    on_key: str

    @property
    def sql(self) -> str:
        return f"NOT ({self.test})" if self.negated else f"({self.test})"


@dataclass
class Relations:
    """The `WITH` of a report's query, and its parameters. `spans` are the moments that it reads."""

    report: Report
    question: Question
    spans: Sequence[Span]
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        question, only = self.question, self.report.bots
        self.parameters |= {
            "site": question.site, "zone": question.zone.key, "limit": question.limit, "now": question.now,
            "bots_from": int(only), "bots": int(only or question.bots),
        }  # fmt: skip
        grouped = groupby(sorted(question.filters, key=_group), key=_group)
        self.conditions = [self._condition(name, negated, list(found)) for (name, negated), found in grouped]

    def text(self) -> str:
        """Only what the report's file names: what a query carries along for nothing costs more than its data."""
        if self.report.ledger:
            return f"WITH\nrecords AS ({self._records()})"
        words = set(re.findall(r"\w+", self.report.sql))
        of_visits = [*self._at("visit"), *self._at("happened")]
        parts = []
        if "rows" in words:
            source, where = "every", [one.sql for one in self._at("event")]
            if of_visits:
                chosen = _visits(of_visits, words | {"started", "ended"})
                parts.append(f"chosen AS (SELECT visitor, day, started, ended FROM ({chosen}))")
                source = "every INNER JOIN chosen ON every.visitor = chosen.visitor AND every.day = chosen.day"
                moment = "toUnixTimestamp64Milli(every.at)"
                where.append(f"{moment} >= chosen.started AND {moment} <= chosen.ended")
            parts.append(f"rows AS (SELECT every.* FROM {source}{_where(where)})")
        if "visits" in words:
            period = ""
            if "period" in words:
                period = f", {self._period('fromUnixTimestamp64Milli(started)')} AS period"
            all_visits = _visits([*of_visits, *self._at("event")], words | ({"started"} if period else set()))
            parts.append(f"visits AS (SELECT *{period} FROM ({all_visits}))")
        words |= set(re.findall(r"\w+", " ".join(parts)))
        return "WITH\n" + ",\n".join([f"every AS ({self._every(words)})", *parts])

    def on_keys(self) -> str:
        """A `WHERE` on the report's own keys. Of events it says nothing new, of closed days it is the filter."""
        return _where(f"{'NOT ' if one.negated else ''}({one.on_key})" for one in self.conditions if one.on_key)

    def _at(self, level: str) -> list[Condition]:
        return [one for one in self.conditions if one.level == level]

    def _records(self) -> str:
        """The choices on record. A copy of the ledger may have one twice, until the engine has merged it."""
        columns = "action, status, supersedes, granted, language, toDate(at, {zone:String}) AS day"
        where = _where(["site = {site:String}", self._moments()])
        return f"SELECT {columns}, {self._period('at')} AS period FROM consents FINAL{where}"

    def _moments(self) -> str:
        """Those of the spans, as a condition on `at`."""
        moments = []
        for number, (start, end) in enumerate(self.spans):
            self.parameters |= {f"start{number}": start, f"end{number}": end}
            moments.append(
                f"at >= fromUnixTimestamp64Milli({{start{number}:Int64}}, 'UTC') "
                f"AND at < fromUnixTimestamp64Milli({{end{number}:Int64}}, 'UTC')"
            )
        return f"({' OR '.join(moments)})" if moments else "0"

    def _every(self, words: set[str]) -> str:
        conditions = [
            "site = {site:String}",
            self._moments(),
            "bot >= {bots_from:UInt8} AND bot <= {bots:UInt8}",
            *(one.sql for one in self._at("visitor")),
        ]
        columns = [name for name in NAMES if name in words]
        columns += ["toDate(at, {zone:String}) AS day"] if "day" in words else []
        columns += [f"{self._period('at')} AS period"] if "period" in words else []
        return f"SELECT {', '.join(columns)} FROM events{_where(conditions)}"

    def _period(self, moment: str) -> str:
        return _BUCKETS[self.question.interval].format(at=moment)

    def _condition(self, name: str, negated: bool, filters: list[Filter]) -> Condition:
        dimension = find(name)
        assert dimension is not None
        keys = {} if self.report.whole else {key.dimension: column for key, column in named_keys(self.report)}
        level, column, more = dimension.level, dimension.column, ""
        if name in keys and level not in ("visitor", "event"):
            level = "key"
        elif level == "key":
            raise ConfigError(f"{name!r} is a filter of {_reports_with(name)} only")
        if self.report.ledger and level != "key":
            raise ConfigError(
                f"{self.report.name} comes from the ledger, which knows of no visitors: no filter {name!r}"
            )
        if name.startswith(PROPERTY):
            key = self._add(name.removeprefix(PROPERTY))
            column, more = f"props[{{{key}:String}}]", f" AND mapContains(props, {{{key}:String}})"
        elif level == "happened":
            more = " AND type = 'custom'"
        values = [(one.operator, self._add(one.value)) for one in filters]

        def any_of(column: str) -> str:
            return " OR ".join(_TESTS[operator].format(column=column, value=value) for operator, value in values)

        on_key = any_of(f"facts.{keys[name]}") if name in keys else ""
        return Condition(name, level, f"({any_of(column)}){more}", negated, on_key)

    def _add(self, value: str) -> str:
        name = f"value{len(self.parameters)}"
        self.parameters[name] = value
        return name


def key_columns(report: Report) -> list[str]:
    """What the keys are called in a file of facts: `key`, `key2`, …"""
    return ["key" if number == 1 else f"key{number}" for number in range(1, len(report.keys) + 1)]


def named_keys(report: Report) -> list[tuple[Key, str]]:
    """The keys, each with what it is called in a file of facts."""
    return list(zip(report.keys, key_columns(report), strict=True))


def _reports_with(dimension: str) -> str:
    return " and ".join(name for name, one in REPORTS.items() if dimension in {key.dimension for key in one.keys})


def _group(one: Filter) -> tuple[str, bool]:
    return one.dimension, one.negated


def _where(conditions: Iterable[str]) -> str:
    text = " AND ".join(conditions)
    return f" WHERE {text}" if text else ""


def _visits(conditions: Sequence[Condition], words: set[str]) -> str:
    """Those visits for which the conditions hold. Only what somebody names is carried along."""
    words = words | {word for one in conditions for word in re.findall(r"\w+", one.test)}
    flags = [one for one in conditions if one.level in ("event", "happened")]
    entry = [column for column in _OF_ENTRY if column in words]
    of_visitor = [column for column in _OF_VISITORS if column in words]
    made = visits("every", of_visitor=of_visitor, of_entry=entry, flags=[one.test for one in flags], wanted=words)
    where = [one.sql for one in conditions if one.level == "visit"]
    for place, one in enumerate(flags, 5 + len(entry)):
        where.append(f"{'NOT ' if one.negated else ''}arrayExists(hit -> hit.{place} = 1, visit)")
    return f"SELECT * FROM ({made}){_where(where)}" if where else made
