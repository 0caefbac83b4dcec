"""`consent-gateway policy check|show|record`, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_gateway.cli import app
from tests.config.test_policy import EXAMPLE

RUNNER = CliRunner()


def test_check_says_what_is_unmet_and_ends_with_1() -> None:
    answer = RUNNER.invoke(app, ["policy", "check"])
    assert answer.exit_code == 1
    assert "controller.name" in answer.output and "3 unmet" in answer.output and "contested" in answer.output


def test_check_of_a_complete_policy_ends_with_0() -> None:
    answer = RUNNER.invoke(app, ["policy", "check", str(EXAMPLE)])
    assert answer.exit_code == 0 and "0 unmet" in answer.output


def test_a_wrong_policy_ends_with_1_and_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[controller]\nfax = '1'\n")
    for command in ("check", "show", "record"):
        answer = RUNNER.invoke(app, ["policy", command, str(path)])
        assert answer.exit_code == 1
        assert answer.stderr == f"consent-gateway: {path}, line 2, controller.fax: is no key of a policy\n"


@pytest.mark.parametrize("language", ["nl", "fr", "de", "en"])
def test_show_speaks_every_language(language: str) -> None:
    answer = RUNNER.invoke(app, ["policy", "show", str(EXAMPLE), "--language", language])
    assert answer.exit_code == 0 and "Polderly NV" in answer.output and "in force" in answer.output


def test_record_as_markdown_and_json() -> None:
    text = RUNNER.invoke(app, ["policy", "record", str(EXAMPLE)])
    assert text.exit_code == 0 and text.output.startswith("# Record of processing activities")
    made = json.loads(RUNNER.invoke(app, ["policy", "record", str(EXAMPLE), "--format", "json"]).output)
    assert [one["id"] for one in made["activities"]][:2] == ["measurement", "analytics"]
