"""`export` as a person runs it: files that are whole or not there, output that ends early, the record of it."""

from __future__ import annotations

import csv
import gzip
import json
import os
import pty
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_gateway.access.audit import Audit
from consent_gateway.cli import app
from tests.cli.test_commands import FIREFOX
from tests.running import Site, wait_for

LINE = [sys.executable, "-c", "from consent_gateway.cli import app; app()", "export"]
SLOW = """
import sys, time
from consent_gateway.cli import app
module = sys.modules["consent_gateway.cli.export"]
ask = module.ask_office
module.ask_office = lambda *told: time.sleep(0.1) or ask(*told)
app()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("export"), SITE="shop") as site:
        for path in ("/", "/page/a", "/page/b"):
            site.get(path, {"User-Agent": FIREFOX})
            time.sleep(0.002)  # what came in the same millisecond is in no order
        site.forwarded()
        yield site


def run(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LINE, *words], env=site.environment, capture_output=True, text=True, timeout=120)


def test_beside_a_running_site(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl.gz"
    done = run(site, "events", "--format", "jsonl", "--output", str(file))
    assert done.returncode == 0 and done.stdout == "" and done.stderr.endswith(f": 3 rows in {file}\n"), done.stderr
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert [row["path"] for row in rows] == ["/", "/page/a", "/page/b"] and "person" not in rows[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and list(tmp_path.iterdir()) == [file]

    again = run(site, "events", "--output", str(file))
    assert again.returncode == 1 and "is there already" in again.stderr and "--replace" in again.stderr
    done = run(site, "visits", "--filter", "entry_page=/")
    (visit,) = csv.DictReader(done.stdout.splitlines())
    assert json.loads(visit["paths"]) == ["/", "/page/a", "/page/b"] and visit["page_views"] == "3"
    pages = run(site, "pages", "--format", "jsonl")
    assert {json.loads(line)["path"] for line in pages.stdout.splitlines()} == {"/", "/page/a", "/page/b"}

    lines = [line for line in Audit(site.data_dir).read() if line["did"] == "exported"]
    assert [line["what"].split(" of ")[0] for line in lines] == ["events", "events", "visits", "pages"]
    assert all(line["how"] == "terminal" and line["who"] for line in lines) and "1 filter, csv" in lines[2]["what"]


def test_a_terminal_sees_how_far_it_is(site: Site, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = site.environment | {"TERM": "xterm", "COLUMNS": "100"}
    line = [*LINE, "events", "-o", str(tmp_path / "events.csv")]
    shown = b""
    with subprocess.Popen(line, env=environment, stderr=theirs) as process:
        os.close(theirs)
        with suppress(OSError):  # EIO: it has ended
            while data := os.read(ours, 100_000):
                shown += data
    os.close(ours)
    assert process.returncode == 0 and all(word.encode() in shown for word in ("━", "%", "events of shop"))


def test_the_reader_may_end_early(site: Site) -> None:
    since = str(date.today() - timedelta(days=60))
    with subprocess.Popen([*LINE, "events", "--from", since], env=site.environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(60) == 0


def test_interrupted_it_leaves_nothing(site: Site, tmp_path: Path) -> None:
    file, since = tmp_path / "events.csv", str(date.today() - timedelta(days=1000))
    line = [sys.executable, "-c", SLOW, "export", "visits", "--from", since, "-o", str(file)]  # of minutes, whole
    with subprocess.Popen(
        line, env=site.environment, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what a shell runs behind it, ignores it
    ) as process:  # fmt: skip
        wait_for("the export to begin", lambda: (tmp_path / "events.csv.part").exists())
        os.kill(process.pid, signal.SIGINT)
        assert process.stderr and process.wait(60) == 1
        assert process.stderr.read().decode() == f"consent-gateway: interrupted; {file} is not written\n"
    assert not list(tmp_path.iterdir())


def test_what_the_policy_folds_is_not_exported_singly(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('preset = "france-exempt"\n\n[controller]\nname = "A shop"\nemail = "privacy@shop.example"\n')
    site = Site(tmp_path / "site", SITE="shop", POLICY=str(policy))
    site.data_dir.mkdir(parents=True)
    refused = run(site, "events")
    assert refused.returncode == 1 and "minimum_group" in refused.stderr and "export a report" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(["nonsense"], "allowed are events, visits, overview"), (["pages", "--with-consented"], "for events and visits")],
)
def test_wrong_usage(words: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, ["export", *words])
    assert answer.exit_code == 2 and said in answer.output


def test_the_help_teaches() -> None:
    text = CliRunner().invoke(app, ["export", "--help"]).output
    assert all(word in text for word in ("For example", "--with-consented", "Addresses are never in it", "--replace"))
