"""Days that are not closed: passing runs of visits, right as long as the events are what they were."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest

from consent_gateway.answers import runs as module
from consent_gateway.answers.ask import Runs
from consent_gateway.answers.closing import register
from consent_gateway.answers.reports import REPORTS
from consent_gateway.answers.runs import RunsOf
from consent_gateway.record.ledger import Stop, Stops
from consent_gateway.rule.privacy import when
from consent_gateway.store.held import Holder
from consent_gateway.store.layout import SINGLE
from consent_gateway.store.scrub import Scrubber
from tests.answers import traffic
from tests.answers.shop import BOTH, BUSY, Shop
from tests.answers.test_reports import QUESTIONS, question

TOTALS = REPORTS["totals"]


def passing(shop: Shop) -> Runs:
    return shop.runs.of(shop.client, TOTALS, question(*BOTH))[1]


def test_open_days_answer_from_passing_runs(shop: Shop) -> None:
    """With every kind of filter; one run serves them all. Programs' visits are in none."""
    for words, values in QUESTIONS.items():
        if words in ("all", "of a visitor", "of an event", "what did not"):
            shop.check_as_asked(*values)
    assert len(shop.client.query("SELECT DISTINCT run FROM day_visits").result_rows) == 2
    assert shop.runs.of(shop.client, TOTALS, question(*BOTH, ("bots", "yes")))[1] == {}
    assert shop.runs.of(shop.client, REPORTS["errors"], question(*BOTH))[1] == {}, "it needs no visits"


def test_a_passing_run_is_right_until_the_events_change(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.client.command("OPTIMIZE TABLE events FINAL")  # or it merges meanwhile
    first = passing(shop)
    assert len(first) == 2 and passing(shop) == first
    one = next(row for row in shop.rows if row["type"] == "page_view" and row.get("visitor"))
    late = [one | {"visitor": 99, "view_id": 99 + number, "path": "/late"} for number in range(3)]
    traffic.insert(shop.client, late, "late")
    shop.rows += late
    shop.check_as_asked()
    again = passing(shop)
    assert not set(again.values()) & set(first.values())
    assert shop.visit_rows(f"run IN {tuple(first.values())}") == 0, "the one before is dropped"
    shop.client.command("ALTER TABLE events DELETE WHERE path = '/late'", settings={"mutations_sync": 2})
    shop.rows = [row for row in shop.rows if row.get("path") != "/late"]
    shop.check_as_asked()
    before = passing(shop)
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)  # the job clears away what is old
    assert not set(passing(shop).values()) & set(before.values())


def test_very_many_visits_are_used_again_though_events_came_in() -> None:
    few, many = module._Passing(1, 7, 100.0, 5000), module._Passing(1, 7, 100.0, 500_000)
    assert few.holds(7, 399.0) and not few.holds(7, 401.0) and not few.holds(8, 100.5)
    assert many.holds(8, 109.0) and not many.holds(8, 111.0) and many.holds(7, 111.0)


def test_of_many_open_days_visits_are_worked_out_in_the_query(shop: Shop) -> None:
    assert shop.runs.of(shop.client, TOTALS, question()) == ({}, {})
    shop.check()


def test_closed_and_open_days_in_one_question(shop: Shop) -> None:
    assert shop.closer.close(shop.client, "shop", BUSY)
    for words in ("all", "of a visit", "of an event"):
        shop.check_as_asked(*QUESTIONS[words])
    closed, open_ones = shop.runs.of(shop.client, TOTALS, question(*BOTH))
    assert list(closed) == [BUSY] and len(open_ones) == 1


def test_what_a_reader_left_behind_is_cleared_away(shop: Shop) -> None:
    left = passing(shop)
    shop.closer.close_all()
    shop.runs = RunsOf(shop.days, register())  # a new process
    assert shop.visit_rows(f"run IN {tuple(left.values())}") > 0
    shop.days.clear(shop.client, shop.days.now(shop.client))
    assert shop.visit_rows(f"run IN {tuple(left.values())}") == 0 and shop.visit_rows("passing = 0") > 0
    shop.check_as_asked()
    shop.days.forget(shop.client)  # after a restore
    assert shop.visit_rows("1") == 0
    shop.check_as_asked()


@pytest.mark.slow
@pytest.mark.parametrize("are_closed", [True, False])
def test_rights_open_the_days_that_they_touch(shop: Shop, tmp_path: Path, *, are_closed: bool) -> None:
    """Restriction, its end, withdrawal, erasure: reports are exact at once and when the job has been there, a closed
    day that nothing happened to stays closed, and no visit is left that was made from rows that went."""
    stops = Stops(tmp_path)
    scrubber = Scrubber(tmp_path, stops, gather=0, days=shop.days)
    holder = Holder(stops, SINGLE, scrubber.expect, shop.days)
    seen = defaultdict[int, set[date]](set)
    for row in shop.rows:
        seen[row["person"]].add(shop.day(row))
    person, other = [one for one, days in seen.items() if one and days == {BUSY}][:2]
    others = [row for row in shop.rows if row["person"] != person]
    lawful = [row for row in shop.rows if row["person"] != other or "measurement" in row["purposes"]]
    gone = {row.get("visitor") or 0 for row in shop.rows} - {row.get("visitor") or 0 for row in others}
    assert gone, "somebody of whom no row is left"
    theirs = f"visitor IN {[*gone]}"

    def check(rows: list[traffic.Row]) -> None:
        shop.check_as_asked(rows=rows)
        if are_closed:
            assert shop.closer.close_all() in (1, 2) and len(shop.closed()) == 2
            shop.check_as_asked(rows=rows)

    check(shop.rows)
    for whom, why, left in (
        (person, Stop.RESTRICTED, others), (person, Stop.LIFTED, shop.rows),
        (other, Stop.WITHDRAWN, lawful), (person, Stop.ERASED, [row for row in lawful if row in others]),
    ):  # fmt: skip
        stops.add(whom, 1, why)
        if why in (Stop.RESTRICTED, Stop.LIFTED):
            assert holder.move(shop.client) == {whom}
        else:
            assert scrubber.scrub(shop.client, now=True) >= 1
        assert (shop.visit_rows(theirs) > 0) == (why is Stop.WITHDRAWN)
        assert not are_closed or list(shop.closed()) == [BUSY + timedelta(days=1)]
        check(left)
    stops.close()


def test_today_is_opened_by_an_erasure(shop: Shop) -> None:
    """What was worked out for the day that is not over knows the person no more."""
    now = shop.days.now(shop.client) // 1000
    today = shop.days.day_of(when(now))
    rows = [row | {"ms": now, "received_ms": now, "person": 5, "visitor": 5} for row in shop.rows[:3]]
    traffic.insert(shop.client, rows, "today")
    day = question(("from", str(today)), ("to", str(today)))
    _, first = shop.runs.of(shop.client, TOTALS, day)
    shop.days.forget_visits(shop.client, [("shop", today)])
    assert shop.visit_rows("1") == 0
    _, second = shop.runs.of(shop.client, TOTALS, day)
    assert second[today] > first[today]
