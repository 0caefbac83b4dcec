"""The commands as a person runs them: their answers, their help, their refusals."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_gateway import Settings, __version__
from consent_gateway.answers.reports import REPORTS
from consent_gateway.cli import app
from consent_gateway.office_process import running_office
from consent_gateway.record.office import call
from tests.replay.test_real_logs import DATA, count_log
from tests.running import ENV_PREFIX, ROOT, Site

COMMANDS = ["demo", "snippet", "stats", "replay", "columns", "serve", "forward", "sign-in"]
LINE = '203.0.113.{0} - - [20/Nov/2026:10:00:0{1} +0000] "GET {2} HTTP/1.1" 200 5 "{3}" "{4}"\n'
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[None]:
    """One back office for all commands of a test, as beside a running site; without it each starts its own."""
    with running_office(Settings(DATA_DIR=tmp_path / "data", KEYS_DIR=tmp_path / "keys", SITE="shop")):
        yield


def run(home: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    own = {"DATA_DIR": str(home / "data"), "KEYS_DIR": str(home / "keys"), "SITE": "shop"} | settings
    environment = os.environ | {ENV_PREFIX + name: value for name, value in own.items()} | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", "from consent_gateway.cli import app; app()", *words]
    return subprocess.run(
        line, env=environment | {"COLUMNS": "120"}, capture_output=True, text=True, cwd=home, timeout=120
    )


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert all(name in shown for name in COMMANDS)
    for name in COMMANDS:
        answer = CliRunner().invoke(app, [name, "--help"])
        assert answer.exit_code == 0 and len(answer.stdout) > 150, name


def test_columns_shows_the_whole_register(tmp_path: Path) -> None:
    shown = run(tmp_path, "columns").stdout
    address = next(line for line in shown.splitlines() if line.startswith("address"))
    assert "analytics" in address and "consent" in address and "30" in address


def test_snippet_prints_the_tag(tmp_path: Path) -> None:
    assert run(tmp_path, "snippet").stdout == '<script src="/_cg/site.js" defer></script>\n'
    other = run(tmp_path, "snippet", "--immutable", "--origin", "https://www.example.eu", PREFIX="/p").stdout
    assert re.fullmatch(r'<script src="https://www\.example\.eu/p/site\.[0-9a-f]{16}\.js" defer></script>\n', other)
    assert not any(tmp_path.iterdir())


def test_a_small_log_becomes_answers(tmp_path: Path, office: None) -> None:
    log = tmp_path / "access.log"
    bot = "Googlebot/2.1 (+http://www.google.com/bot.html)"
    log.write_text(
        LINE.format(1, 0, "/", "https://www.google.com/", FIREFOX)
        + LINE.format(1, 1, "/a", "-", FIREFOX)
        + LINE.format(2, 2, "/a", "-", FIREFOX + "x")
        + LINE.format(3, 3, "/a", "-", bot)
        + LINE.format(3, 4, "/a.png", "-", FIREFOX)
        + "rubbish\n"
    )
    summary = run(tmp_path, "replay", str(log))
    assert summary.returncode == 0, summary.stderr
    words = " ".join(summary.stdout.split())
    assert "lines read 6" in words and "page views 4" in words and "not a page 1" in words and "unparsable 1" in words
    span = ("--from", "2026-11-20", "--to", "2026-11-20", "--format", "json")
    pages = json.loads(run(tmp_path, "stats", "pages", *span).stdout)["rows"]
    assert [(row["path"], row["visitors"], row["page_views"]) for row in pages] == [("/a", 2, 2), ("/", 1, 1)]
    with_bots = json.loads(run(tmp_path, "stats", "pages", *span, "--bots").stdout)["rows"]
    assert with_bots[0]["page_views"] == 3
    (day,) = json.loads(run(tmp_path, "stats", *span).stdout)["rows"]
    assert (day["period"], day["visitors"], day["visits"], day["page_views"]) == ("2026-11-20", 2, 2, 3)
    table = run(tmp_path, "stats", "channels", "--from", "2026-11-20", "--to", "2026-11-20").stdout
    assert "search" in table and "direct" in table and "Channels of shop" in table
    again = run(tmp_path, "replay", str(log))
    assert again.returncode == 0 and "nothing new" in again.stdout


@pytest.mark.parametrize(
    ("words", "settings", "code", "said"),
    [
        (["stats", "nonsense"], {}, 2, "there is no report 'nonsense'"),
        (["stats", "--from", "yesterday"], {}, 1, "from is 'yesterday': allowed is a day"),
        (["stats", "--from", "2026-11-02", "--to", "2026-11-01"], {}, 1, "a first day not after the last"),
        (["stats", "--site", "other"], {}, 1, "site is 'other': allowed are shop"),
        (["replay", "nowhere.log"], {}, 1, "nowhere.log"),
        (["replay"], {}, 2, "Missing argument"),
        (["replay", "x.log"], {"SITES": "https://a.eu=a,https://b.eu=b"}, 2, "--site"),
        (["columns", "--nonsense"], {}, 2, "No such option"),
        (["stats"], {"TIMEZONE": "Mars/X"}, 2, "TIMEZONE is 'Mars/X': allowed is"),
        (["stats"], {"DATA_DIR": "/proc/nowhere"}, 1, "DATA_DIR"),
    ],
)
def test_refusals_are_one_line(
    tmp_path: Path, words: list[str], settings: dict[str, str], code: int, said: str
) -> None:
    (tmp_path / "data").mkdir()
    answer = run(tmp_path, *words, **settings)
    assert answer.returncode == code, answer.stderr
    assert said in answer.stderr and "Traceback" not in answer.stderr
    if code == 1:
        lines = [line for line in answer.stderr.splitlines() if "made a secret" not in line]
        assert len(lines) == 1 and lines[0].startswith("consent-gateway: ")


def test_stats_beside_a_running_site(tmp_path: Path) -> None:
    with Site(tmp_path / "site", SITE="shop") as site:
        site.get("/", {"User-Agent": FIREFOX})
        site.forwarded()
        own = {"DATA_DIR": str(site.data_dir), "KEYS_DIR": str(site.keys_dir)}
        rows = list(csv.DictReader(io.StringIO(run(tmp_path, "stats", "pages", "--format", "csv", **own).stdout)))
        assert rows == [{"path": "/", "visitors": "1", "page_views": "1", "engaged": "", "scroll": ""}]
        link = run(tmp_path, "sign-in", "--url", site.url, **own).stdout.strip()
        assert site.get(link.removeprefix(site.url)).status == 303
        assert "Everything is in the store" in run(tmp_path, "forward", **own).stdout
        first, second = run(tmp_path, "sign-in", **own).stdout.splitlines()
        assert first.startswith("http://127.0.0.1:8000/_cg/sign-in?token=") and "--url" in second
        (tmp_path / "log").touch()
        for words in (["stats"], ["sign-in"], ["replay", "log"], ["replay", "log", "--site", "shop"]):
            other = run(tmp_path, *words, **own, SITE="site")
            assert other.returncode == 2, words
            assert other.stderr == (
                "consent-gateway: the running site knows shop; this command's settings know site: "
                "set CONSENT_GATEWAY_SITE (or SITES) as the site has it\n"
            )


@pytest.mark.parametrize("words", [["stats"], ["forward"], ["sign-in"], ["backup", "file"]])
def test_what_reads_makes_no_installation(tmp_path: Path, words: list[str]) -> None:
    answer = run(tmp_path, *words)
    assert answer.returncode == 1 and not list(tmp_path.iterdir())
    assert answer.stderr == (
        f"consent-gateway: there is no installation in {tmp_path / 'data'}: "
        "start the site first, or set CONSENT_GATEWAY_DATA_DIR\n"
    )


def test_doctor_makes_no_installation(tmp_path: Path) -> None:
    answer = run(tmp_path, "doctor")
    assert answer.returncode == 1 and not list(tmp_path.iterdir()) and not answer.stderr
    assert f"✗ there is no installation in {tmp_path / 'data'}\n" in answer.stdout
    assert "was found in no file and not by the site\n" in answer.stdout


def test_sign_in_needs_a_running_site(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    answer = run(tmp_path, "sign-in")
    assert answer.returncode == 1 and "no site is running on" in answer.stderr
    assert not (tmp_path / "keys").exists()


def test_an_empty_report_says_so(tmp_path: Path, office: None) -> None:
    shown = run(tmp_path, "stats", "--from", "2026-11-01", "--to", "2026-11-02").stdout
    assert "of shop, 2026-11-01 to 2026-11-02\n" in shown and "Nothing was measured for shop on these days." in shown


def test_the_version(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").stdout == f"consent-gateway {__version__}\n"


def test_every_report_is_in_the_store_and_has_a_query(tmp_path: Path, office: None) -> None:
    """The register, the files and the answers are of one mind."""
    log = tmp_path / "access.log"
    log.write_text(LINE.format(1, 0, "/", "https://www.google.com/", FIREFOX))
    assert run(tmp_path, "replay", str(log)).returncode == 0
    files = {path.stem for path in (ROOT / "consent_gateway" / "answers" / "queries").glob("*.sql")}
    assert files == {report.file or name for name, report in REPORTS.items()}
    asked = [("from", "2026-11-20"), ("step", "/"), ("step", "/thanks")]
    answered = set()
    for name, report in REPORTS.items():
        status, _, body = call(tmp_path / "data", "GET", f"/stats/{name}", asked)
        assert status == 200, body
        rows = json.loads(body)["rows"]
        assert all(list(row) == list(report.columns) for row in rows)
        answered |= {name} if rows else set()
    assert answered >= {"overview", "totals", "pages", "entry_pages", "referrers", "countries", "funnel", "choices"}
    books = json.loads(run(tmp_path, "stats", "books", "--format", "json").stdout)["rows"]
    assert {"term": "received", "events": 1} in books and {"term": "confirmed", "events": 1} in books
    assert "since they began" in run(tmp_path, "stats", "books").stdout


def test_a_real_log_gives_the_same_answers_as_an_independent_count(tmp_path: Path, office: None) -> None:
    """Issue: page views per path, daily visitors, top referrers; through spool, store and reports."""
    log = DATA / "access-2015.log.gz"
    if not log.exists():
        pytest.skip("the real logs are not here")
    expected = count_log(log)
    done = run(tmp_path, "replay", "--keep-expired", str(log))
    assert done.returncode == 0, done.stderr
    span = ("--from", "2015-05-01", "--to", "2015-05-31", "--bots", "--limit", "10000", "--format", "json")

    def ask(report: str) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(run(tmp_path, "stats", report, *span).stdout)["rows"]
        return rows

    found = {row["path"]: row["page_views"] for row in ask("pages")}
    plain = {path: number for path, number in found.items() if "*" not in str(path)}
    assert all(expected.paths[str(path)] == number for path, number in plain.items())
    assert sum(map(int, map(str, found.values()))) == expected.paths.total()
    views = {row["period"]: row["page_views"] for row in ask("overview")}
    assert sum(map(int, map(str, views.values()))) == expected.paths.total() and len(views) == 4
    hosts = {str(row["referrer"]): row["page_views"] for row in ask("referrers")}
    for host, number in expected.referrers.most_common(20):
        assert hosts.get(host, number) == number
    assert sum(host in hosts for host, _ in expected.referrers.most_common(20)) >= 18
