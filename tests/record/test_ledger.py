"""The ledger and the stops: whole lines from any number of processes, on the disk before anyone is told so."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.record.ledger import File, Ledger, SharedSync, Stop, Stops
from consent_gateway.rule.errors import LedgerError

from .processes import full_disk, run, run_killed

MONTH = "2026-11"


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(text) for text in (folder / "ledger" / f"{MONTH}.jsonl").read_bytes().splitlines()]
    return [{name: value for name, value in record.items() if name != "before"} for record in found]


# The ledger.


def test_a_record_is_a_line_in_its_month(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number, month in enumerate([MONTH, MONTH, "2026-12"]):
        ledger.append({"number": number, "text": "é\n\u2028"}, month)
    assert lines(tmp_path) == [{"number": 0, "text": "é\n\u2028"}, {"number": 1, "text": "é\n\u2028"}]
    files = list((tmp_path / "ledger").iterdir())
    assert {path.name for path in files} == {"2026-11.jsonl", "2026-12.jsonl", "lock"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "ledger").stat().st_mode) == 0o700
    ledger.close()


def test_many_processes_append_whole_lines(tmp_path: Path) -> None:
    def work(writer: int) -> None:
        ledger = Ledger(tmp_path)
        for number in range(100):
            ledger.append({"writer": writer, "number": number, "text": "x" * (number * 97 % 9000)}, MONTH)

    run(*(lambda writer=writer: work(writer) for writer in range(5)))
    run_killed(lambda: work(5))
    found = lines(tmp_path)
    assert len(found) == 600
    for writer in range(6):  # and each writer's in its order
        assert [line["number"] for line in found if line["writer"] == writer] == list(range(100))


def test_on_a_full_disk_a_record_is_whole_or_not_there(tmp_path: Path) -> None:
    def work() -> None:
        ledger, told, refused = Ledger(tmp_path), [], 0
        with full_disk(1000):
            for number in range(30):
                try:
                    ledger.append({"number": number, "text": "x" * 70}, MONTH)
                    told.append(number)
                except LedgerError as error:
                    assert "could not be recorded" in str(error)
                    refused += 1
        assert told and refused
        ledger.append({"number": 99}, MONTH)
        assert [line["number"] for line in lines(tmp_path)] == [*told, 99]

    run(work)


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "ledger").touch()
    with pytest.raises(LedgerError, match="could not be recorded"):
        Ledger(tmp_path).append({}, MONTH)
    with pytest.raises(LedgerError, match="could not be recorded"):
        Stops(tmp_path).add(1, 1, Stop.ERASED)


# The stops.


def test_a_stop_is_seen_by_all_at_once(tmp_path: Path) -> None:
    here, there = Stops(tmp_path), Stops(tmp_path)
    assert there.of(7) == [] and not there.ended(7)
    run(lambda: Stops(tmp_path).add(7, 1000, Stop.WITHDRAWN))
    assert here.of(7) == there.of(7) == [(1000, Stop.WITHDRAWN)] and there.ended(7)
    here.add(7, 2000, Stop.ERASED)
    here.add(8, 1500, Stop.OBJECTED)
    assert there.of(7) == [(1000, Stop.WITHDRAWN), (2000, Stop.ERASED)]
    assert there.of(8) == [(1500, Stop.OBJECTED)] and not there.ended(8)  # an objection ends no consent
    assert there.of(9) == []
    assert there.seen == [(7, 1000, Stop.WITHDRAWN), (7, 2000, Stop.ERASED), (8, 1500, Stop.OBJECTED)]
    assert there.newest == 2000
    assert Stops(tmp_path).of(7) == there.of(7)
    for stops in (here, there):
        stops.close()


def test_many_processes_stop_at_once(tmp_path: Path) -> None:
    def work(first: int) -> None:
        stops = Stops(tmp_path)
        for person in range(first, first + 200):
            stops.add(person, person * 10, Stop.WITHDRAWN)

    run(*(lambda first=first: work(first) for first in range(0, 800, 200)))
    stops = Stops(tmp_path)
    assert all(stops.of(person) == [(person * 10, Stop.WITHDRAWN)] for person in range(800))
    assert len(stops.seen) == 800
    stops.close()


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**53), st.sampled_from(Stop)), max_size=20))
def test_stops_are_read_as_they_were_written(written: list[tuple[int, int, Stop]]) -> None:
    folder = FOLDER / os.urandom(6).hex()
    stops, reader = Stops(folder), Stops(folder)
    for person, at, why in written:
        stops.add(person, at, why)
        assert reader.of(person)[-1] == (at, why)
    assert stops.of(0) == [(at, why) for person, at, why in written if person == 0]
    assert reader.seen == written
    assert reader.newest == max((at for _, at, _ in written), default=0)
    for each in (stops, reader):
        each.close()


@pytest.mark.parametrize("room", [4096, 4100, 5000])
def test_a_full_disk_leaves_no_torn_stop(tmp_path: Path, room: int) -> None:
    """Behind a torn one, everybody's would be read askew."""

    def work() -> None:
        stops, told = Stops(tmp_path), []
        with full_disk(room):
            for person in range(1, 300):
                try:
                    stops.add(person, person, Stop.WITHDRAWN)
                    told.append(person)
                except LedgerError:
                    pass
        assert 0 < len(told) < 299
        stops.add(999, 999, Stop.ERASED)
        assert [person for person, _, _ in Stops(tmp_path).seen] == []
        reader = Stops(tmp_path)
        assert reader.of(999) == [(999, Stop.ERASED)]
        assert [person for person, _, _ in reader.seen] == [*told, 999]

    run(work)


