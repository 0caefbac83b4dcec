"""Which runs answer a question: those of closed days, and passing ones of days that are not over or open again.

A passing run is worked out when a question needs the visits of such a day, and used again by whatever is asked next (a
page asks a dozen reports) as long as the table of events has the very same parts. So an answer is as exact as if each
had worked the visits out itself; only on a day of more than a hundred thousand visits they may be some seconds behind.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from clickhouse_connect.driver.client import Client

from ..store import day_visits
from ..store.client import DATABASE
from ..store.days import Days, SiteDay, State
from .ask import Runs, uses_visits
from .question import Question, midnight
from .reports import Report

MOST_OPEN = 3  # days with passing runs in one question; of more, the visits are worked out in the query
KEPT_SECONDS = 300.0  # before the job that clears away what nobody reads comes to it
MANY = 100_000  # visits of a day that take more than a second to work out: they are used again for
AGAIN_SECONDS = 10.0  # so long, though events came in


@dataclass(frozen=True, slots=True)
class _Passing:
    run: int
    events: int
    made: float
    visits: int

    def holds(self, events: int, now: float) -> bool:
        """May it be used once more?"""
        same = events == self.events or (self.visits > MANY and now - self.made < AGAIN_SECONDS)
        return same and now - self.made < KEPT_SECONDS


class RunsOf:
    """The memory of one connection that reads: it is asked by one thread at a time."""

    def __init__(self, days: Days, register: int) -> None:
        self._days, self._register = days, register
        self._passing: dict[SiteDay, _Passing] = {}
        self._states: tuple[int, Mapping[SiteDay, State]] = (-1, {})

    def of(self, client: Client, report: Report, question: Question) -> tuple[Runs, Runs]:
        """The closed days, and those with a passing run; a run for each."""
        parts = self._parts(client)
        if self._states[0] != parts["closed"]:
            self._states = parts["closed"], self._days.states(client)
        states = self._states[1]
        closed, still = {}, []
        for number in range(question.days):
            day = question.first + timedelta(days=number)
            state = states.get((question.site, day))
            if state and state.run and state.register == self._register:
                closed[day] = state.run
            else:
                still.append((day, state.version if state else 0))
        passing = {}
        if 0 < len(still) <= MOST_OPEN and uses_visits(report, question):
            passing = {day: self._run(client, question, day, opened, parts["events"]) for day, opened in still}
        return closed, passing

    def _run(self, client: Client, question: Question, day: date, opened: int, events: int) -> int:
        known, now = self._passing.get((question.site, day)), time.monotonic()
        if known is not None and known.run > opened and known.holds(events, now):
            return known.run
        layout, run = self._days.layout, self._days.now(client)
        span = midnight(day, question.zone), midnight(day + timedelta(days=1), question.zone)
        day_visits.fill(client, layout, question.site, day, run, span, passing=True)
        if known is not None:
            day_visits.drop(client, layout, day, known.run)
        visits = client.command("SELECT count() FROM day_visits WHERE site = {site:String} AND run = {run:UInt64}",
                                parameters={"site": question.site, "run": run})  # fmt: skip
        self._passing[question.site, day] = _Passing(run, events, now, int(str(visits)))
        return run

    def _parts(self, client: Client) -> dict[str, int]:
        """A number for just the parts that the tables have now. Whatever changes their rows changes their parts."""
        tables = {self._days.layout.local(name): name for name in ("events", "closed")}
        rows = client.query(
            f"SELECT table, sum(cityHash64(name)) FROM {self._days.layout.parts} WHERE active AND "
            "database = {database:String} AND table IN {tables:Array(String)} GROUP BY table",
            parameters={"database": DATABASE, "tables": list(tables)},
        ).result_rows
        return {"events": 0, "closed": 0} | {tables[str(table)]: int(number) for table, number in rows}
