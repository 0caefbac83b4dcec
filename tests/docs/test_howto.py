"""The how-tos: their commands and metrics exist, and the move to a server is carried out as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from consent_gateway.cli import app
from tests.clickhouse_double import ClickHouseDouble
from tests.reference import commands
from tests.running import ROOT, Site

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def shell(page: Path) -> list[str]:
    """The shell blocks of a page, lines that go on in the next one joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [block.replace("\\\n", "") for block in blocks]


def calls(page: Path) -> list[list[str]]:
    """The words behind `consent-gateway` wherever a shell block says it."""
    found = []
    for line in "".join(shell(page)).splitlines():
        for part in re.split(r"[|;&]|\$\(|\)", line.partition("  #")[0]):
            if match := re.match(r"(?:.*/)?consent-gateway +(?=[a-z-])(.*)", part.strip()):
                found.append(shlex.split(match[1]))
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if calls(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_is_shown_exists(page: Path) -> None:
    known = commands()
    for name, *rest in calls(page):
        if name.startswith("--"):
            continue
        assert name in known, f"{page.name}: consent-gateway {name}"
        below = [rest.pop(0)] if known[name] else []
        assert set(below) <= set(known[name]), f"{page.name}: consent-gateway {name} {below}"
        told = CliRunner().invoke(app, [name, *below, "--help"]).stdout
        for option in (word.partition("=")[0] for word in rest if word.startswith("--")):
            assert f"{option} " in told, f"{page.name}: consent-gateway {name} {option}"


def test_what_is_watched_is_a_metric() -> None:
    text = (ROOT / "docs/howto/watch.md").read_text()
    known = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE))
    scrape, rules = (
        yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    )
    assert scrape["scrape_configs"][0]["metrics_path"] == "/_cg/metrics"
    watched = [rule["expr"] for rule in rules["groups"][0]["rules"]]
    assert len(watched) >= 6
    assert {name for rule in watched for name in re.findall(r"consent_gateway_\w+", rule)} <= known


@pytest.mark.slow
def test_the_move_to_a_server(tmp_path: Path) -> None:
    (block,) = (block for block in shell(ROOT / "docs/howto/server.md") if "restore" in block)
    with ClickHouseDouble(tmp_path / "double") as double, Site(tmp_path / "site", SITE="shop") as site:
        for path in ("/", "/", "/a"):
            site.get(path, BROWSER)
        site.stop()
        text = re.sub(r"=clickhouses://\S+", f"={double.dsn}", block)
        program = f'consent-gateway() {{ {sys.executable} -c "from consent_gateway.cli import app; app()" "$@"; }}\n'
        del site.environment["CONSENT_GATEWAY_DSN"]
        done = subprocess.run(
            ["bash", "-euc", program + text], cwd=site.work_dir, env=site.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert "3 rows are back" in done.stdout and "The live tables are as the register" in done.stdout
        site.environment["CONSENT_GATEWAY_DSN"] = double.dsn
        site.start()
        site.get("/b", BROWSER)
        site.forwarded()
        assert site.office("GET", "/store")["rows"] == 4
        site.stop()
