"""Guessing passwords: each failure makes the next try wait longer, in bounded memory, across restarts."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from consent_gateway.access import throttle as module
from consent_gateway.access.throttle import FREE, LONGEST_WAIT, Throttle


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1_795_341_600.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


def test_a_guesser_of_one_user_waits_longer_each_time(tmp_path: Path, clock: SimpleNamespace) -> None:
    throttle = Throttle(tmp_path, "secret")
    for number in range(FREE["user"]):
        assert throttle.begin("ann", f"192.0.2.{number}") == 0  # from wherever
    waits = []
    for number in range(12):
        wait = throttle.begin("ann", f"198.51.100.{number}")
        waits.append(wait)
        clock.now += wait
        assert throttle.begin("ann", f"198.51.100.{number}") == 0
    assert waits == sorted(waits) and waits[0] == 1 and waits[-1] == LONGEST_WAIT
    assert throttle.begin("bob", "203.0.113.0") == 0  # nobody else waits


def test_a_network_that_tries_many_names_waits(tmp_path: Path, clock: SimpleNamespace) -> None:
    throttle = Throttle(tmp_path, "secret")
    for number in range(FREE["network"]):
        assert throttle.begin(f"user{number}", "203.0.113.0") == 0
    assert throttle.begin("another", "203.0.113.0") > 0
    assert throttle.begin("another", "198.51.100.0") == 0


def test_tries_at_once_count_before_they_are_answered(tmp_path: Path, clock: SimpleNamespace) -> None:
    throttle = Throttle(tmp_path, "secret")
    taken = sum(throttle.begin("ann", "203.0.113.0") == 0 for _ in range(100))
    assert taken == FREE["user"]


def test_who_comes_in_is_forgiven(tmp_path: Path, clock: SimpleNamespace) -> None:
    throttle = Throttle(tmp_path, "secret")
    for _ in range(50):
        assert throttle.begin("ann", "203.0.113.0") == 0
        throttle.succeeded("ann", "203.0.113.0")


def test_a_restart_forgets_nothing(tmp_path: Path, clock: SimpleNamespace) -> None:
    throttle = Throttle(tmp_path, "secret")
    for _ in range(FREE["user"]):
        throttle.begin("ann", "203.0.113.0")
    assert Throttle(tmp_path, "secret").begin("ann", "203.0.113.0") > 0
    kept = tmp_path / "sign-in.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert b"ann" not in kept.read_bytes() and b"203.0.113" not in kept.read_bytes()


def test_a_day_without_tries_is_forgotten(tmp_path: Path, clock: SimpleNamespace) -> None:
    throttle = Throttle(tmp_path, "secret")
    for _ in range(FREE["user"]):
        throttle.begin("ann", "203.0.113.0")
    clock.now += 86_401
    assert throttle.begin("ann", "203.0.113.0") == 0


def test_memory_is_bounded(tmp_path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 50)
    monkeypatch.setattr(module, "_MOST_KEPT", 10)
    throttle = Throttle(tmp_path, "secret")
    for number in range(200):
        throttle.begin(f"user{number}", f"network{number}")
    assert len(throttle._tries) <= 50
    assert len(Throttle(tmp_path, "secret")._tries) <= 10


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": ["x", "y"]}'])
def test_a_damaged_file_is_no_fault(tmp_path: Path, clock: SimpleNamespace, text: str) -> None:
    (tmp_path / "sign-in.json").write_text(text)
    assert Throttle(tmp_path, "secret").begin("ann", "203.0.113.0") == 0
