"""The job that closes days: it works out the facts of every report for days that are over, by the reports' own files.

It looks around now and then: days that ended and are not closed, days that were opened again and have been quiet since,
days whose events are not as many as when they were closed (their retention ended, or somebody changed them by hand).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from ..rule.errors import StoreError
from ..store.client import Failure, first_line
from ..store.day_visits import VISITS, fill, parts
from ..store.days import Days, SiteDay, State
from .ask import Query, counted
from .question import Question, midnight
from .relations import key_columns
from .reports import REPORTS, Report

log = logging.getLogger("consent_gateway.days")

EVERY_SECONDS = 30.0
LOOK_SECONDS = 600.0  # between counts of all events
QUIET_SECONDS = 60.0  # since a day was opened again: a log that is replayed opens it often
LATE_SECONDS = 2400.0  # after midnight: an event may come half an hour late
_AT_ONCE = 6  # reports in one statement: a part of the table each is dear, and all at once take much memory
_KEEP_SECONDS = 600.0  # what a query that has begun may still read


def closed_reports() -> Iterator[Report]:
    """One report for each file that is worked out."""
    files = {report.file or report.name: report for report in REPORTS.values() if report.closed}
    yield from files.values()


def register() -> int:
    """A number for just these queries: days that were closed by others are worked out again."""
    question = Question("", date(2026, 1, 1), date(2026, 1, 1), ZoneInfo("UTC"))
    queries = [counted(report, question, 0).sql + repr(report.counts) for report in closed_reports()]
    text = "\n".join([VISITS, parts(""), *queries])
    return int.from_bytes(sha256(text.encode()).digest()[:7], "big")


def _numbers(report: Report, question: Question, run: int) -> Query:
    """A report's rows of the table `days`."""
    query = counted(report, question, run)
    keys = [*(f"toString({key})" for key in key_columns(report)), "''", "''", "''"][:3]
    numbers = ", ".join(f"toUInt64({count})" for count in report.counts)
    return Query(
        f"SELECT {{site:String}}, '{report.file or report.name}', {{day:Date}}, {{run:UInt64}}, {', '.join(keys)}, "
        f"[{numbers}] FROM (\n{query.sql}\n)",
        query.parameters,
    )


class Closer:
    """Runs in a thread of the back office. `connect` gives a client of the store, with its tables in place."""

    def __init__(
        self, days: Days, connect: Callable[[], Client], *, quiet: float = QUIET_SECONDS, late: float = LATE_SECONDS
    ) -> None:
        self._days, self._connect = days, connect
        self._quiet, self._late = quiet, late
        self._register = register()
        self._end = threading.Event()
        self._client: Client | None = None
        self._counted: dict[SiteDay, int] = {}
        self._looked = -LOOK_SECONDS
        self._said = ""

    def run(self) -> None:
        """Close what is due, until `stop`."""
        while not self._end.wait(EVERY_SECONDS):
            try:
                self.close_all()
                self._said = ""
            except StoreError as error:
                if str(error) != self._said:
                    self._said = str(error)
                    log.warning("days can't be closed now, reports read the events: %s", error)
            except Exception:  # a fault of one round must not end the job
                log.exception("closing days failed; trying again")

    def stop(self) -> None:
        self._end.set()

    def disconnect(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with suppress(*Failure):
                client.close()

    def close_all(self) -> int:
        """One round; returns how many days it closed. `StoreError` when the store is away."""
        try:
            if self._client is None:
                self._client = self._connect()
            return self._close_all(self._client)
        except Failure as error:
            self.disconnect()
            raise StoreError(first_line(error)) from error

    def _close_all(self, client: Client) -> int:
        states = self._days.states(client)
        if fresh := time.monotonic() - self._looked >= LOOK_SECONDS:
            self._counted = self._count(client)
            self._looked = time.monotonic()
        done = 0
        if fresh:
            changed = [one for one, at in states.items() if at.run and at.rows != self._counted.get(one, 0)]
            self._days.reopen(client, changed)
            if changed:
                log.info("%d days are not as they were when they were closed: they are worked out again", len(changed))
                states = self._days.states(client)
            self._days.clear(client, self._days.now(client) - int(_KEEP_SECONDS * 1e6))
        now = self._days.now(client)
        opened = {
            one for one, at in states.items() if not at.run
        }  # also those that a late batch opened since we looked
        for site, day in sorted(self._counted.keys() | opened, key=lambda one: (one[1], one[0]), reverse=True):
            if self._end.is_set():
                break
            if self._is_due(states.get((site, day)), day, now):
                done += self.close(client, site, day)
        return done

    def _is_due(self, state: State | None, day: date, now: int) -> bool:
        """Is this day over, open (or closed by other queries), and quiet? `now` is a version."""
        if state is not None and state.run and state.register == self._register:
            return False
        if state is not None and now - state.version < self._quiet * 1e6:
            return False
        return midnight(day + timedelta(days=1), self._days.zone) / 1000 + self._late <= now / 1e6

    def close(self, client: Client, site: str, day: date) -> bool:
        """Work one day out. False when its events changed meanwhile: it stays open."""
        run = self._days.begin(client, site, day)
        before = self._days.mutations(client)
        if before[1]:
            return False
        question = Question(site, day, day, self._days.zone)
        rows = self._rows_of(client, question)
        layout = self._days.layout
        fill(client, layout, site, day, run, (question.start, question.end))
        reports = list(closed_reports())
        for start in range(0, len(reports), _AT_ONCE):
            queries = [_numbers(report, question, run) for report in reports[start : start + _AT_ONCE]]
            parameters: dict[str, Any] = {"day": day, "run": run}
            for query in queries:  # without filters the same names say the same
                parameters |= query.parameters
            client.command(
                f"INSERT INTO {layout.local('days')} " + "\nUNION ALL\n".join(query.sql for query in queries),
                parameters=parameters,
                settings=layout.insert_settings,
            )
        if self._days.mutations(client) != before:
            return False
        self._days.close(client, site, day, run, self._register, rows)
        self._counted[site, day] = rows
        return True

    def _count(self, client: Client) -> dict[SiteDay, int]:
        end = midnight(self._days.today(), self._days.zone)
        found = client.query(
            "SELECT site, toDate(at, {zone:String}) AS day, count() FROM events "
            "WHERE at < fromUnixTimestamp64Milli({end:Int64}, 'UTC') GROUP BY site, day",
            parameters={"zone": self._days.zone.key, "end": end},
        ).result_rows
        return {(str(site), day): int(rows) for site, day, rows in found}

    def _rows_of(self, client: Client, question: Question) -> int:
        sql = (
            "SELECT count() FROM events WHERE site = {site:String} "
            "AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') "
            "AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')"
        )
        values = {"site": question.site, "start": question.start, "end": question.end}
        return int(client.query(sql, parameters=values).result_rows[0][0])
