"""The salts: one a day, the same for all processes, gone with the day."""

from __future__ import annotations

import logging
import os
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.record import salts as module
from consent_gateway.record.salts import RunSalts, Salts, bounds, destroy, memory_dir

from .processes import run, run_killed

BRUSSELS = ZoneInfo("Europe/Brussels")
HOUR = 3_600_000


class Clock:
    """The module's `time`, standing still at a moment of Brussels' wall clock."""

    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self.ms = int(datetime.fromisoformat(text).replace(tzinfo=BRUSSELS).timestamp()) * 1000

    def time(self) -> float:
        return self.ms / 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock("2026-11-22T10:00:00")
    monkeypatch.setattr(module, "time", SimpleNamespace(time=clock.time))
    return clock


def test_a_day_has_one_salt_for_all(tmp_path: Path, clock: Clock) -> None:
    one, other = Salts(tmp_path, BRUSSELS), Salts(tmp_path, BRUSSELS)
    salt = one.of(clock.ms)
    assert salt is not None and len(salt) == 32
    clock.set("2026-11-22T23:59:59")
    assert one.of(clock.ms) == other.of(clock.ms) == Salts(tmp_path, BRUSSELS).of(clock.ms) == salt
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()] == [
        ("salt-2026-11-22", 0o600)
    ]


def test_at_midnight_there_is_another_and_the_old_one_is_gone(tmp_path: Path, clock: Clock) -> None:
    one, other = Salts(tmp_path, BRUSSELS), Salts(tmp_path, BRUSSELS)
    before, at = one.of(clock.ms), clock.ms
    assert other.of(at) == before
    clock.set("2026-11-23T00:00:00")
    after = one.of(clock.ms)
    assert after is not None and after != before
    assert os.listdir(tmp_path) == ["salt-2026-11-23"]
    assert other.of(clock.ms) == after
    assert one.of(at) is other.of(at) is None  # an event of yesterday has no visitor any more


def test_only_today_has_a_salt(tmp_path: Path, clock: Clock) -> None:
    salts = Salts(tmp_path, BRUSSELS)
    first, end = bounds(date(2026, 11, 22), BRUSSELS)
    assert salts.of(first) == salts.of(end - 1) == salts.of(clock.ms)
    assert salts.of(first - 1) is salts.of(end) is salts.of(0) is None


