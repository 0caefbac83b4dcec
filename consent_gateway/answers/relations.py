"""What a report's query reads: relations that hold just what a question is about, so that a report's file is about its
figures only. Each report names those that it needs:

- `rows`: events;
- `visits`: visits, as `store.views` says what one is;
- `views`: page views: a row says how many of one `path` and visitor they are (`views`), how many `told` of their use,
  and what; of one view the largest counts;
- `traffic`: the same without paths, and visits, together: a row says how many of either it is;
- `acts`: events of the site's own, by `name`, and how often (`times`).

This is the one place that knows site, time, programs and filters. All but `rows` lie ready in `day_visits`, for the
days that have a run there; of other days, and where a filter asks what isn't there, they are made from the events. Text
that came from outside is in typed parameters; the SQL here is made from the closed list of dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ..rule.columns import NAMES
from ..store.views import OF_ENTRY, OF_VISIT, OF_VISITOR, visits
from .conditions import Condition, condition
from .dimensions import Level
from .question import Filter, Question
from .reports import Key, Report

Span = tuple[int, int]  # moments in milliseconds, the second one excluded

NOT_NEEDED = "none"  # the interval of a query that tells periods by their days
_BUCKETS = {
    "minute": "formatDateTime({at}, '%Y-%m-%dT%H:%i', {{zone:String}})",
    "hour": "formatDateTime({at}, '%Y-%m-%dT%H:00', {{zone:String}})",
    "day": "toString(toDate({at}, {{zone:String}}))",
    "week": "toString(toMonday(toDate({at}, {{zone:String}})))",
    "month": "toString(toStartOfMonth(toDate({at}, {{zone:String}})))",
    NOT_NEEDED: "0",
}
_MAKE = {"day", "visitor", "at", "view_id", "type", "path"}  # of an event, to work visits out
_DERIVED = {"ended": "started + duration_ms AS ended", "duration_ms": "toUInt64(duration_ms) AS duration_ms"}
_OF_USE = ("told", "engaged_ms", "scroll_pct")
_OF_WHOLE = {"paths", "language"}  # of visits alone: a page view has its own language
_READY = {"path": "part != 'visit'", "event": "part = 'event'"}  # what can be asked of a visit's rows, and of which


@dataclass
class Relations:
    """The `WITH` of a report's query, and its parameters. `spans` are the moments whose events are read. `runs` are
    those of `day_visits` that are right; `others` the spans without one (all, unless given)."""

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
            "first_day": question.first, "last_day": question.last,
        }  # fmt: skip
        grouped = groupby(sorted(question.filters, key=_group), key=_group)
        self.conditions = [self._condition(name, negated, list(found)) for (name, negated), found in grouped]
        self._words = set(_words(self.report.sql))
        self._sources = list(dict.fromkeys(re.findall(r"\bFROM (\w+)", self.report.sql)))
        self._periods = ["period"] if "period" in self._words else []
        self._no_periods = [f"0 AS {name}" for name in self._periods]  # of whole days it is not needed
        self._named: dict[str, str] = {}
        fine = "period" in self._words and question.interval != NOT_NEEDED
        # do the rows of `day_visits` say of page views all that is asked? They know no moments, and of events the path
        self._ready = bool(self.runs) and not fine and all(one.dimension == "path" for one in self._at("event"))
        self._open = self.spans if self.others is None else self.others
        self._read = self._open if self._ready else self.spans

    def text(self) -> str:
        """Only what the report's file names: what a query carries along for nothing costs more than its data."""
        make = {
            "records": self._records,
            "rows": lambda: self._rows(self._words, self.spans),
            "visits": lambda: _all(self._visits(self._words, self._at("visit", "happened", "event"))),
            "views": lambda: _all(self._views(["path"], [name for name in _OF_USE if name in self._words])),
            "traffic": lambda: _all(self._traffic()),
            "acts": self._acts,
        }
        for name in self._sources:
            if name in make:
                made = make[name]()  # which may name another before
                self._named[name] = made
        return "WITH\n" + ",\n".join(f"{name} AS ({text})" for name, text in self._named.items())

    @property
    def uses_visits(self) -> bool:
        """Does it read what visits did, or choose by visits?"""
        chosen = bool(self._at("visit", "happened"))
        return any(name in ("visits", "views", "traffic", "acts") or chosen for name in self._sources)

    def on_keys(self) -> str:
        """A `WHERE` on the report's own keys. Of events it says nothing new, of closed days it is the filter."""
        return _where(f"{'NOT ' if one.negated else ''}({one.on_key})" for one in self.conditions if one.on_key)

    def _condition(self, name: str, negated: bool, filters: list[Filter]) -> Condition:
        keys = {} if self.report.whole else {key.dimension: column for key, column in named_keys(self.report)}
        return condition(self.report, keys, name, filters, negated=negated, add=self._add)

    def _at(self, *levels: Level) -> list[Condition]:
        return [one for one in self.conditions if one.level in levels]

    def _records(self) -> str:
        """The choices on record. A copy of the ledger may have one twice, until the engine has merged it."""
        columns = "action, status, supersedes, granted, language, toDate(at, {zone:String}) AS day"
        where = _where(["site = {site:String}", self._moments(self.spans)])
        return f"SELECT {columns}, {self._period('at')} AS period FROM consents FINAL{where}"

    def _rows(self, words: set[str], spans: Sequence[Span], *conditions: str) -> str:
        """Events, for which also further conditions hold."""
        own = [*(one.sql for one in self._at("visitor", "event")), *conditions]
        if not self._at("visit", "happened"):
            return self._events(words, spans, own)
        runs = self.runs if spans is self.spans else ()
        chosen = self._name("chosen", _all(self._visits({"started", "ended"}, self._at("visit", "happened"), runs)))
        every = self._events(words | {"at", "visitor"}, spans, own)
        return (  # what lies within a visit is of its day
            f"SELECT every.* FROM ({every}) AS every INNER JOIN {chosen} AS visit ON every.visitor = visit.visitor "
            f"WHERE {_within('every', 'visit')}"
        )

    def _visits(self, words: set[str], conditions: Sequence[Condition], runs: Sequence[int] | None = None) -> list[str]:
        """Visits for which the conditions hold: those that lie ready, and those that are made here. Only what somebody
        names is carried along."""
        plain = [*self._at("visitor"), *(one for one in conditions if one.level == "visit")]
        holding = [one for one in conditions if one.level != "visit"]
        names = [name for name in (*OF_VISIT, *OF_VISITOR, *OF_ENTRY) if name in words]
        where, found = [one.sql for one in plain], []
        runs = self.runs if runs is None else runs
        if runs:
            columns = [self._seen([_DERIVED.get(name, name) for name in names], words)]
            asked = words | {word for one in plain for word in _words(one.test)}
            if [(one.dimension, one.negated) for one in holding] == [("path", False)] and not asked & _OF_WHOLE:
                # of some pages: their rows carry the visit, and lie together
                of_pages = [_READY["path"], "visit_views > 0", *where, holding[0].says]
                found.append(f"{self._from_ready(columns, *of_pages)} LIMIT 1 BY visitor, started")
            else:
                held = [self._held(one) for one in holding]
                found.append(self._from_ready(columns, "part = 'visit'", *where, *held))
        if self._open or not runs:
            carried = words | {"started", "ended"} | {word for one in plain for word in _words(one.test)}
            of_visitor, of_entry = ([name for name in all if name in carried] for all in (OF_VISITOR, OF_ENTRY))
            source = self._events(_MAKE | {*of_visitor, *of_entry}, self._open or self.spans, [])
            made = visits(f"({source})", of_visitor=of_visitor, of_entry=of_entry, wanted=carried)
            if holding:
                known = self._name("known", f"SELECT * FROM ({made}){_where(where)}")
                made = f"SELECT * FROM {known}"
                where = [_holds(one, known, self._hits(one, self._open or self.spans)) for one in holding]
            found.append(f"SELECT {self._seen(names, words)} FROM ({made}){_where(where)}")
        return found

    def _held(self, one: Condition) -> str:
        """That a visit which lies ready holds such an event."""
        if one.dimension in _READY:
            ready = self._from_ready(["visitor", "started"], _READY[one.dimension], "visit_views > 0", one.says)
            return f"(visitor, started) {'NOT ' if one.negated else ''}IN ({ready})"
        known = self._from_ready(["visitor", "started", "started + duration_ms AS ended"], "part = 'visit'")
        return _holds(one, f"({known})", self._hits(one, self.spans))

    def _hits(self, one: Condition, spans: Sequence[Span]) -> str:
        return self._events({"visitor", "at"}, spans, [f"({one.test})"])

    def _apart(self) -> list[str]:
        """What has to hold for rows of `day_visits`."""
        held = [self._held(one) for one in self._at("happened")]
        return [*(one.sql for one in self._at("visitor", "visit", "event")), *held]

    @property
    def _inside(self) -> list[str]:
        """What is asked of visits, holds for nothing that is in none."""
        return ["visit_views > 0"] if self._at("visit", "happened") else []

    def _views(self, names: Sequence[str], used: Sequence[str]) -> list[str]:
        """Page views, and what was told of their use: in the same row, or in one with no page view."""
        found = []
        if self._ready:
            own = [f"if(part = 'page', {name}, 0) AS {name}" for name in used]
            columns = ["day", *self._no_periods, "visitor", *names, "views", *own]
            some = "part IN ('page', 'rest')" if self._inside else "part IN ('outside', 'page', 'rest')"
            found.append(self._from_ready(columns, some, "(part = 'page' OR views > 0)", *self._apart()))
        if self._read or not found:
            rows = self._rows({"day", "visitor", *self._periods, *names}, self._read, "type = 'page_view'")
            columns = ["day", *self._periods, "visitor", *names, "1 AS views", *(f"0 AS {name}" for name in used)]
            found.append(f"SELECT {', '.join(columns)} FROM ({rows})")
        return [*found, *self._told(names, used)]

    def _told(self, names: Sequence[str], used: Sequence[str], *more: str) -> list[str]:
        """What was told in rows of their own, each with `more` columns: of one view the largest counts."""
        if not used:
            return []
        found, keys = [], ["visitor", "view_id", *names]
        if self._ready:
            some = "part IN ('outside', 'rest')"
            columns = ["day", *self._no_periods, *keys, "engaged_ms", "scroll_pct"]
            found.append(self._from_ready(columns, some, "told > 0", *self._inside, *self._apart()))
        if self._read or not found:
            columns = ["day", *self._periods, *keys, "engaged_ms", "scroll_pct"]
            rows = self._rows(set(columns), self._read, "type = 'engagement'")
            found.append(f"SELECT {', '.join(columns)} FROM ({rows})")
        least = [f"min(every.{name}) AS {name}" for name in self._periods]
        most = ["1 AS told" if name == "told" else f"max(every.{name}) AS {name}" for name in used]
        columns = ["day", *least, "visitor", *names, "0 AS views", *more, *most]
        return [f"SELECT {', '.join(columns)} FROM ({_all(found)}) AS every GROUP BY day, {', '.join(keys)}"]

    def _traffic(self) -> list[str]:
        names = [name for name in OF_VISITOR if name in self._words]
        used = [name for name in _OF_USE if name in self._words]
        counts = ["visit_views", "bounced", "duration_ms"]
        asked = {word for one in self.conditions for word in _words(one.test)}
        whole = self._ready and not self._open and not {"language", "path"} & (asked | set(names))
        lead = ", ".join(["day", *self._periods, "visitor", *names])
        found = []
        if whole:  # a row a visit, and those page views that are in none. Not of languages: a visitor may have two
            own = [f"if(part = 'visit', {name}, 0) AS {name}" for name in used]
            columns = ["day", *self._no_periods, "visitor", *names, "views", "part = 'visit' AS visits", *counts]
            some = "part = 'visit'" if self._inside else "part IN ('visit', 'outside')"
            found.append(self._from_ready([*columns, *own], some, *self._apart()))
            views = self._told(names, used, "0", "0", "0", "0")
        else:
            words = {*names, *self._periods, *counts}
            none = "".join(f", 0 AS {name}" for name in used)
            found += [
                f"SELECT {lead}, 0 AS views, 1 AS visits, {', '.join(counts)}{none} FROM ({one})"
                for one in self._visits(words, self._at("visit", "happened", "event"))
            ]
            more = "".join(f", {name}" for name in used)
            views = [f"SELECT {lead}, views, 0, 0, 0, 0{more} FROM ({one})" for one in self._views(names, used)]
        return [*found, *views]

    def _acts(self) -> str:
        found = []
        if self._ready:
            columns = ["day", "visitor", "name", "views AS times"]
            found.append(self._from_ready(columns, "part = 'event'", *self._inside, *self._apart()))
        if self._read or not found:
            rows = self._rows({"day", "visitor", "name"}, self._read, "type = 'custom'")
            found.append(f"SELECT day, visitor, name, 1 AS times FROM ({rows})")
        return _all(found)

    def _from_ready(self, columns: Sequence[str], *conditions: str) -> str:
        where = _where(
            ["site = {site:String}", "day >= {first_day:Date}", "day <= {last_day:Date}",
             "run IN {visit_runs:Array(UInt64)}", *conditions]
        )  # fmt: skip
        return f"SELECT {', '.join(columns)} FROM day_visits{where}"

    def _seen(self, columns: Sequence[str], words: set[str]) -> str:
        period = [f"{self._period('fromUnixTimestamp64Milli(started)')} AS period"] if "period" in words else []
        return ", ".join(["day", "visitor", *columns, *period])

    def _events(self, words: set[str], spans: Sequence[Span], conditions: Sequence[str]) -> str:
        where = [
            "site = {site:String}",
            self._moments(spans),
            "bot >= {bots_from:UInt8} AND bot <= {bots:UInt8}",
            *conditions,
        ]
        columns = [name for name in NAMES if name in words]
        columns += ["toDate(at, {zone:String}) AS day"] if "day" in words else []
        columns += [f"{self._period('at')} AS period"] if "period" in words else []
        return f"SELECT {', '.join(columns)} FROM events{_where(where)}"

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

    def _period(self, moment: str) -> str:
        return _BUCKETS[self.question.interval].format(at=moment)

    def _name(self, name: str, text: str) -> str:
        """What others call a relation."""
        name = f"{name}{len(self._named)}"
        self._named[name] = text
        return name

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


def _group(one: Filter) -> tuple[str, bool]:
    return one.dimension, one.negated


def _where(conditions: Iterable[str]) -> str:
    text = " AND ".join(conditions)
    return f" WHERE {text}" if text else ""


def _within(event: str, visit: str) -> str:
    moment = f"toUnixTimestamp64Milli({event}.at)"
    return f"{moment} >= {visit}.started AND {moment} <= {visit}.ended"


def _holds(one: Condition, visits: str, hits: str) -> str:
    """That one of these visits has a hit."""
    return (
        f"(visitor, started) {'NOT ' if one.negated else ''}IN (SELECT visit.visitor, visit.started FROM {visits} "
        f"AS visit INNER JOIN ({hits}) AS hit ON visit.visitor = hit.visitor WHERE {_within('hit', 'visit')})"
    )


def _all(queries: Sequence[str]) -> str:
    return "\nUNION ALL\n".join(queries)


def _words(sql: str) -> list[str]:
    return re.findall(r"\w+", sql)
