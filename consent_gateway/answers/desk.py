"""Where questions come in: one connection that only reads, and what surrounds a report: books, comparison, totals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from clickhouse_connect.driver.client import Client

from ..config.settings import Settings
from ..record.books import Tally, is_event
from ..rule.errors import StoreError
from ..store.client import Failure, first_line
from ..store.days import Days
from . import saved
from .ask import Rows, ask, beside, total
from .closing import register
from .question import Question, Values
from .reports import BOOKS, REPORTS, Report
from .runs import RunsOf

T = TypeVar("T")


class Desk:
    """Answers about all sites of the settings. `connect` gives a client of the store, with its tables in place.

    `minimum` is the policy's: how many daily visitors a group has at least, or it is shown with others. `copy_ledger`
    brings the newest choices into the store.
    """

    def __init__(
        self,
        settings: Settings,
        tally: Tally,
        connect: Callable[[], Client],
        days: Days,
        *,
        minimum: int = 0,
        copy_ledger: Callable[[], object] = lambda: None,
    ) -> None:
        self._copy_ledger = copy_ledger
        self.minimum, self._runs = minimum, RunsOf(days, register())
        self._settings, self._tally, self._connect = settings, tally, connect
        self._reader: Client | None = None
        self._reading = threading.Lock()

    def question(self, values: Values) -> Question:
        """A question of this installation, now. `ConfigError` says what is wrong with it."""
        now = datetime.now(self._settings.zone)
        return Question.parse(
            values, sites=self._settings.site_names, zone=self._settings.zone, today=now.date(),
            now=int(now.timestamp() * 1000), saved=saved.load(self._settings.DATA_DIR),
        )  # fmt: skip

    def ask(self, name: str, question: Question) -> Rows:
        """The rows of a report, beside what they are compared with. `StoreError` when the store is away."""
        if name == BOOKS.name:
            counts = sorted(self._tally.total().items())
            return [
                {"term": term, "events": count}
                for (site, term), count in counts
                if is_event(site, term) and site == question.site
            ]
        report, before = REPORTS[name], question.before()
        if report.ledger:
            with suppress(OSError):  # a full disk keeps the ledger from being sealed, not from being read
                self._copy_ledger()
        rows = self.read(lambda client: self._ask(client, report, question))
        if before is None:
            return rows
        return beside(report, rows, self.read(lambda client: self._ask(client, report, before)), question)

    def total(self, name: str, question: Question) -> dict[str, Any]:
        """The figures of all rows of a report together; empty where they don't add up."""
        if name == BOOKS.name:
            return {}
        return self.read(lambda client: self._total(client, REPORTS[name], question))

    def _ask(self, client: Client, report: Report, question: Question) -> Rows:
        closed, passing = self._runs.of(client, report, question)
        return ask(client, report, question, closed=closed, passing=passing, minimum=self.minimum)

    def _total(self, client: Client, report: Report, question: Question) -> dict[str, Any]:
        closed, passing = self._runs.of(client, report, question)
        return total(client, report, question, closed=closed, passing=passing)

    def read(self, asked: Callable[[Client], T]) -> T:
        with self._reading:
            try:
                if self._reader is None:
                    self._reader = self._connect()
                return asked(self._reader)
            except Failure as error:
                self._reader = None
                raise StoreError(f"the store did not answer: {first_line(error)}") from error
