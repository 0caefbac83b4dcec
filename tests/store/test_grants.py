"""The analysts' role: what it may read, from the register, and that the engine understands each statement.

The embedded engine refuses to make roles (`ACCESS_DENIED`), so the statements are parsed there and not run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_gateway.answers.ask import LIMITS
from consent_gateway.cli import app
from consent_gateway.rule.columns import COLUMNS
from consent_gateway.rule.purposes import ANALYTICS
from consent_gateway.store.grants import statements
from consent_gateway.store.layout import Layout

_PARSE = """
import sys, clickhouse_connect
client = clickhouse_connect.get_client(dsn=f"chdb://{sys.argv[1]}")
for statement in sys.stdin.read().split(";\\n"):
    if statement.strip():
        print(client.query("EXPLAIN AST " + statement).result_rows[0][0].split()[0])
"""


def test_no_column_of_analytics_is_granted() -> None:
    (granted,) = (text for text in statements(LIMITS) if "SELECT(" in text)
    names = set(re.findall(r"`(\w+)`[,)]", granted))
    assert names == {column.name for column in COLUMNS if column.purpose != ANALYTICS}
    assert not names & {"address", "person", "city"} and "path" in names


def test_nobody_with_the_role_can_change_anything_or_lift_a_limit() -> None:
    profile = next(iter(statements(LIMITS)))
    assert "readonly = 1" in profile
    assert all(f"{name} = {value} CONST" in profile for name, value in LIMITS.items() if name != "readonly")


@pytest.mark.parametrize("cluster", ["", "main"])
def test_the_engine_understands_it(tmp_path: Path, cluster: str) -> None:
    text = ";\n".join(statements(LIMITS, Layout(cluster)))
    parsed = subprocess.run(
        [sys.executable, "-c", _PARSE, str(tmp_path / "engine")], input=text, capture_output=True, text=True
    )
    kinds = parsed.stdout.split()
    assert kinds[:2] == ["CreateSettingsProfileQuery", "CreateRoleQuery"], parsed.stderr
    assert set(kinds[2:]) == {"GrantQuery"} and len(kinds) == len(text.split(";\n"))
    assert ("ON CLUSTER" in text) == bool(cluster)


def test_the_command() -> None:
    shown = CliRunner().invoke(app, ["schema", "grants"])
    assert shown.exit_code == 0
    assert shown.stdout.count(";\n") == len(list(statements(LIMITS)))