def test_a_stop_half_written_is_waited_for(tmp_path: Path) -> None:
    stops = Stops(tmp_path)
    stops.add(7, 1000, Stop.WITHDRAWN)
    path = tmp_path / "ledger" / "stops"
    data = path.read_bytes()
    path.write_bytes(data + data[:5])
    assert stops.of(7) == [(1000, Stop.WITHDRAWN)]
    path.write_bytes(data + data)
    assert len(stops.of(7)) == 2
    stops.close()


FOLDER: Path


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("stops")


# One sync for all that wait.


class Disk:
    """Stands in front of `os.fdatasync`: counts, waits, and fails for the files that it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[int] = []
        self.broken: set[int] = set()
        self.asked, self.free = threading.Event(), threading.Event()
        self.free.set()
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)

    def fdatasync(self, handle: int) -> None:
        self.asked.set()
        self.free.wait(30)
        self.synced.append(handle)
        if handle in self.broken:
            raise OSError(5, "Input/output error")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def writing(file: File, text: bytes = b"x") -> Callable[[], File]:
    def write() -> File:
        file.append(text)
        return file

    return write


def test_one_sync_for_many(tmp_path: Path, disk: Disk) -> None:
    async def work() -> None:
        sync, file = SharedSync(), File(tmp_path / "file")
        disk.free.clear()
        first = asyncio.ensure_future(sync.wait(writing(file)))
        assert await asyncio.to_thread(disk.asked.wait, 30)  # under way: what comes now waits for the next sync
        others = [asyncio.ensure_future(sync.wait(writing(file))) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert not any(future.done() for future in (first, *others))
        disk.free.set()
        await asyncio.gather(first, *others)
        assert disk.synced == [file.handle] * 2
        assert (tmp_path / "file").read_bytes() == b"x" * 101
        assert sync.close(5)
        file.close()

    asyncio.run(work())


def test_nobody_is_told_before_the_disk_has_it(tmp_path: Path, disk: Disk) -> None:
    async def work() -> None:
        sync, file = SharedSync(), File(tmp_path / "file")
        for number in range(5):
            await sync.wait(writing(file))
            assert len(disk.synced) == number + 1
        assert sync.close(5)
        file.close()

    asyncio.run(work())


def test_an_error_reaches_those_it_concerns(tmp_path: Path, disk: Disk) -> None:
    def refuse() -> File:
        raise LedgerError("no")

    async def work() -> None:
        sync = SharedSync()
        good, bad = File(tmp_path / "good"), File(tmp_path / "bad")
        disk.broken = {bad.handle}
        disk.free.clear()
        waiting = [asyncio.ensure_future(sync.wait(writing(good)))]
        assert await asyncio.to_thread(disk.asked.wait, 30)
        waiting += [asyncio.ensure_future(sync.wait(write)) for write in (writing(bad), writing(good), refuse) * 3]
        await asyncio.sleep(0.05)
        disk.free.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), *[OSError, type(None), LedgerError] * 3]
        disk.broken = set()
        await sync.wait(writing(bad))  # and the next one is served
        assert sync.close(5)
        good.close()
        bad.close()

    asyncio.run(work())


def test_who_gives_up_disturbs_nobody(tmp_path: Path, disk: Disk) -> None:
    async def work() -> None:
        sync, file = SharedSync(), File(tmp_path / "file")
        disk.free.clear()
        waiting = [asyncio.ensure_future(sync.wait(writing(file))) for _ in range(10)]
        await asyncio.sleep(0.05)
        for future in waiting[::2]:
            future.cancel()
        disk.free.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError, type(None)] * 5
        await sync.wait(writing(file))
        assert sync.close(5)
        file.close()

    asyncio.run(work())
