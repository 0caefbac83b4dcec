"""The roles: what analysts may read, what the gateway may do, and that the engine understands each statement.

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
from consent_gateway.store.grants import service, statements
from consent_gateway.store.layout import Layout
from tests.running import ROOT

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


# what the sources may say to a server, and the privilege that it takes
NEEDS = {
    "CREATE DATABASE": "CREATE DATABASE", "CREATE TABLE": "CREATE TABLE", "CREATE OR REPLACE VIEW": "DROP VIEW",
    "INSERT INTO": "INSERT", "TRUNCATE TABLE": "TRUNCATE", "DELETE WHERE": "ALTER DELETE", "UPDATE": "ALTER UPDATE",
    "MODIFY COLUMN": "ALTER COLUMN", "ADD COLUMN": "ALTER COLUMN", "MODIFY TTL": "ALTER TTL", "KILL QUERY": "",
    "DROP PARTITION": "ALTER DELETE", "DROP TABLE": "DROP TABLE", "OPTIMIZE TABLE": "",  # the last is an owner's
}  # fmt: skip
VERBS = re.compile(
    r"\b(CREATE (?:OR REPLACE )?(?!ROLE|SETTINGS|TEMPORARY)[A-Z]+|INSERT INTO|TRUNCATE TABLE|DELETE WHERE"
    r"|UPDATE(?= [`{])|KILL [A-Z]+|OPTIMIZE TABLE|EXCHANGE TABLES"
    r"|(?:MODIFY|ADD|DROP|RENAME|CLEAR|COMMENT|MATERIALIZE|ATTACH|DETACH|MOVE|FREEZE|REPLACE) "
    r"(?:COLUMN|TTL|TABLE|VIEW|DATABASE|PARTITION|PART|INDEX|PROJECTION|STATISTICS))"
)


def test_the_gateways_role_may_do_what_the_back_office_says_and_no_more() -> None:
    (work,) = (text for text in service() if "CREATE DATABASE" in text)
    granted = set(work.removeprefix("GRANT ").partition(" ON ")[0].split(", "))
    assert work.endswith("ON consent_gateway.* TO consent_gateway_service")
    sources = [path for path in (ROOT / "consent_gateway").rglob("*.py") if path.name != "grants.py"]
    text = "\n".join(path.read_text() for path in sources)
    said = set(VERBS.findall(text))
    assert {"CREATE TABLE", "INSERT INTO", "DELETE WHERE", "TRUNCATE TABLE", "KILL QUERY"} <= said <= NEEDS.keys()
    assert {NEEDS[verb] for verb in said} - {""} <= granted
    assert granted - set(NEEDS.values()) == {"SELECT", "CREATE VIEW"}
    of_system = set(re.findall(r"FROM system\.(\w+)|\"system\.(\w+)\"", text))
    shown = {"tables", "columns"}  # each user sees there what they have rights to
    watched = {name for pair in of_system for name in pair if name} - shown
    assert {f"GRANT SELECT ON system.{name} TO consent_gateway_service" for name in watched} <= set(service())


@pytest.mark.parametrize("cluster", ["", "main"])
def test_the_engine_understands_it(tmp_path: Path, cluster: str) -> None:
    text = ";\n".join([*statements(LIMITS, Layout(cluster)), *service(Layout(cluster))])
    parsed = subprocess.run(
        [sys.executable, "-c", _PARSE, str(tmp_path / "engine")], input=text, capture_output=True, text=True
    )
    kinds = parsed.stdout.split()
    assert kinds[:2] == ["CreateSettingsProfileQuery", "CreateRoleQuery"], parsed.stderr
    assert set(kinds[2:]) == {"GrantQuery", "CreateRoleQuery"} and len(kinds) == len(text.split(";\n"))
    assert ("ON CLUSTER" in text) == bool(cluster)


def test_the_command() -> None:
    shown = CliRunner().invoke(app, ["schema", "grants"])
    assert shown.exit_code == 0
    assert shown.stdout.count(";\n") == len(list(statements(LIMITS)))
    assert CliRunner().invoke(app, ["schema", "grants", "--gateway"]).stdout.split(";\n")[:-1] == list(service())
