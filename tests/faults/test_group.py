"""Group commit: what waits is done together, in order, within bounds."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from consent_gateway.record.group import Group, Overloaded


class Disk:
    """Work that waits to be let through, and remembers its lots."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.lots: list[list[int]] = []

    def work(self, items: list[int]) -> Sequence[Exception | None]:
        self.go.wait(30)
        self.lots.append(items)
        return [ValueError(item) if item < 0 else None for item in items]


def test_what_comes_while_the_disk_is_busy_is_done_together() -> None:
    disk = Disk()
    group = Group("test", disk.work, most=100)
    first = group.put(0)
    while group._waiting:  # until the thread has taken it
        pass
    others = [group.put(number) for number in range(1, 50)]
    assert group.busy
    disk.go.set()
    for done in (first, *others):
        done.result(30)
    assert disk.lots == [[0], list(range(1, 50))]
    assert not group.busy


def test_each_caller_gets_its_own_error() -> None:
    disk = Disk()
    disk.go.set()
    group = Group("test", disk.work, most=100)
    group.put(1).result(30)
    with pytest.raises(ValueError, match="-7"):
        group.put(-7).result(30)


def test_an_error_of_the_work_itself_is_everybodys() -> None:
    def fail(items: list[int]) -> Sequence[Exception | None]:
        raise OSError("no")

    group = Group("test", fail, most=2)
    for done in (group.put(1), group.put(2)):
        with pytest.raises(OSError, match="no"):
            done.result(30)
    group.put(3)  # and the thread goes on


def test_no_more_than_the_bound_waits() -> None:
    disk = Disk()
    group = Group("test", disk.work, most=10)
    group.put(1, size=4)
    group.put(2, size=6)
    with pytest.raises(Overloaded):
        group.put(3)
    disk.go.set()
    assert group.close(30)
    assert [item for lot in disk.lots for item in lot] == [1, 2]
    with pytest.raises(Overloaded):
        group.put(4)


def test_closing_waits_no_longer_than_told() -> None:
    disk = Disk()
    group = Group("test", disk.work, most=10)
    done = group.put(1)
    assert not group.close(0.05)
    disk.go.set()
    done.result(30)


def test_a_cancelled_caller_does_no_harm() -> None:
    disk = Disk()
    group = Group("test", disk.work, most=10)
    first = group.put(1)
    while group._waiting:
        pass
    second = group.put(2)
    second.cancel()
    disk.go.set()
    first.result(30)
    assert group.close(30)
    assert disk.lots == [[1], [2]]
