"""`consent-gateway replay`, as a person meets it."""

from __future__ import annotations

import gzip
import importlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from consent_gateway.config.settings import Settings
from consent_gateway.record.spool import Spool
from consent_gateway.replay.run import Run
from consent_gateway.rule.errors import ConsentGatewayError
from tests.replay.bench import entry, lines

command_module = importlib.import_module("consent_gateway.cli.replay")  # the package has the function of that name
app = typer.Typer(rich_markup_mode=None)
app.command()(command_module.replay)


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_GATEWAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CONSENT_GATEWAY_KEYS_DIR", str(tmp_path / "keys"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # for the back office, a child
    monkeypatch.setattr(command_module.console, "_width", 100)
    monkeypatch.setattr("consent_gateway.record.salts._SHARED_MEMORY", tmp_path)  # leave nothing in /dev/shm
    Path("access.log").write_bytes(lines(0, 1234) + b"192.0.2.77 rubbish\n")


def call(*arguments: str, content: bytes = b"") -> Result:
    return CliRunner().invoke(app, list(arguments), input=content)


def test_the_summary_tells_what_became_of_each_line() -> None:
    result = call("access.log", "--no-wait", "--keep-expired")
    assert result.exit_code == 0, result.output
    told = [line.split("  ") for line in result.stdout.splitlines()]
    words = [[cell.strip() for cell in cells if cell.strip()] for cells in told]
    assert ["lines read", "1,235"] in words
    assert ["page views", "1,234", "kept, for site"] in words
    assert ["unparsable", "1", "dropped: not a line of an access log"] in words
    assert "  access.log, line 1,235: * rubbish" in result.stdout
    assert "192.0.2.77" not in result.output
    assert "consent-gateway forward" in result.stdout
    again = call("access.log", "--no-wait")
    assert "access.log: nothing new, it was read before." in again.stdout


def test_quiet_is_silent_and_a_pipe_is_read() -> None:
    result = call("-", "--no-wait", "--quiet", "--keep-expired", content=lines(0, 5))
    assert (result.exit_code, result.stdout) == (0, "")
    assert len(Spool(Path("data")).segments(Path("data/spool/sealed"))) == 1


@pytest.mark.parametrize(
    ("name", "words"), [("gone.log", "gone.log does not exist"), (".", ". is a folder: name the logs in it")]
)
def test_what_is_no_log_fails_in_one_line_before_anything_is_read(name: str, words: str) -> None:
    result = call("access.log", name, "--no-wait")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [f"consent-gateway: {words}"]
    assert not Path("data").exists()


def test_several_sites_need_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_GATEWAY_SITES", "https://a.example=shop, https://b.example=blog")
    for arguments, words in (
        (["access.log"], "several sites are set up: name the one that wrote these logs with --site, out of blog, shop"),
        (["access.log", "--site", "other"], "--site is 'other': allowed are blog, shop"),
    ):
        result = call(*arguments, "--no-wait")
        assert result.exit_code == 2
        assert result.stderr.splitlines() == [f"consent-gateway: {words}"]
    assert call("access.log", "--site", "blog", "--no-wait", "--keep-expired").exit_code == 0
    (segment,) = Path("data/spool/sealed").iterdir()
    assert segment.read_bytes().count(b'"site":"blog"') == 1234


def test_what_became_of_odd_files_is_told() -> None:
    Path("page.html").write_bytes(b"<p>no log\n</p>\n")
    result = call("page.html", "--no-wait")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == ["consent-gateway: page.html: not one line of it is of an access log"]
    Path("empty.log").touch()
    result = call("empty.log", "--no-wait")
    assert (result.exit_code, result.stdout) == (0, "empty.log: it is empty.\n")
    old = datetime(2015, 5, 17, tzinfo=UTC)
    Path("mixed.log").write_bytes(entry(1, at=old) + entry(2, at=datetime.now(UTC) + timedelta(days=3)))
    result = call("mixed.log", "--no-wait")
    assert "future" in result.stdout and "dated more than a day after now" in result.stdout
    assert "--again --keep-expired" in result.stdout


@pytest.mark.parametrize("arguments", [[], ["access.log", "--such"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2


def test_a_damaged_log_fails_after_what_could_be_read() -> None:
    Path("cut.log.gz").write_bytes(gzip.compress(lines(0, 500))[:-20])
    result = call("cut.log.gz", "--no-wait", "--keep-expired")
    assert result.exit_code == 1
    assert "page views" in result.stdout
    assert "cut.log.gz is damaged: it ends too early" in result.stderr


def test_an_interruption_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(run: Run, names: list[str]) -> None:
        run.summary.lines = 20_000
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "read", interrupt)
    result = call("access.log", "--no-wait")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "consent-gateway: interrupted after 20,000 lines; the same command goes on from there"
    )


def test_waiting_ends_when_the_spool_is_empty_or_nothing_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "data")
    segment = spool.sealed / "202611-0123456789abcdef-000000000000-000000000100"
    (spool.sealed / "202611-0123456789ab-000001").touch()  # a live worker's, which is not waited for
    segment.touch()
    monkeypatch.setattr(command_module, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(command_module, "ask_office", lambda *_: {"last_error": "no disk"})
    with pytest.raises(ConsentGatewayError, match=r"1 segments wait for the store \(no disk\)"):
        command_module._wait(Settings(), spool, True)
    monkeypatch.setattr(command_module, "_PATIENCE_SECONDS", 90.0)
    monkeypatch.setattr(time, "sleep", lambda _: segment.unlink())
    command_module._wait(Settings(), spool, True)
    (spool.aside / segment.name).touch()
    with pytest.raises(ConsentGatewayError, match="the store refused 1 segments"):
        command_module._wait(Settings(), spool, True)


def test_the_whole_way_into_the_store() -> None:
    pytest.importorskip("chdb")
    result = call("access.log", "--keep-expired")
    assert result.exit_code == 0, result.output
    assert not list(Path("data/spool/sealed").iterdir())
    Path("access.log").write_bytes(lines(0, 1234) + b"192.0.2.77 rubbish\n" + entry(1))
    assert "went on after line 1,235" in call("access.log", "--keep-expired").stdout
