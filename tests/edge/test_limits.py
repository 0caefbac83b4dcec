"""Limits: one number a bucket, a table that never grows, and what is never refused."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consent_gateway.config.notices import Notices
from consent_gateway.config.policy_file import load
from consent_gateway.edge import late, limits
from consent_gateway.edge.late import Late, Lot
from consent_gateway.edge.limits import Limit
from consent_gateway.edge.receipts import Receipts
from consent_gateway.edge.recorder import Faults
from consent_gateway.record.keys import Keys
from consent_gateway.record.ledger import Ledger, SharedSync, Stop, Stops
from consent_gateway.rule.address import Prefixes, parse
from consent_gateway.rule.errors import LedgerError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(limits, "monotonic", lambda: clock.now)
    return clock


def limit(network: float = 0, site: float = 0) -> Limit:
    return Limit(network, site, 10.0, Prefixes())


def taken(take: Callable[[], int], tries: int) -> int:
    return sum(not take() for _ in range(tries))


def test_at_once_ten_times_the_rate_and_then_the_rate(clock: SimpleNamespace) -> None:
    one = partial(limit(network=4).take, parse("203.0.113.7"), "shop")
    assert taken(one, 200) == 40
    assert one() == 1, "in a second there is room"
    clock.now += 2
    assert taken(one, 200) == 8
    clock.now += 3600
    assert taken(one, 200) == 40, "an idle hour saves up no more"


def test_a_network_is_one_and_another_is_another(clock: SimpleNamespace) -> None:
    bound = limit(network=1)
    assert taken(lambda: bound.take(parse("203.0.113.7"), "shop"), 20) == 10
    assert bound.take(parse("203.0.113.200"), "shop"), "of the same /24"
    assert bound.take(parse("::ffff:203.0.113.1"), "shop"), "wrapped or not"
    assert not bound.take(parse("203.0.114.7"), "shop")
    assert taken(lambda: bound.take(parse("2001:db8:1:2::3"), "shop"), 20) == 10
    assert bound.take(parse("2001:db8:1:ffff::9"), "shop"), "of the same /48"


def test_what_comes_from_here_is_bounded_by_its_site_alone(clock: SimpleNamespace) -> None:
    bound = limit(network=1, site=2)
    for address in (parse("127.0.0.1"), parse("::1"), None):
        clock.now += 3600
        assert taken(lambda address=address: bound.take(address, "shop"), 100) == 20  # type: ignore[misc]
    assert not bound.take(None, "blog"), "each site has its own"


def test_a_batch_is_counted_whole_and_its_debt_is_bounded(clock: SimpleNamespace) -> None:
    bound = limit(network=8)
    address = parse("203.0.113.7")
    for _ in range(50):
        bound.take(address, "shop", 99, always=True)
    assert bound.take(address, "shop") == 13, "the last hundred, and not fifty of them"
    clock.now += 13
    assert not bound.take(address, "shop")


def test_memory_does_not_grow_with_networks(clock: SimpleNamespace) -> None:
    bound = limit(network=100, site=1000)
    before = sys.getsizeof(bound._networks)
    for number in range(20_000):
        bound.take(number.to_bytes(4, "big"), "shop")
    assert sys.getsizeof(bound._networks) == before < 600_000 and len(bound._sites) == 1


def test_nobody_else_knows_where_a_network_lies() -> None:
    bounds = limit(network=1), limit(network=1)
    for bound in bounds:
        bound.take(parse("203.0.113.7"), "shop")
    places = [next(place for place, paid in enumerate(bound._networks) if paid) for bound in bounds]
    assert places[0] != places[1]


class Disk:
    """A disk that refuses until it is told not to."""

    def __init__(self, folder: Path) -> None:
        self.refuses, self.ledger, self.stops = True, Ledger(folder), Stops(folder)
        self.late = Late(SharedSync(), self.stops, Faults())

    def append(self, number: int) -> object:
        if self.refuses:
            raise LedgerError("the disk is full")
        return self.ledger.append({"number": number}, "2026-11")

    def stop(self, person: int) -> object:
        if self.refuses:
            raise LedgerError("the disk is full")
        return self.stops.add(person, 1, Stop.WITHDRAWN)

    def write(self, number: int, *ends: int) -> bool:
        writes = [*(partial(self.stop, person) for person in ends), partial(self.append, number)]
        return asyncio.run(self.late.write(Lot(writes, frozenset(ends)), grants=False))  # type: ignore[arg-type]


def test_no_flood_of_refusals_pushes_out_a_withdrawal_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "_MOST_WAITING", 20)
    disk = Disk(tmp_path)
    assert disk.write(0, 7) and disk.late.has_ended(7)
    assert all(disk.write(number) for number in range(1, 60)), "none of them is refused"
    assert disk.write(60, 8) and disk.late.has_ended(8), "nor is one that ends a consent"
    assert len(disk.late._waiting) == 22, "what waits is bounded, but not for those"
    disk.late.record(5)
    assert not disk.stops.ended(7)
    disk.refuses = False
    disk.late.record(5)
    assert disk.stops.ended(7) and disk.stops.ended(8) and not disk.late._waiting and not disk.late._ending


def test_many_objections_of_one_person_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_MOST_OBJECTING", 2)
    disk = Disk(tmp_path)
    assert [disk.late.object(person, at) for person, at in ((1, 10), (1, 20), (2, 30), (3, 40))] == [True] * 3 + [False]
    disk.late.record(5)
    assert disk.stops.of(1) == [(20, Stop.OBJECTED)] and disk.stops.of(2) == [(30, Stop.OBJECTED)]
    disk.late.record(5)
    assert len(disk.stops.seen) == 2


def test_few_read_the_whole_ledger_at_once(tmp_path: Path) -> None:
    """Its threads are the site's, too: whoever asks for receipts in masses must not take all of them."""
    reading, most, free = [0], [0], threading.Event()

    class Slow(Ledger):
        def history(self, consent_id: str) -> list[dict[str, Any]]:
            reading[0] += 1
            most[0] = max(most[0], reading[0])
            free.wait(20)
            reading[0] -= 1
            return []

    receipts = Receipts(Keys(tmp_path / "keys"), Slow(tmp_path), Notices(load(None), None, lambda: 0), "/_cg")

    async def ask() -> list[int]:
        asked = [asyncio.ensure_future(receipts.show("c")) for _ in range(30)]
        _, reading_still = await asyncio.wait(asked, timeout=0.5)
        assert len(reading_still) == 4, "the others were refused while these read"
        free.set()
        return [answer.status_code for answer in await asyncio.gather(*asked)]

    statuses = asyncio.run(ask())
    assert most[0] <= 4 and statuses.count(503) == 26 and statuses.count(404) == 4
