"""What a network and a server do to an insert: nothing is lost, nothing is there twice."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from consent_gateway.rule.errors import StoreError
from consent_gateway.store import forwarder
from tests.clickhouse_double import ClickHouseDouble
from tests.store.conftest import NewHost
from tests.store.host import Host, event, until

ROWS = 50


def drain(host: Host) -> int:
    """Rounds until the spool is empty; how many of them failed."""
    failed = 0
    end = time.monotonic() + 60
    while True:
        try:
            if host.forward() == 0:
                return failed
        except StoreError:
            failed += 1
            assert host.balance() == {}
        assert time.monotonic() < end
        time.sleep(0.05)


FAULTS = [
    ("status", {"status": 503}, 1),
    ("status", {"status": 429}, 1),
    ("status", {"status": 500}, 1),
    ("hang", {"seconds": 4.5}, 1),
    ("reset_before", {"times": 2}, 1),
    ("reset_before", {}, 0),  # the client tries again by itself
    ("reset_after", {"times": 2}, 1),
    ("reset_after", {}, 0),
    ("truncate", {"times": 2}, 1),
    ("delay", {"seconds": 0.3}, 0),
    ("delay", {"seconds": 4.5}, 1),
    ("late", {"seconds": 4.5, "times": 2}, 1),  # sent again while the two are still on their way
    ("lose_rows", {"times": 2}, 1),
]


@pytest.mark.parametrize(("kind", "how", "failed"), FAULTS, ids=lambda value: str(value))
def test_a_fault_at_the_insert(
    kind: str, how: dict[str, float], failed: int, server: ClickHouseDouble, on_server: NewHost
) -> None:
    host = on_server(timeout=3 if how.get("seconds", 0) > 2 else 10)  # a busy machine must not look like a fault
    host.accept(*(event(number) for number in range(ROWS)))
    server.fault(kind, match="INSERT INTO events", **how)  # type: ignore[arg-type]
    assert drain(host) == failed
    if failed:
        time.sleep(how.get("seconds", 0))  # until what was given up has arrived
    server.clear()
    assert host.stored() == list(range(ROWS))
    assert host.balance() == {} and host.tally.counts["shop", "confirmed"] == ROWS


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncate", "hang"])
def test_a_fault_at_the_question_how_many_rows_there_are(
    kind: str, server: ClickHouseDouble, on_server: NewHost
) -> None:
    host = on_server(timeout=1)
    host.accept(*(event(number) for number in range(ROWS)))
    server.fault(kind, match="SELECT count()", times=3, seconds=1.2)
    drain(host)
    server.clear()
    assert host.stored() == list(range(ROWS)) and host.balance() == {}


def test_the_store_is_away_at_the_start_and_comes(
    server: ClickHouseDouble, on_server: NewHost, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder, "_EVERY_SECONDS", 0.05)
    server.kill()
    host = on_server()
    host.accept(*(event(number) for number in range(ROWS)))
    thread = threading.Thread(target=host.forwarder.run)
    thread.start()
    try:
        until("some tries", lambda: host.forwarder.progress.failures >= 2)
        assert host.forwarder.progress.last_error and host.forwarder.pending() == 1
        server.start()
        until("the rows", lambda: host.forwarder.progress.rows == ROWS)
    finally:
        host.forwarder.stop()
        thread.join()
    assert host.forwarder.progress.last_error == ""
    assert host.stored() == list(range(ROWS)) and host.balance() == {}
    told = [record for record in caplog.records if "the spool keeps them" in record.message]
    assert len(told) == 1, "once, not at each try"


@pytest.mark.slow
def test_a_backlog_drains_and_fresh_events_do_not_wait_for_it(
    server: ClickHouseDouble,
    on_server: NewHost,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "consent_gateway")
    monkeypatch.setattr(forwarder, "_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(forwarder, "_SAY_SECONDS", 0.5)
    host = on_server()
    for number in range(300):
        host.accept(*(event(number * 20 + row) for row in range(20)))
    server.fault("status", status=503, match="INSERT", times=1)
    with pytest.raises(StoreError):
        host.forward()
    assert host.forwarder.pending() == 300 and host.balance() == {}

    before = resident()
    draining = threading.Thread(target=host.forward)
    draining.start()
    until("a part", lambda: host.forwarder.progress.batches > 20)
    host.accept(event(6000, site="blog"))
    until("the fresh one", lambda: host.query("SELECT count() FROM events WHERE site = 'blog'") == [(1,)])
    assert host.forwarder.progress.batches < 290, "it waited for the backlog"
    draining.join()
    host.forward()
    assert resident() - before < 50e6
    assert host.stored() == list(range(6001)) and host.balance() == {}
    told = [record.getMessage() for record in caplog.records if record.message.startswith("backlog:")]
    assert told and told[-1].startswith("backlog: 300 of 300")


def resident() -> int:
    """Bytes of memory that this process uses."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_the_end_comes_in_time_however_long_the_backlog(server: ClickHouseDouble, on_server: NewHost) -> None:
    host = on_server()
    for number in range(10):
        host.accept(event(number))
    server.fault("delay", seconds=1, times=-1)
    host.forwarder.stop(within=0.5)
    began = time.monotonic()
    assert 6 <= host.forward() < 10
    assert time.monotonic() - began < 8
    server.clear()
    host.restart()
    assert host.forward() == 0 and host.stored() == list(range(10))
