"""The chaos run of `load/soak.py`, short and with fixed seeds: nothing lost, nothing doubled, and it can tell."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

SOAK = Path(__file__).parents[2] / "load" / "soak.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SOAK), *arguments], capture_output=True, text=True, timeout=400)


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("store", ["embedded", "server"])
def test_soak(store: str, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    ended = run("--seconds", "20", "--seed", "7", "--rate", "2000", "--store", store, "--report", str(report))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = dict(line.strip("| ").split(" | ", 1) for line in report.read_text().splitlines() if " | " in line[3:])
    assert rows["acknowledged, not stored: lost"] == rows["stored more than once: doubled"] == "**0**"
    assert rows["the books"] == "balance"
    assert int(rows["events acknowledged"].strip("*").replace(",", "")) > 1000
    assert int(rows["kill -9"].split("**")[1]) >= 3
    assert f"python load/soak.py --seconds 20 --seed 7 --rate 2000 --store {store}" in report.read_text()


def compared(soak: ModuleType, monkeypatch: pytest.MonkeyPatch, stored: list[tuple[int, str]]) -> Any:
    """The outcome for two acknowledged events (1, 2), one that was not (3), and these rows in the store."""
    batches = [soak.Batch([1, 2], True, [(0.0, "silent"), (1.0, "204")]), soak.Batch([3], False, [(0.0, "cut")])]
    load = SimpleNamespace(batches=batches, sent=3, acknowledged=2, answers=Counter({"204": 1}), waits=[0.001])
    chaos = SimpleNamespace(done=Counter(), killed=Counter(), log=[(0.5, "stop")])
    meter = SimpleNamespace(cpu={"worker": {}, "office": {}}, peak=Counter(), seconds=lambda role: 0.0)
    books = Counter({"received": len(stored), "accepted": len(stored), "confirmed": len(stored)})
    outcome = soak.Outcome(load, chaos, meter, 1.0, 0.5, books)
    many = [row for row in stored if [number for number, _ in stored].count(row[0]) > 1]
    client = SimpleNamespace(
        raw_query=lambda *_, **__: b"".join(number.to_bytes(8, "little") for number, _ in stored),
        query=lambda *_: SimpleNamespace(result_rows=many),
        close=lambda: None,
    )
    monkeypatch.setattr(soak.clickhouse_connect, "get_client", lambda **_: client)
    outcome.compare("chdb:///nowhere")
    return outcome


def test_all_is_well(soak: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = compared(soak, monkeypatch, [(1, "a"), (2, "a"), (3, "b")])
    assert outcome.good
    assert outcome.unanswered_stored == 1
    assert outcome.unsettled == []
    assert list(outcome.evidence()) == []


def test_a_lost_event_is_told(soak: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = compared(soak, monkeypatch, [(1, "a")])
    assert not outcome.good
    assert [number for _, number in outcome.lost] == [2]
    assert "faults near: 00:00:00.500 stop" in "\n".join(outcome.evidence())


def test_doubled_by_the_store_and_by_a_retry(soak: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = compared(soak, monkeypatch, [(1, "a"), (1, "b"), (2, "c"), (2, "c")])
    assert not outcome.good
    assert [number for _, number in outcome.doubled] == [1, 2]
    assert outcome.by_retry == 1
    assert ("… of these two workers took a retry", "1") in outcome.rows()


def test_what_was_never_sent_is_told(soak: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = compared(soak, monkeypatch, [(1, "a"), (2, "a"), (9, "a")])
    assert not outcome.good
    assert ("stored, never sent", "1") in outcome.rows()


def test_books_that_do_not_balance_are_told(soak: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = compared(soak, monkeypatch, [(1, "a"), (2, "a")])
    outcome.books["confirmed"] += 1
    assert any("rows in the table" in text for text in outcome.unsettled)
    assert any("confirmed + aside" in text for text in outcome.unsettled)


def test_wrong_usage() -> None:
    for arguments in (["--faults", "late"], ["--workers", "1"]):
        ended = run(*arguments)
        assert ended.returncode == 2
        assert ended.stderr.count("error:") == 1


def test_help_teaches() -> None:
    text = run("--help").stdout
    for word in ("lost", "doubled", "worker", "lose-rows", "Exit code", "python load/soak.py --store server"):
        assert word in text
