"""Withdrawal, objection and erasure reach an event wherever it is: before it is sealed, sealed, sent, or back from a
backup."""

from __future__ import annotations

import time
from typing import Any

import pytest

from consent_gateway.record.ledger import Stop
from tests.store.conftest import NewHost
from tests.store.host import Host, event, until

WITHDRAWN, ERASED, OBJECTED, FREE = 11, 12, 13, 14
ALL = (WITHDRAWN, ERASED, OBJECTED, FREE)


def accept_all(host: Host) -> None:
    """One event of each; of the one who withdrew also one that stands on `analytics` alone."""
    alone = event(20, person=WITHDRAWN, purposes=("analytics",))
    host.accept(*(event(person, person=person) for person in ALL), alone)


def stop_all(host: Host, at: int | None = None) -> None:
    host.stop(WITHDRAWN, Stop.WITHDRAWN, at)
    host.stop(ERASED, Stop.ERASED, at)


def rows(host: Host) -> list[tuple[Any, ...]]:
    sql = "SELECT view_id, person, city, consent, path, arrayStringConcat(purposes, ' ') FROM events ORDER BY view_id"
    return host.query(sql)


LEFT = [
    (WITHDRAWN, 0, "", "withdrawn", "/cart", "measurement"),
    (OBJECTED, OBJECTED, "Gent", "given", "/cart", "measurement analytics"),
    (FREE, FREE, "Gent", "given", "/cart", "measurement analytics"),
]


def test_between_write_and_seal(new_host: NewHost) -> None:
    host = new_host()
    accept_all(host)
    stop_all(host)
    assert host.forward() == 0
    assert rows(host) == LEFT
    assert host.balance() == {} and host.tally.counts["shop", "erased"] == 2
    assert not host.scrubber.due(), "there is nothing to scrub"


def test_an_objection_holds_for_what_was_on_its_way(new_host: NewHost) -> None:
    """Not for what came before it, nor for what came after it was taken back."""
    host = new_host()
    now = int(time.time() * 1000)
    times = {1: now - 1, 2: now, 3: now + 500, 4: now + 120_000}
    host.accept(*(event(number, person=OBJECTED, at=at) for number, at in times.items()))
    host.stop(OBJECTED, Stop.OBJECTED, now)
    host.forward()
    found = host.query("SELECT person, path, visitor > 0, arrayStringConcat(purposes, ' ') FROM events ORDER BY at")
    before, under = (OBJECTED, "/cart", 1, "measurement analytics"), (OBJECTED, "", 0, "analytics")
    assert found == [before, under, under, before]
    assert host.balance() == {}


def sealed(host: Host) -> None:
    accept_all(host)
    for path in host.segments("open"):
        path.rename(host.spool.sealed / path.name)


@pytest.mark.parametrize("restart", [False, True])
def test_between_seal_and_store(new_host: NewHost, restart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed bytes do not change: the rows go in and are scrubbed at once, also when we die in between."""
    host = new_host()
    sealed(host)
    stop_all(host)
    if restart:
        monkeypatch.setattr(host.forwarder, "_scrub", lambda: None)
        host.forward()
        assert len(host.stored()) == 5
        host.restart()
    until("the scrub", lambda: host.forward() == 0 and not host.scrubber.due())
    assert rows(host) == LEFT
    assert host.balance() == {}


def test_after_the_store_in_the_gathering_time(new_host: NewHost) -> None:
    host = new_host(gather=3600)
    accept_all(host)
    host.forward()
    stop_all(host)
    host.forward()
    assert not host.scrubber.due() and len(host.stored()) == 5
    hour_ago = int(time.time() * 1000) - 3_600_000
    host.stop(99, Stop.WITHDRAWN, hour_ago)
    host.restart()
    assert not host.scrubber.due(), "the oldest in the file decides"
    host.scrubber._gather = 0
    until("the scrub", lambda: host.forward() == 0 and not host.scrubber.due())
    assert rows(host) == LEFT
    host.restart()
    assert not host.scrubber.due(), "a scrub is not done twice"
    assert host.balance() == {}


def test_a_restart_does_not_put_off_the_scrub(new_host: NewHost) -> None:
    host = new_host(gather=3600)
    stop_all(host, at=int(time.time() * 1000) - 3_600_001)
    assert host.scrubber.due()


def test_at_once(new_host: NewHost) -> None:
    host = new_host()
    accept_all(host)
    host.forward()
    stop_all(host)
    client = host.connect()
    assert host.scrubber.scrub(client, now=True) == 2
    client.close()
    assert rows(host) == LEFT


def test_a_segment_that_comes_back_brings_nothing_back(new_host: NewHost) -> None:
    host = new_host(gather=0)
    accept_all(host)
    (path,) = host.segments("open")
    data = path.read_bytes()
    host.forward()
    stop_all(host)
    until("the scrub", lambda: host.forward() == 0 and not host.scrubber.due())
    assert rows(host) == LEFT
    for truncated in (False, True):
        if truncated:
            client = host.connect()
            client.command("TRUNCATE TABLE events")  # forgets the tokens
            client.close()
        (host.spool.sealed / path.name).write_bytes(data)
        host.restart()
        until("the scrub", lambda: host.forward() == 0 and not host.scrubber.due())
        assert rows(host) == LEFT


def test_a_ledger_that_was_restored_is_scrubbed_anew(new_host: NewHost) -> None:
    """Its place in the file is past the end."""
    host = new_host(gather=0)
    accept_all(host)
    host.forward()
    stop_all(host)
    (host.data_dir / "ledger" / "scrubbed").write_text("1000")
    host.restart()
    until("the scrub", lambda: host.forward() == 0 and not host.scrubber.due())
    assert rows(host) == LEFT
