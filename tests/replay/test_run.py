"""What a run makes of lines: events, drops, counts, and a summary without addresses."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.record.office import Lock
from consent_gateway.replay import run as running
from consent_gateway.replay.source import LogError, Source
from consent_gateway.rule.errors import SpoolFull
from tests.replay.bench import NOW, Bench, entry, lines, make_rule

DAYS = timedelta(days=1)


def test_a_line_becomes_an_event_of_its_own_time(bench: Bench) -> None:
    at = datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC)
    text = entry(1, host="203.0.113.77", at=at, request="GET /a?utm_source=x&k=1 HTTP/1.1", status=404)
    bench.replay(bench.put("log", text.replace(b'"-"', b'"https://www.google.com/search"')))
    (row,) = bench.events()
    assert row["visitor"]
    assert row["view_id"]
    expected = {
        "site": "shop", "type": "page_error", "at": "2026-11-01 23:59:59.000", "received_at": "2026-11-01 23:59:59.000",
        "consent": "unknown", "purposes": ["measurement"], "network": "203.0.113.0/24", "path": "/a",
        "query": "utm_source=x", "http_status": 404, "referrer_host": "www.google.com", "browser": "Firefox",
    }  # fmt: skip
    assert {name: row.get(name) for name in expected} == expected
    assert not any("203.0.113.77" in str(value) for value in row.values())


def test_every_line_is_counted_under_one_name(bench: Bench) -> None:
    content = b"".join(
        [
            entry(1),
            entry(2, status=500),
            entry(3, request="POST /form HTTP/1.1"),
            entry(4, request="GET /style.css HTTP/1.1"),
            entry(5, host="client.example"),
            entry(6, at=NOW - 758 * DAYS - timedelta(seconds=1)),
            entry(7, at=NOW - 758 * DAYS),
            entry(8, at=NOW - 900 * DAYS, request="GET /old.css HTTP/1.1"),
            b"rubbish\n",
            b"\n",
        ]
    )
    summary = bench.replay(bench.put("log", content))
    assert (summary.lines, summary.page_views, summary.page_errors) == (10, 2, 1)
    assert summary.dropped == {"not_a_page": 2, "no_address": 1, "expired": 2, "unparsable": 2}
    assert summary.lines == summary.page_views + summary.page_errors + summary.dropped.total()
    dropped = {f"dropped.{reason}": number for reason, number in summary.dropped.items()}
    assert bench.counted() == {"received": 10, "accepted": 3} | dropped
    assert bench.numbers() == [1, 2, 7]


def test_what_is_expired_can_be_kept(bench: Bench) -> None:
    """Retention counts from now then, or the store would take it at once."""
    old = datetime(2015, 5, 17, 10, tzinfo=UTC)
    log = bench.put("log", entry(1, at=old))
    assert bench.replay(log).dropped == {"expired": 1}
    assert bench.replay(log, again=True, keep_expired=True).page_views == 1
    (row,) = bench.events()
    assert (row["at"], row["received_at"]) == ("2015-05-17 10:00:00.000", "2026-11-22 00:00:00.000")


def test_a_line_of_the_future_was_not_received_there(bench: Bench) -> None:
    later = entry(2, at=NOW + DAYS + timedelta(seconds=1))
    summary = bench.replay(bench.put("log", entry(1, at=NOW + DAYS) + later + entry(3, at=NOW + 400 * DAYS)))
    assert summary.dropped == {"future": 2}, "a day is room for clocks and zones"
    (row,) = bench.events()
    assert row["received_at"] == "2026-11-22 00:00:00.000"


def test_a_file_that_is_no_log_or_empty_is_told(bench: Bench) -> None:
    rubbish, empty = bench.put("rubbish", b"a\nb c\n"), bench.put("empty", b"")
    summary = bench.replay(rubbish, empty, bench.put("log", b"rubbish\n" + lines(0, 3)))
    assert summary.errors == [f"{rubbish}: not one line of it is of an access log"]
    assert (summary.empty, summary.page_views) == ([empty], 3)
    grown = bench.put("log", b"rubbish\n" + lines(0, 3) + b"more rubbish\n")
    assert not bench.replay(grown).errors, "it has lines of a log, read before"


def test_a_month_has_its_own_segment(bench: Bench) -> None:
    turn = datetime(2026, 11, 1, tzinfo=UTC)
    bench.replay(bench.put("log", b"".join(entry(n, at=turn + timedelta(seconds=n - 5)) for n in range(10))))
    names = sorted(path.name[:6] for path in bench.spool.segments(bench.spool.sealed))
    assert names == ["202610", "202611"]
    assert bench.numbers() == list(range(10))


def test_the_files_of_a_run_share_salts_that_end_with_it(bench: Bench) -> None:
    one, two = (bench.put(name, entry(number, at=NOW)) for number, name in enumerate(["one", "two"]))
    next_day = bench.put("next", entry(3, at=NOW + DAYS))
    bench.replay(one, next_day, two)
    by_path = {row["path"]: row["visitor"] for row in bench.events()}
    assert by_path["/p/0"] == by_path["/p/1"] != by_path["/p/3"]
    assert not (bench.memory / "replay").exists()
    bench.replay(bench.put("later", entry(4, at=NOW)))
    assert {row["path"]: row["visitor"] for row in bench.events()}["/p/4"] != by_path["/p/0"]


def test_examples_are_three_by_place_and_without_addresses(bench: Bench) -> None:
    one = bench.put("one", lines(0, 2) + b'192.0.2.77 - - "GET / HTTP/1.1" 2001:db8::77\n' + lines(2, 3) + b"x\n")
    two = bench.put("two", b"198.51.100.77\n" * 3)
    summary = bench.replay(one, two)
    assert summary.examples == [(one, 3, '* - - "GET / HTTP/1.1" *'), (one, 5, "*"), (two, 1, "*")]
    assert summary.dropped["unparsable"] == 5
    grown = bench.put("three", lines(10, 14))
    bench.replay(grown)
    with open(grown, "ab") as file:
        file.write(b"x y\n")
    assert bench.replay(grown).examples == [(grown, 5, "* y")]


def test_a_log_that_can_not_be_read_does_not_stop_the_others(bench: Bench) -> None:
    gone = str(bench.folder / "gone")
    summary = bench.replay(gone, bench.put("log", lines(0, 3)))
    assert summary.lines == 3
    assert summary.errors == [f"{gone} can't be read: No such file or directory"]


def test_one_run_at_a_time(bench: Bench) -> None:
    lock = Lock(bench.data, "replay")
    assert lock.take()
    with pytest.raises(LogError, match="another replay is running"):
        bench.replay(bench.put("log", lines(0, 3)))
    lock.free()
    assert bench.replay(bench.put("log", lines(0, 3))).lines == 3


def test_a_line_that_breaks_the_rule_is_a_fault_of_its_own(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    run = bench.run()
    real = make_rule(lambda at: b"s" * 32).judge

    def judge(seen: Any) -> Any:
        if seen.url == "/p/1":
            raise RuntimeError("192.0.2.77")
        return real(seen)

    run._judge = judge
    summary = run.read([bench.put("log", lines(0, 3))])
    bench.books.close()
    assert (summary.page_views, summary.dropped) == (2, {"fault": 1})
    assert "RuntimeError" in caplog.text
    assert "192.0.2.77" not in caplog.text


def test_a_full_spool_is_waited_for_only_when_it_is_emptied(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    log = bench.put("log", lines(0, 50))
    monkeypatch.setattr(running, "_CHUNK_LINES", 10)
    with pytest.raises(SpoolFull, match="its limit is 3000, and nobody empties it"):
        bench.replay(log, limit=3000)
    kept = bench.numbers()
    assert kept == list(range(len(kept)))
    assert 0 < len(kept) < 50

    def empty(_: float) -> None:
        for path in bench.spool.segments(bench.spool.sealed):
            path.rename(bench.folder / path.name)

    monkeypatch.setattr(time, "sleep", empty)
    summary = bench.replay(log, limit=3000, emptied=True)
    assert summary.lines == 50 - len(kept)


def test_a_spool_that_nobody_empties_after_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_ROOM_SECONDS", 0.1)
    bench.replay(bench.put("one", lines(0, 50)))
    with pytest.raises(SpoolFull):
        bench.replay(bench.put("two", lines(50, 60)), limit=3000, emptied=True)


def test_progress_is_told_up_to_the_end(bench: Bench) -> None:
    told: list[tuple[str, float, int]] = []

    def tell(source: Source, done: int) -> None:
        told.append((Path(source.name).name, source.position / source.size, done))

    bench.replay(bench.put("one", lines(0, 5)), bench.put("two.gz", lines(5, 20)), progress=tell)
    assert told[-1] == ("two.gz", 1.0, 20)
    assert ("one", 1.0, 5) in told
