"""What a report's query reads: `rows`, the events that a question is about, and `visits`, made from them.

This is the one place that knows site, time, programs and filters, so that a report's file is about its figures only.
Text that came from outside is in typed parameters; the SQL here is made from the closed list of dimensions.
What a visit is, says `store.views`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from ..rule.columns import NAMES
from ..rule.errors import ConfigError
from ..store.views import OF_ENTRY, OF_VISIT, OF_VISITOR, visits
from .dimensions import PROPERTY, Level, find
from .question import Filter, Question
from .reports import REPORTS, Key, Report

Span = tuple[int, int]  # moments in milliseconds, the second one excluded

NOT_NEEDED = "none"  # the interval of a query that tells periods by their days
_BUCKETS = {
    "minute": "formatDateTime({at}, '%Y-%m-%dT%H:%i', {{zone:String}})",
    "hour": "formatDateTime({at}, '%Y-%m-%dT%H:00', {{zone:String}})",
    "day": "toString(toDate({at}, {{zone:String}}))",
    "week": "toString(toMonday(toDate({at}, {{zone:String}})))",
    "month": "toString(toStartOfMonth(toDate({at}, {{zone:String}})))",
    NOT_NEEDED: "''",
}
_TESTS = {
    "=": "{column} = {{{value}:String}}",
    "^": "startsWith({column}, {{{value}:String}})",
    "~": "positionCaseInsensitiveUTF8({column}, {{{value}:String}}) > 0",
}
_MAKE = {"day", "visitor", "at", "view_id", "type", "path"}  # of an event, to work visits out
_DERIVED = {"ended": "started + duration_ms AS ended", "duration_ms": "toUInt64(duration_ms) AS duration_ms"}


@dataclass(frozen=True, slots=True)
class Condition:
    """All filters of one dimension that are negated, or that are not: `test` holds for any of them, `on_key` says the
    same of the report's key of that dimension."""

    dimension: str
    level: Level
    test: str
    negated: bool
    on_key: str

    @property
    def sql(self) -> str:
        return f"NOT ({self.test})" if self.negated else f"({self.test})"


