"""`consent-gateway schema print|check|apply`, as a person types it, and drift that is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_gateway.cli import app
from consent_gateway.store import client as store
from tests.running import Site

RUNNER = CliRunner()


def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **more: str) -> None:
    values = {"DATA_DIR": str(tmp_path / "data"), "KEYS_DIR": str(tmp_path / "keys"), "SITE": "shop"} | more
    for name, value in values.items():
        monkeypatch.setenv(f"CONSENT_GATEWAY_{name}", value)


def test_print_shows_every_table_and_the_policys_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('address_days = 7\n[[purposes]]\nid = "analytics"\nretention_days = 100\n')
    environment(monkeypatch, tmp_path, POLICY=str(policy))
    answer = RUNNER.invoke(app, ["schema", "print"])
    assert answer.exit_code == 0 and not (tmp_path / "data").exists()
    for table in ("events", "held", "rights_requests", "consents", "seals", "page_views", "visits"):
        assert f"consent_gateway.{table}" in answer.output, table
    assert "MODIFY COLUMN `address` TTL toDateTime(received_at) + INTERVAL 7 DAY" in answer.output


DRIFT = [
    ("MODIFY COLUMN city String", "city is String, not LowCardinality(String)"),
    ("ADD COLUMN fingerprint String", "fingerprint is in no register"),
    ("DROP COLUMN screen", "screen is missing"),
    ("COMMENT COLUMN city 'a place'", "city says 'a place'"),
]


def test_drift_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one store: the engine takes a second to open."""
    environment(monkeypatch, tmp_path)
    with Site(tmp_path, SITE="shop") as site:
        site.wait_for("the back office", site.office_answers)
        fine = RUNNER.invoke(app, ["schema", "check"])
        assert fine.exit_code == 0 and "as the register and the policy say" in fine.output
        assert RUNNER.invoke(app, ["schema", "apply"]).exit_code == 0
        site.stop()
        here = Path.cwd()
        client = store.connect(site.dsn)
        for statement, _ in DRIFT:
            client.command(f"ALTER TABLE events {statement}", settings={"alter_sync": 2})
        client.close()
        assert Path.cwd() == here
        answer = RUNNER.invoke(app, ["schema", "check"])
    assert answer.exit_code == 1
    for _, words in DRIFT:
        assert words in answer.output, words
    assert "in 4 places" in answer.stderr
