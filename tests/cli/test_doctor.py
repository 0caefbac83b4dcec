"""`consent-gateway doctor`: each line by itself, with what to do; and the page of an installation, sound and not."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consent_gateway.cli import app, soundness
from consent_gateway.cli.soundness import Finding
from consent_gateway.config.settings import Settings
from consent_gateway.store.backup import LAST
from tests.faults.servers import choose
from tests.running import Site

RUNNER = CliRunner()
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
LEDGER = {"records": 5, "sealed": 5, "seals": 1, "last_seal": "2026-11-28T11:30:00+00:00", "faults": [],
          "stored": [], "store_error": ""}  # fmt: skip


def grades(found: Any) -> list[str]:
    lines: list[Finding] = list(found)
    assert all(line.advice for line in lines if line.grade == "bad"), "what is wrong says what to do"
    return [line.grade for line in lines]


def test_the_clock() -> None:
    assert grades(soundness.clock("", NOW, True)) == ["good"]
    assert grades(soundness.clock("", 1_000_000_000, True)) == ["bad"]
    assert grades(soundness.clock("2026-11-28T12:30:00.000+00:00", NOW, True)) == ["bad"], "it went back"
    assert grades(soundness.clock("2026-11-28T11:59:00.000+00:00", NOW, None)) == ["good"]
    assert grades(soundness.clock("", NOW, False)) == ["note"]
    assert soundness.is_synchronised() in (True, False, None)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, ["good"]),
        ({"records": 9}, ["good"]),
        ({"records": 9, "last_seal": "2026-11-28T08:00:00+00:00"}, ["bad"]),
        ({"records": 1, "sealed": 0, "seals": 0, "last_seal": ""}, ["good"]),
        ({"faults": [{"place": "2026-11.jsonl, line 3", "since": "", "why": "is no record"}]}, ["bad"]),
        ({"store_error": "away"}, ["good", "note"]),
    ],
)
def test_the_ledger(state: dict[str, Any], expected: list[str]) -> None:
    assert grades(soundness.ledger(LEDGER | state, NOW)) == expected


def test_backups(tmp_path: Path) -> None:
    assert grades(soundness.backups(tmp_path, NOW)) == ["note"]
    for made, expected in (("2026-11-27T12:00:00+00:00", "good"), ("2026-11-01T12:00:00+00:00", "note"), ("x", "note")):
        (tmp_path / LAST).write_text(json.dumps({"made_at": made, "path": "/nowhere"}))
        assert grades(soundness.backups(tmp_path, NOW)) == [expected], made


def test_retention() -> None:
    day = 86_400
    for oldest, expected in ((0, "good"), (NOW - 758 * day, "good"), (NOW - 800 * day, "bad")):
        assert grades(soundness.retention({"oldest": oldest}, 758, NOW)) == [expected]


def test_whom_it_believes_and_bounds() -> None:
    assert grades(soundness.reach(Settings())) == ["note"]
    assert grades(soundness.reach(Settings(TRUSTED_PROXIES="10.0.0.0/8"))) == ["good"]
    assert grades(soundness.reach(Settings(TRUSTED_PROXIES="0.0.0.0/0"))) == ["good", "bad"]
    assert grades(soundness.reach(Settings(TRUSTED_PROXIES="unix", METRICS_NETWORKS="::/0"))) == ["good", "bad"]
    assert grades(soundness.reach(Settings(TRUSTED_PROXIES="unix", EVENTS_PER_NETWORK=0))) == ["good", "note"]


def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as a newcomer does: every promise has its line, and what is broken one by one is named."""
    with Site(tmp_path / "site", SITE="shop") as site:
        for name, value in {"DATA_DIR": site.data_dir, "KEYS_DIR": site.keys_dir, "SITE": "shop"}.items():
            monkeypatch.setenv(f"CONSENT_GATEWAY_{name}", str(value))
        assert choose(site, "accept_all").status == 200
        assert site.get("/").status == 200
        site.forwarded()
        assert RUNNER.invoke(app, ["backup", str(tmp_path / "backup.tar.gz")]).exit_code == 0
        well = RUNNER.invoke(app, ["doctor"])
        assert well.exit_code == 0 and "✗" not in well.output and "Nothing is wrong" in well.output, well.output
        for words in (
            "the policy", "no proxy is trusted", "DATA_DIR is", "KEYS_DIR is", "free on the disk", "salts lie", "clock",
            "the back office answers, and is a site's", "the store answers", "tables of version",
            "nothing is kept longer", "the spool is empty", "the ledger is as it was written: 1 choices",
            "the last backup is 0 days old", "no request of a person is late", "the books of shop balance",
            "an address sent through the gateway",
        ):  # fmt: skip
            assert words in well.output, words
        (site.keys_dir / "receipt").chmod(0o644)
        (month,) = (site.data_dir / "ledger").glob("20*.jsonl")
        month.write_bytes(month.read_bytes().replace(b'"granted":true', b'"granted":true '))
        future = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 9000))
        month.write_bytes(month.read_bytes() + json.dumps({"before": "x", "at": future}).encode() + b"\n")
        ill = RUNNER.invoke(app, ["doctor"])
    assert ill.exit_code == 1 and re.search(r"\d+ wrong, ", ill.output)
    for words in ("others may read", "chmod -R go=", "the ledger: ", "ledger verify", "the clock went back"):
        assert words in ill.output, words
    for line in re.findall(r"✗ .*\n(.*)\n", ill.output):
        assert line.strip().startswith("→"), line