@dataclass
class Relations:
    """The `WITH` of a report's query, and its parameters. `spans` are the moments whose events are read. Visits are
    read from `day_visits`, where `runs` of theirs are right, and worked out here for `others` (all, unless given)."""

    report: Report
    question: Question
    spans: Sequence[Span]
    runs: Sequence[int] = ()
    others: Sequence[Span] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        question, only = self.question, self.report.bots
        self.parameters |= {
            "site": question.site, "zone": question.zone.key, "limit": question.limit, "now": question.now,
            "bots_from": int(only), "bots": int(only or question.bots), "visit_runs": list(self.runs),
        }  # fmt: skip
        grouped = groupby(sorted(question.filters, key=_group), key=_group)
        self.conditions = [self._condition(name, negated, list(found)) for (name, negated), found in grouped]

    def text(self) -> str:
        """Only what the report's file names: what a query carries along for nothing costs more than its data."""
        if self.report.ledger:
            return f"WITH\nrecords AS ({self._records()})"
        words = set(_words(self.report.sql))
        parts: dict[str, str] = {}
        if "rows" in words:
            own = [*self._at("visitor"), *self._at("event")]
            if self._at("visit", "happened"):
                chosen = self._visits({"started", "ended"}, self._at("visit", "happened"), parts)
                parts["chosen"] = chosen
                every = self._events(words | {"at", "visitor"}, self.spans, own)
                parts["rows"] = (  # what lies within a visit is of its day
                    f"SELECT every.* FROM ({every}) AS every INNER JOIN chosen ON every.visitor = chosen.visitor "
                    f"WHERE {_within('every', 'chosen')}"
                )
            else:
                parts["rows"] = self._events(words, self.spans, own)
        if "visits" in words:
            parts["visits"] = self._visits(words, self._at("visit", "happened", "event"), parts)
        return "WITH\n" + ",\n".join(f"{name} AS ({text})" for name, text in parts.items())

    def on_keys(self) -> str:
        """A `WHERE` on the report's own keys. Of events it says nothing new, of closed days it is the filter."""
        return _where(f"{'NOT ' if one.negated else ''}({one.on_key})" for one in self.conditions if one.on_key)

    def _at(self, *levels: Level) -> list[Condition]:
        return [one for one in self.conditions if one.level in levels]

    def _records(self) -> str:
        """The choices on record. A copy of the ledger may have one twice, until the engine has merged it."""
        columns = "action, status, supersedes, granted, language, toDate(at, {zone:String}) AS day"
        where = _where(["site = {site:String}", self._moments(self.spans)])
        return f"SELECT {columns}, {self._period('at')} AS period FROM consents FINAL{where}"

    def _moments(self, spans: Sequence[Span]) -> str:
        """Spans, as a condition on `at`."""
        moments = []
        for start, end in spans:
            first, last = self._add(start), self._add(end)
            moments.append(
                f"at >= fromUnixTimestamp64Milli({{{first}:Int64}}, 'UTC') "
                f"AND at < fromUnixTimestamp64Milli({{{last}:Int64}}, 'UTC')"
            )
        return f"({' OR '.join(moments)})" if moments else "0"

    def _events(self, words: set[str], spans: Sequence[Span], conditions: Sequence[Condition]) -> str:
        where = [
            "site = {site:String}",
            self._moments(spans),
            "bot >= {bots_from:UInt8} AND bot <= {bots:UInt8}",
            *(one.sql for one in conditions),
        ]
        columns = [name for name in NAMES if name in words]
        columns += ["toDate(at, {zone:String}) AS day"] if "day" in words else []
        columns += [f"{self._period('at')} AS period"] if "period" in words else []
        return f"SELECT {', '.join(columns)} FROM events{_where(where)}"

    def _visits(self, words: set[str], conditions: Sequence[Condition], parts: dict[str, str]) -> str:
        """Those visits for which the conditions hold. Only what somebody names is carried along. What they need
        themselves is added to `parts`."""
        plain = [*self._at("visitor"), *(one for one in conditions if one.level == "visit")]
        holding = [one for one in conditions if one.level != "visit"]
        words = words | ({"started", "ended"} if holding else set())
        names = [name for name in OF_VISIT if name in words]
        names += [name for name in (*OF_VISITOR, *OF_ENTRY) if name in words]
        where = [one.sql for one in plain]
        found = []
        if self.runs:
            columns = [_DERIVED.get(name, name) for name in names]
            ready = ["site = {site:String}", "run IN {visit_runs:Array(UInt64)}", *where]
            found.append(f"SELECT {self._seen(columns, words)} FROM day_visits{_where(ready)}")
        others = self.spans if self.others is None else self.others
        if others or not self.runs:
            carried = words | {word for one in plain for word in _words(one.test)}
            of_visitor, of_entry = ([name for name in all if name in carried] for all in (OF_VISITOR, OF_ENTRY))
            source = self._events(_MAKE | {*of_visitor, *of_entry}, others, [])
            made = visits(f"({source})", of_visitor=of_visitor, of_entry=of_entry, wanted=carried | {"started"})
            found.append(f"SELECT {self._seen(names, words)} FROM ({made}){_where(where)}")
        known = "\nUNION ALL\n".join(found)
        if not holding:
            return known
        parts["known"] = known
        tests = []
        for one in holding:
            hits = self._events({"visitor", "at"}, self.spans, [replace(one, negated=False)])
            tests.append(
                f"(visitor, started) {'NOT ' if one.negated else ''}IN (SELECT known.visitor, known.started FROM known "
                f"INNER JOIN ({hits}) AS hit ON known.visitor = hit.visitor WHERE {_within('hit', 'known')})"
            )
        return f"SELECT * FROM known WHERE {' AND '.join(tests)}"

    def _seen(self, columns: Sequence[str], words: set[str]) -> str:
        period = [f"{self._period('fromUnixTimestamp64Milli(started)')} AS period"] if "period" in words else []
        return ", ".join(["day", "visitor", *columns, *period])

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

    def _add(self, value: str | int) -> str:
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


def _within(event: str, visit: str) -> str:
    moment = f"toUnixTimestamp64Milli({event}.at)"
    return f"{moment} >= {visit}.started AND {moment} <= {visit}.ended"


def _words(sql: str) -> list[str]:
    return re.findall(r"\w+", sql)
