"""Repeats: an id is known in every process, in a table that never grows."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.record.repeats import Repeats

from .processes import run, run_killed

SIZE = 16 << 20
ids = st.integers(1, 2**64 - 1)
FOLDER: Path


class Ids(Repeats):
    """As the recorder uses it, one id at a time."""

    def __contains__(self, number: int) -> bool:
        return self.place(number) is None

    def note(self, number: int) -> None:
        place = self.place(number)
        if place is not None:
            self.add({number: place})


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("repeats")


def test_a_repeat_is_known_in_every_process(tmp_path: Path) -> None:
    here = Ids(tmp_path, "20414")
    run(lambda: Ids(tmp_path, "20414").note(7))
    assert 7 in here and 8 not in here
    here.note(8)
    run_killed(lambda: Ids(tmp_path, "20414").note(9))

    def work() -> None:
        there = Ids(tmp_path, "20414")
        assert {7, 8, 9} <= {number for number in range(1, 20) if number in there}

    run(work)
    path = tmp_path / "seen-20414"
    assert path.stat().st_size == SIZE and stat.S_IMODE(path.stat().st_mode) == 0o600
    here.close()


def test_what_two_processes_add_at_once_is_nearly_all_kept(tmp_path: Path) -> None:
    def work(first: int) -> None:
        repeats = Ids(tmp_path, "20414")
        for number in range(first, first + 20_000):
            repeats.note(number * 0x9E3779B97F4A7C15 % 2**64)

    run(*(lambda first=first: work(first) for first in (1, 20_001)))
    repeats = Ids(tmp_path, "20414")
    known = sum(number * 0x9E3779B97F4A7C15 % 2**64 in repeats for number in range(1, 40_001))
    assert known >= 39_990
    repeats.close()


@given(st.lists(ids, max_size=50))
def test_an_id_is_known_from_then_on(numbers: list[int]) -> None:
    repeats = Ids(FOLDER, "1")
    for number in numbers:
        repeats.note(number)
        assert number in repeats
    repeats.close()


@given(st.integers(0, 2**18 - 1), st.lists(st.integers(1, 2**46 - 1), min_size=9, max_size=60, unique=True))
def test_a_full_bucket_forgets_one_of_its_own_and_nothing_else(bucket: int, highs: list[int]) -> None:
    repeats = Ids(FOLDER, "2")
    other = (bucket + 1) % 2**18 | 1 << 60
    repeats.note(other)
    for high in highs:
        number = high << 18 | bucket
        repeats.note(number)
        assert number in repeats  # the newest is never the one that is forgotten
    assert other in repeats
    assert sum((high << 18 | bucket) in repeats for high in highs) <= 8
    assert (FOLDER / "seen-2").stat().st_size == SIZE
    repeats.close()


def test_another_day_knows_nothing_and_removes_the_old_ones(tmp_path: Path) -> None:
    one = Ids(tmp_path, "20413")
    one.note(7)
    other = Ids(tmp_path, "20414")
    assert 7 not in other and os.listdir(tmp_path) == ["seen-20414"]
    assert 7 in one  # who has it open goes on until its own midnight
    one.close()
    other.close()


def test_a_memory_that_is_full_is_told_when_the_day_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not by a signal that ends the site's worker when an id is written."""
    repeats = Ids(tmp_path, "20414")
    assert os.stat(tmp_path / "seen-20414").st_blocks * 512 >= SIZE
    repeats.close()

    def refuse(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        Ids(tmp_path, "20415")
