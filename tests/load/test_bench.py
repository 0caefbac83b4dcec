"""The benchmarks' own tests: what they send is what a site gets, their figures are right, and a short run balances."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest

from consent_gateway.config.policy import InForce
from consent_gateway.config.policy_file import load
from consent_gateway.edge.wire import WireEvent
from consent_gateway.record.cookie import Cookies
from load import balance, bench, drive, figures, paper, traffic

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s" * 43
NOW = int(time.time() * 1000)


@pytest.fixture(scope="module")
def people() -> list[traffic.Visitor]:
    return traffic.visitors(SECRET, 600, NOW)


def test_visitors_stand_in_every_way_with_cookies_that_count(people: list[traffic.Visitor]) -> None:
    cookies, terms = Cookies([SECRET]), InForce(load(None))(NOW)
    seen = [cookies.read(one.cookies, traffic.SITE, secure=True, now=NOW, terms=terms) for one in people]
    assert {consent.status.value for consent in seen} == {"unknown", "given", "refused", "withdrawn"}
    assert any(consent.objection for consent in seen) and any(one.signal for one in people)
    assert {":" in one.address for one in people} == {True, False}
    assert len({one.agent for one in people}) > 10


@pytest.mark.parametrize("kind", ["event", "batch"])
def test_every_event_sent_is_valid_and_has_room_for_an_id(people: list[traffic.Visitor], kind: str) -> None:
    for raw in traffic.requests(kind, people, 50):
        head, _, body = raw.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        sent = json.loads(body.replace(traffic.ID, b"0123456789abcdef"))
        events = sent if kind == "batch" else [sent]
        assert len(events) == (traffic.BATCH if kind == "batch" else 1)
        for event in events:
            assert WireEvent.model_validate(event).id == "0123456789abcdef"


def test_no_id_and_no_address_comes_twice(people: list[traffic.Visitor], tmp_path: Path) -> None:
    file = tmp_path / "requests"
    traffic.write(file, traffic.requests("distinct", people, 20))
    made = drive.Requests(file, seed=5)
    sent = [made.next() for _ in range(2000)]
    ids = [json.loads(one.partition(b"\r\n\r\n")[2])["id"] for one in sent]
    addresses = [one.partition(b"X-Forwarded-For: ")[2].partition(b"\r\n")[0] for one in sent]
    assert len(set(ids)) == len(set(addresses)) == 2000
    assert all(len(one) == 16 and int(one, 16) for one in ids)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 27),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP", 41),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", 0),
        (b"HTTP/1.1 200 OK\r\ncontent-le", 0),
    ],
)
def test_where_an_answer_ends(data: bytes, size: int) -> None:
    assert drive.answer_size(data) == size


def test_spread_is_median_and_quartiles() -> None:
    assert figures.Spread.of([4, 1, 3, 2, 5]) == figures.Spread(3, 2, 4)
    assert figures.Spread.of([2.0]).text() == "2.00 (2.00 to 2.00)"


def test_chart_is_an_svg_with_a_bar_for_each() -> None:
    bars = [
        figures.Bar("a <b>", figures.Spread(1, 0.9, 1.1), False),
        figures.Bar("c", figures.Spread(0.5, 0.4, 0.6), True),
    ]
    drawn = ElementTree.fromstring(figures.chart("Title & more", "note", bars, ""))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}path")) == 2


def test_report_replaces_only_its_part(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    report.write_text("before\n<!-- begin one: by a command -->\nold\n<!-- end one -->\nafter\n")
    figures.replace_part(report, "one", r"new \1")
    figures.replace_part(report, "one", r"newer \1")
    assert report.read_text() == "before\n<!-- begin one: by a command -->\n\nnewer \\1\n\n<!-- end one -->\nafter\n"
    with pytest.raises(KeyError, match="two"):
        figures.replace_part(report, "two", "")


def test_performance_page_has_a_part_for_each_measurement() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    for part in (*bench.PARTS, "machine", "compare", "paper"):
        assert text.count(f"<!-- begin {part}:") == text.count(f"<!-- end {part} -->") == 1


def test_paper_follows_from_what_was_measured() -> None:
    measured = {
        "events": {
            "event": {"micros": 30.0},
            "batch": {"micros": 6.0},
            "sizes": {"event": 800, "batch": 6000, "events_a_batch": 20, "spool": 700},
        },
        "forward": {"micros": 6.0, "base_micros": 5.0, "stored_bytes": 40},
    }
    told = {line[0]: line[2:] for line in paper.calculate(measured, paper.Assumed(busy=0.6, cores_a_host=16))}
    assert told["edge cores"] == ("50", "10")  # a million times 30 µs, 60 % busy
    assert told["back office cores"] == ("10", "10")
    assert told["hosts of 16 cores"] == ("4", "2")
    assert told["network in, Gbit/s in all"] == ("6.4", "2.4")
    assert told["store, TB a day with replicas"] == ("6.91", "6.91")
    assert "not measured" in paper.text({"events": measured["events"]}, paper.Assumed())


BOOKS = {"received": 12, "accepted": 9, "confirmed": 9, "dropped.objection": 2, "dropped.invalid": 1}


def test_a_run_that_balances() -> None:
    sent = Counter(events=10, views=2, invalid=1)
    assert all(balance.compare(sent, BOOKS).values())


@pytest.mark.parametrize(
    ("sent", "books"),
    [
        ({"events": 11}, {}),  # one was lost before it was counted
        ({"events": 9}, {}),  # one came twice
        ({}, {"accepted": 8}),  # received and neither kept nor dropped
        ({}, {"confirmed": 8}),  # accepted and not stored
        ({"invalid": 0}, {}),  # dropped as invalid, and nobody was told
    ],
)
def test_a_run_that_does_not(sent: dict[str, int], books: dict[str, int]) -> None:
    sent_in_all = Counter({"events": 10, "views": 2, "invalid": 1} | sent)
    assert not all(balance.compare(sent_in_all, BOOKS | books).values())


@pytest.mark.parametrize(("events", "fine"), [(9, False), (10, True), (11, True), (12, False)])
def test_what_was_not_answered_may_have_arrived(events: int, fine: bool) -> None:
    sent = Counter(events=events, views=2, invalid=1, unanswered=1)
    assert all(balance.compare(sent, BOOKS).values()) is fine


def test_percentile_of_a_histogram() -> None:
    assert balance.percentile({1: 98, 50: 1, 900: 1}, 0.99) == 50
    assert balance.percentile({}, 0.99) == 0


def test_events_are_of_all_kinds() -> None:
    chance = Random(1)
    assert {traffic.event(chance)["type"] for _ in range(100)} == {"page_view", "engagement", "custom"}


@pytest.mark.slow
@pytest.mark.parametrize("own", [[], ["--own"]])
def test_a_short_run_balances(own: list[str]) -> None:
    """With either generator; wrong figures on a busy machine are no failure, an event that is lost is."""
    line = [sys.executable, str(ROOT / "load" / "bench.py"), "--events", "--rounds", "1", "--seconds", "1", *own]
    run = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("balanced") == 2


@pytest.mark.slow
def test_locust_run_balances() -> None:
    if not find_spec("locust"):
        pytest.skip("locust is not installed: make load installs it")
    line = [sys.executable, str(ROOT / "load" / "locustfile.py"), "--seconds", "6"]
    run = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "= rows in the table" in run.stdout
