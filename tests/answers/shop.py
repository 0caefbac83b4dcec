"""Equipment: a store of its own, with the known traffic of two busy days, and the job that closes days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from consent_gateway.answers.ask import ask
from consent_gateway.answers.closing import Closer, register
from consent_gateway.answers.reports import REPORTS
from consent_gateway.answers.runs import RunsOf
from consent_gateway.rule.privacy import when
from consent_gateway.store import client as store
from consent_gateway.store import schema
from consent_gateway.store.days import Days
from tests.answers import plain, traffic
from tests.answers.test_reports import question

BUSY = date(2026, 10, 27)
FEW = [REPORTS[name] for name in ("overview", "pages", "exit_pages", "channels", "countries", "paths")]
BOTH = (("from", str(BUSY)), ("to", str(BUSY + timedelta(days=1))))


class Shop:
    """`rows` is what is in the store, as plain dicts."""

    def __init__(self, folder: Path, rows: Sequence[traffic.Row] | None = None) -> None:
        self.dsn = f"chdb://{folder}/store"
        self.days = Days(traffic.ZONE)
        self.client = self.connect()
        self.rows = [row for row in traffic.made(2, 12) if BUSY <= self.day(row) <= BUSY + timedelta(days=1)]
        if not self.client.command("SELECT count() FROM events"):
            traffic.insert(self.client, self.rows)
        self.closer = Closer(self.days, self.connect, quiet=0)
        self.runs = RunsOf(self.days, register())

    def close(self) -> None:
        self.closer.disconnect()
        self.client.close()

    def connect(self) -> Client:
        client = store.connect(self.dsn)
        schema.apply(client, zone=traffic.ZONE.key)
        return client

    def insert(self, rows: list[traffic.Row], batch: str = "more") -> None:
        traffic.insert(self.client, rows, batch)
        self.rows += rows

    def day(self, row: traffic.Row) -> date:
        return self.days.day_of(when(row["ms"]))

    def closed(self) -> dict[date, int]:
        return self.days.closed(self.client, "shop", register())

    def check(self, *reports: Any, rows: list[traffic.Row] | None = None) -> None:
        """With the closed days as they are, each report answers what plain Python counts."""
        asked = question(steps=False)
        for report in reports or FEW:
            found = ask(self.client, report, asked, closed=self.closed())
            keys = [key.name for key in report.keys]
            assert found == plain.answer(report.name, self.rows if rows is None else rows, asked, keys), report.name

    def check_as_asked(self, *values: tuple[str, str], rows: list[traffic.Row] | None = None) -> None:
        """The same of the two days, as the dashboard asks: from closed days where there are any, else from passing
        runs."""
        asked = question(*BOTH, *values, steps=False)
        for report in FEW:
            closed, passing = self.runs.of(self.client, report, asked)
            assert len(closed) + len(passing) == 2
            found = ask(self.client, report, asked, closed=closed, passing=passing)
            keys = [key.name for key in report.keys]
            assert found == plain.answer(report.name, self.rows if rows is None else rows, asked, keys), report.name

    def visit_rows(self, condition: str) -> int:
        """What lies in the table of visits."""
        (count,) = self.client.query(f"SELECT count() FROM day_visits WHERE {condition}").result_rows[0]
        return int(count)