def test_midnight_is_the_zones_own(tmp_path: Path, clock: Clock) -> None:
    clock.set("2026-11-22T23:30:00")  # 22:30 in UTC
    brussels, utc = Salts(tmp_path / "a", BRUSSELS), Salts(tmp_path / "b", ZoneInfo("UTC"))
    for salts in (brussels, utc):
        salts.directory.mkdir()
        assert salts.of(clock.ms)
    before = utc.of(clock.ms)
    clock.set("2026-11-23T00:30:00")
    utc.keep()
    brussels.keep()
    assert os.listdir(tmp_path / "a") == ["salt-2026-11-23"]
    assert os.listdir(tmp_path / "b") == ["salt-2026-11-22"] and utc.of(clock.ms) == before


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-28", 24), ("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25), ("2026-10-26", 24)],
)
def test_a_day_of_daylight_saving_is_one_day(tmp_path: Path, clock: Clock, day: str, hours: int) -> None:
    first, end = bounds(date.fromisoformat(day), BRUSSELS)
    assert end - first == hours * HOUR
    salts = Salts(tmp_path, BRUSSELS)
    seen = set()
    for clock.ms in range(first, end, HOUR // 2):
        seen.add(salts.of(clock.ms))
    assert len(seen) == 1 and None not in seen
    clock.ms = end
    assert salts.of(end) not in seen


zones = st.sampled_from(
    ["UTC", "Europe/Brussels", "America/Sao_Paulo", "America/Havana", "Africa/Cairo", "Asia/Beirut", "Asia/Kathmandu"]
)


@given(zones.map(ZoneInfo), st.integers(0, 4_000_000_000_000))
def test_every_moment_is_in_one_day(zone: ZoneInfo, at: int) -> None:
    """Also where midnight is left out, or comes twice, on the day when the clocks change."""
    day = datetime.fromtimestamp(at // 1000, zone).date()
    first, end = bounds(day, zone)
    assert first <= at < end
    assert bounds(day + timedelta(days=1), zone)[0] == end
    assert 22 * HOUR <= end - first <= 26 * HOUR


def test_processes_share_it_and_a_crash_leaves_it(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    at = int(datetime.now(UTC).timestamp() * 1000)

    def note(number: int) -> None:
        salt = Salts(memory, ZoneInfo("Etc/GMT+12")).of(at)
        (tmp_path / f"seen-{number}").write_bytes(salt or b"none")

    run(*(lambda number=number: note(number) for number in range(6)))
    run_killed(lambda: note(6))
    assert len({path.read_bytes() for path in tmp_path.glob("seen-*")}) == 1
    assert (tmp_path / "seen-6").read_bytes() == Salts(memory, ZoneInfo("Etc/GMT+12")).of(at)
    assert len(os.listdir(memory)) == 1


def test_destroying_overwrites(tmp_path: Path) -> None:
    path, other = tmp_path / "salt", tmp_path / "the same bytes on the disk"
    path.write_bytes(b"s" * 32)
    os.link(path, other)
    destroy(path)
    assert not path.exists() and other.read_bytes() == bytes(32)
    destroy(path)  # another process was first: nothing to do


def test_a_replay_has_a_salt_for_each_of_its_days_until_its_end(tmp_path: Path, clock: Clock) -> None:
    today = Salts(tmp_path, BRUSSELS)
    kept = today.of(clock.ms)
    one, other = RunSalts(tmp_path, BRUSSELS), RunSalts(tmp_path, BRUSSELS)
    day = 24 * HOUR
    first = one.of(clock.ms - 400 * day)
    assert first == one.of(clock.ms - 400 * day + HOUR) == other.of(clock.ms - 400 * day)
    assert len({one.of(clock.ms - days * day) for days in range(5)} | {first, kept}) == 7
    assert one.of(clock.ms - 400 * day) == first  # back again
    one.end()
    assert os.listdir(tmp_path) == ["salt-2026-11-22"] and today.of(clock.ms) == kept
    assert RunSalts(tmp_path, BRUSSELS).of(clock.ms - 400 * day) != first


# Where they lie.


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr(module, "_SHARED_MEMORY", folder)
    return folder


def test_they_lie_in_a_private_folder_in_memory(tmp_path: Path, shared: Path) -> None:
    before = os.umask(0)
    try:
        found = memory_dir(tmp_path / "data")
    finally:
        os.umask(before)
    assert found.parent == shared and stat.S_IMODE(found.stat().st_mode) == 0o700
    assert memory_dir(tmp_path / "data") == found != memory_dir(tmp_path / "other")


@pytest.mark.parametrize("what", ["open to others", "a link", "a file", "another's", "no such place"])
def test_a_folder_that_is_not_ours_alone_is_not_used(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    data = tmp_path / "data"
    place = memory_dir(data)
    if what == "open to others":
        place.chmod(0o750)
    elif what == "a link":
        place.rmdir()
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "elsewhere")
    elif what == "a file":
        place.rmdir()
        place.touch()
    elif what == "another's":
        us = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: us + 1)
        place.rename(place.with_name(place.name.replace(f"-{us}-", f"-{us + 1}-")))  # made by someone else before us
    else:
        monkeypatch.setattr(module, "_SHARED_MEMORY", tmp_path / "nowhere")
    with caplog.at_level(logging.WARNING):
        assert memory_dir(data) == data / "salts"
    assert "salts lie in" in caplog.text
    assert stat.S_IMODE((data / "salts").stat().st_mode) == 0o700
