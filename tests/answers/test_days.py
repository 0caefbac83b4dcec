"""Closed days answer what the events answer, whatever happened to the events before, meanwhile and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from consent_gateway.answers import closing
from consent_gateway.answers.ask import ask, facts, total
from consent_gateway.answers.closing import Closer, closed_reports, register
from consent_gateway.answers.question import Question
from consent_gateway.answers.reports import REPORTS
from consent_gateway.rule.privacy import when
from consent_gateway.store import schema
from consent_gateway.store.days import Days, statements
from consent_gateway.store.layout import Layout
from tests.answers import plain, traffic
from tests.answers.shop import BOTH, BUSY, Shop
from tests.answers.test_reports import QUESTIONS, question

CLOSED = [report for report in REPORTS.values() if report.closed]


def test_every_closed_report_answers_the_same_from_closed_days(shop: Shop) -> None:
    assert shop.closer.close_all() == 2 and shop.closer.close_all() == 0
    assert sorted(shop.closed()) == [BUSY + timedelta(days=number) for number in range(2)]
    shop.check(*CLOSED)
    asked = question(("filter", "path^/b"), ("filter", "path!=/blog/2"), steps=False)
    for name in ("pages", "errors"):
        query = facts(REPORTS[name], asked, closed=shop.closed())
        assert "FROM days" in query.sql, "a filter on a report's own key needs no events"
        keys = [key.name for key in REPORTS[name].keys]
        found = ask(shop.client, REPORTS[name], asked, closed=shop.closed())
        assert found == plain.answer(name, shop.rows, asked, keys)
    for values in ([("filter", "country=BE")], [("bots", "yes")], [("interval", "hour"), ("from", str(BUSY))]):
        other = question(*values, *([("to", str(BUSY))] if "hour" in str(values) else []), steps=False)
        found = ask(shop.client, REPORTS["overview"], other, closed=shop.closed())
        assert found == plain.answer("overview", shop.rows, other)
    week = question(("interval", "week"), steps=False)
    assert ask(shop.client, REPORTS["overview"], week, closed=shop.closed()) == plain.answer(
        "overview", shop.rows, week
    )
    (main,) = plain.answer("totals", shop.rows, asked := question(steps=False))
    assert total(shop.client, REPORTS["overview"], asked, closed=shop.closed()) == main
    assert shop.client.query("SELECT count() FROM system.columns WHERE table = 'days' AND name IN "
                             "('visitor', 'person', 'network', 'address')").result_rows == [(0,)]  # fmt: skip


def test_filters_read_what_lies_ready_of_closed_days(shop: Shop) -> None:
    """Each kind of filter, of every relation; also of what is hard to add up."""
    shop.insert(odd_rows(shop))
    assert shop.closer.close_all() == 2

    def check(names: Sequence[str], *values: tuple[str, str]) -> None:
        asked = question(*values)
        for name in names:
            found = ask(shop.client, REPORTS[name], asked, closed=shop.closed())
            keys = [key.name for key in REPORTS[name].keys]
            assert found == plain.answer(name, shop.rows, asked, keys), (name, values)

    for values in QUESTIONS.values():
        check(("totals", "pages"), *(BOTH if "from" not in dict(values) else ()), *values)
    for one in ("country=BE", "country=ES", "country!=LU", "event=signup", "source=Google", "path^/b"):
        check(("overview", "countries", "languages", "events"), *BOTH, ("filter", one))
    check(("entry_pages", "channels", "goals", "exit_pages", "languages"), *BOTH, ("filter", "path^/t"))
    check(("totals", "countries", "pages"), ("filter", "source!=Bing"))  # days without a run, too


def odd_rows(shop: Shop) -> list[traffic.Row]:
    """What is in no visit's sums: two languages of one visitor, a view that tells of itself after a pause, on another
    page, with less than before or without page view; errors on pages of their own; no visitor at all, two at once."""
    view = next(row for row in shop.rows if row["type"] == "page_view" and shop.day(row) == BUSY and row.get("visitor"))
    start = int(datetime(BUSY.year, BUSY.month, BUSY.day, 9, tzinfo=traffic.ZONE).timestamp() * 1000)

    def row(minutes: float, kind: str, view_id: int, path: str = "/odd", **more: Any) -> traffic.Row:
        ms = start + int(minutes * 60_000)
        own = {"type": kind, "view_id": view_id, "visitor": 77, "ms": ms, "received_ms": ms, "path": path}
        return view | {"bot": False, "country": "LU", "language": "de", "http_status": 200} | own | more

    def told(minutes: float, view_id: int, engaged: int, scroll: int, path: str = "/odd", **more: Any) -> traffic.Row:
        return row(minutes, "engagement", view_id, path, engaged_ms=engaged, scroll_pct=scroll) | more

    signup = {"name": "signup", "props": {"plan": "A"}}
    return [
        row(0, "page_view", 1), told(1, 1, 900, 10), told(2, 1, 1800, 90), told(3, 1, 2000, 20),
        row(4, "page_view", 2, "/two", language="fr"), told(5, 2, 700, 5, "/two", language="fr"),
        row(6, "page_view", 3, "/late"), told(7, 3, 100, 1, "/late"), told(80, 3, 300, 3, "/late"),
        row(8, "page_view", 4, "/moved"), told(9, 4, 50, 50, "/there"), told(10, 4, 40, 60, "/moved"),
        told(11, 5, 10, 1), told(12, 0, 11, 2), row(13, "page_error", 0, "/none", http_status=404),
        row(14, "custom", 4, "/form", **signup), row(90, "custom", 4, "/form", **signup),
        row(0, "page_error", 0, "/gone", visitor=78, country="AT", http_status=410),
        row(0, "page_view", 6, "/nobody", visitor=0, country="IT"), told(1, 6, 5, 5, "/nobody", visitor=0),
        row(0, "page_view", 6, "/nobody", visitor=0, country="ES"),
        row(0, "custom", 6, "/nobody", visitor=0, **signup),
    ]  # fmt: skip


def test_a_late_batch_opens_its_days_and_only_those(shop: Shop) -> None:
    assert shop.closer.close_all() == 2
    same = {"visitor": 99, "path": "/late", "country": "BE", "region": "", "browser": "Firefox", "os": "Linux"}
    late = [row | same | {"view_id": 1_000_000 + n} for n, row in enumerate(shop.rows)
            if shop.day(row) == BUSY and row["type"] == "page_view" and row.get("visitor")][:7]  # fmt: skip
    traffic.insert(shop.client, late, "late")
    shop.days.late(shop.client, [(row["site"], when(row["ms"])) for row in late])
    shop.rows += late
    assert sorted(shop.closed()) == [BUSY + timedelta(days=1)]
    shop.check()
    assert shop.closer.close_all() == 1
    assert len(shop.closed()) == 2
    shop.check()


def test_rows_that_went_open_their_days_and_nothing_of_them_is_read(shop: Shop) -> None:
    """An erasure: the days are opened before, while nobody has forgotten which they were."""
    assert shop.closer.close_all() == 2
    person = next(row["person"] for row in shop.rows if row["person"] and shop.day(row) == BUSY)
    opened = shop.days.reopen_where(shop.client, "person IN {persons:Array(UInt64)}", {"persons": [person]})
    assert ("shop", BUSY) in opened
    shop.client.command(f"ALTER TABLE events DELETE WHERE person = {person}", settings={"mutations_sync": 2})
    left = [row for row in shop.rows if row["person"] != person]
    shop.check(rows=left)
    shop.closer.close_all()
    assert len(shop.closed()) == 2
    shop.check(rows=left)


def test_a_day_that_is_opened_while_it_is_worked_out_stays_open(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(client: Client) -> tuple[int, int]:
        shop.days.reopen(client, [("shop", BUSY)])
        return 0, 0

    monkeypatch.setattr(shop.days, "mutations", meanwhile)
    assert shop.closer.close(shop.client, "shop", BUSY)
    assert BUSY not in shop.closed()
    monkeypatch.undo()
    shop.check()
    counts = iter([(0, 0), (1, 0)])
    monkeypatch.setattr(shop.days, "mutations", lambda client: next(counts))
    assert not shop.closer.close(shop.client, "shop", BUSY), "the events changed meanwhile"
    assert BUSY not in shop.closed()


def test_a_job_that_was_killed_leaves_nothing_that_is_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(shop.days, "close", killed)
    for _ in range(2):
        with pytest.raises(Killed):
            shop.closer.close(shop.client, "shop", BUSY)
    monkeypatch.undo()
    assert not shop.closed()
    assert shop.client.query("SELECT uniqExact(run) FROM days").result_rows == [(2,)]
    shop.check()
    assert shop.closer.close(shop.client, "shop", BUSY)
    shop.check()
    assert shop.days.clear(shop.client, shop.days.now(shop.client)) == 2
    shop.check()


def test_two_hosts_that_close_the_same_day_count_it_once(shop: Shop) -> None:
    other = Closer(Days(traffic.ZONE), shop.connect, quiet=0)
    assert shop.closer.close(shop.client, "shop", BUSY) and other.close(shop.client, "shop", BUSY)
    shop.check()


def test_rows_that_change_by_hand_are_noticed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "LOOK_SECONDS", 0.0)
    assert shop.closer.close_all() == 2
    shop.client.command("ALTER TABLE events DELETE WHERE path = '/a'", settings={"mutations_sync": 2})
    assert shop.closer.close_all() == 2
    shop.check(rows=[row for row in shop.rows if row.get("path") != "/a"])


def test_other_queries_work_out_their_own(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shop.closer.close_all() == 2
    assert shop.days.closed(shop.client, "shop", register() + 1) == {}
    shop.days.forget(shop.client)
    assert shop.closed() == {}
    shop.check()


def test_today_is_never_closed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ms = shop.days.now(shop.client) // 1000
    today = shop.days.day_of(when(ms))
    monkeypatch.setattr(shop.days, "today", lambda: today)  # also when it is midnight meanwhile
    shop.days.reopen(shop.client, [("shop", today), ("shop", today + timedelta(days=1))])
    assert shop.days.states(shop.client) == {}
    rows = [row | {"ms": ms} for row in shop.rows[:1]]
    traffic.insert(shop.client, rows, "today")
    assert shop.closer.close_all() == 2


def test_a_cluster_s_tables_are_parsed(shop: Shop) -> None:
    for statement in (*schema.statements(Layout("main"), zone="Europe/Brussels"), *statements(Layout("main"))):
        shop.client.command(f"EXPLAIN AST {statement}")
    assert len(list(closed_reports())) == len({report.file or report.name for report in CLOSED})
    assert isinstance(question(), Question)
