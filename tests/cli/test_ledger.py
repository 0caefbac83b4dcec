"""`consent-gateway ledger verify|export`, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_gateway.cli import app
from consent_gateway.record.keys import Keys
from consent_gateway.record.ledger import Ledger
from consent_gateway.record.seals import Seals

RUNNER = CliRunner()
NOW = 1_790_000_000_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with three records of two consents, sealed."""
    monkeypatch.setenv("CONSENT_GATEWAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CONSENT_GATEWAY_KEYS_DIR", str(tmp_path / "keys"))
    ledger = Ledger(tmp_path / "data")
    choices = (("01", "given", "one", ""), ("02", "given", "two", ""), ("03", "withdrawn", "", "one"))
    for day, status, consent, ended in choices:
        record = {"id": day * 16, "site": "shop", "at": f"2026-09-{day}T10:00:00.000+00:00", "status": status}
        purposes = {"analytics": {"granted": status == "given", "basis": "consent"}}
        ledger.append(record | {"consent_id": consent, "supersedes": ended, "purposes": purposes}, "2026-09")
    ledger.close()
    Seals(tmp_path / "data", Keys(tmp_path / "keys").receipt).seal(NOW)
    return tmp_path


def test_verify_says_that_all_is_in_order(home: Path) -> None:
    answer = RUNNER.invoke(app, ["ledger", "verify"])
    assert answer.exit_code == 0
    assert "3 records, 3 of them sealed by 1 seals" in answer.output and "as it was written" in answer.output
    assert "No site is running" in answer.output


def test_verify_says_what_is_wrong_and_since_when(home: Path) -> None:
    path = home / "data" / "ledger" / "2026-09.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"withdrawn"', b'"given"'))
    answer = RUNNER.invoke(app, ["ledger", "verify"])
    assert answer.exit_code == 1
    assert "2026-09.jsonl, line 3" in answer.output and "in order until 2026-09-02T10:00:00.000+00:00" in answer.output
    assert answer.stderr == "consent-gateway: the ledger is not as it was written: 1 faults\n"


def test_verify_makes_no_keys(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_GATEWAY_KEYS_DIR", str(home / "elsewhere"))
    answer = RUNNER.invoke(app, ["ledger", "verify"])
    assert answer.exit_code == 1 and "there are no keys in" in answer.stderr
    assert not (home / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "days"),
    [
        ([], ["01", "02", "03"]),
        (["--consent", "one"], ["01", "03"]),
        (["--from", "2026-09-02"], ["02", "03"]),
        (["--from", "2026-09-02", "--to", "2026-09-02"], ["02"]),
        (["--consent", "nobody"], []),
    ],
)
def test_export_is_one_document_a_line(home: Path, arguments: list[str], days: list[str]) -> None:
    answer = RUNNER.invoke(app, ["ledger", "export", *arguments])
    assert answer.exit_code == 0
    found = [json.loads(line) for line in answer.output.splitlines()]
    assert [one["record_id"][:2] for one in found] == days
    assert {one["@type"] for one in found} <= {"ConsentRecord"}


def test_export_into_a_file_overwrites_none(home: Path) -> None:
    target = home / "choices.jsonl"
    answer = RUNNER.invoke(app, ["ledger", "export", "--output", str(target)])
    assert answer.exit_code == 0 and "3 records" in answer.output and len(target.read_text().splitlines()) == 3
    assert RUNNER.invoke(app, ["ledger", "export", "--output", str(target)]).exit_code == 1
