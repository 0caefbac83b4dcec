"""The audit log: appended, private, bounded, and about those who read, not about visitors."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from consent_gateway.access import audit as module
from consent_gateway.access.audit import Audit
from consent_gateway.access.people import Role
from consent_gateway.access.sessions import Person

ANN = Person("ann", Role.OWNER, "session", "the session's cookie")


def test_a_line(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit.note(ANN, "exported", "pages of shop")
    audit.note(None, "was refused")
    one, other = audit.read()
    assert (one["who"], one["role"], one["how"], one["did"]) == ("ann", "owner", "session", "exported")
    assert other["who"] == "" and other["did"] == "was refused"
    path = tmp_path / "audit" / "audit.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ANN.secret not in path.read_text()


def test_reading_the_same_again_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    audit = Audit(tmp_path)
    for _ in range(10):
        audit.note(ANN, "read", "live of shop")
        audit.note(ANN, "exported", "pages of shop")  # each time
    assert [line["did"] for line in audit.read()].count("read") == 1
    clock.now += 600
    audit.note(ANN, "read", "live of shop")
    assert [line["did"] for line in audit.read()].count("read") == 2
    assert [line["did"] for line in audit.read()].count("exported") == 10


def test_it_is_bounded_and_loses_the_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_FILES", 4)
    audit = Audit(tmp_path, most_bytes=1000)
    for number in range(200):
        audit.note(ANN, "exported", f"{number}")
    files = list((tmp_path / "audit").iterdir())
    assert len(files) <= 4 and all(path.stat().st_size <= 1000 for path in files)
    kept = [int(line["what"]) for line in audit.read()]
    assert kept == list(range(kept[0], 200)) and len(kept) > 10


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit.note(ANN, "exported", "one")
    with (tmp_path / "audit" / "audit.jsonl").open("a") as file:
        file.write('{"at": "2026\n')
    audit.note(ANN, "exported", "two")
    assert [line["what"] for line in audit.read()] == ["one", "two"]
