"""Logs that grow and are rotated while they are followed, or while nobody follows: each line once."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Ending
from types import SimpleNamespace
from typing import Any, Self
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from consent_gateway.cli import app
from consent_gateway.record.salts import RunSalts, Salts
from consent_gateway.replay import follow as following
from consent_gateway.replay.follow import Follower, FollowSalts
from consent_gateway.replay.journal import Journal
from consent_gateway.replay.run import Run, Summary
from tests.replay.bench import KEY, SITE, Bench, break_at, entry, make_rule
from tests.running import ENV_PREFIX, ROOT, _end_with_parent, wait_for

START = datetime.now(UTC).replace(hour=0, minute=0, second=0) - timedelta(days=2)


def lines(first: int, last: int) -> bytes:
    return b"".join(entry(number, at=START + timedelta(seconds=number)) for number in range(first, last))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_ROUND_SECONDS", 0.0)


def add(path: Path | str, content: bytes) -> Any:
    with Path(path).open("ab") as file:
        file.write(content)


def rename(log: Path) -> Any:
    log.rename(shifted(log))


def copy_truncate(log: Path) -> Any:
    shutil.copy(log, shifted(log))
    os.truncate(log, 0)


def shifted(log: Path) -> Path:
    """The name `.1`, after what had it moved on to `.2.gz`, and so on, as logrotate does."""
    for number in range(9, 0, -1):
        old, new = (log.with_name(f"{log.name}.{one}.gz") for one in (number, number + 1))
        if old.exists():
            old.rename(new)
    first = log.with_name(f"{log.name}.1")
    if first.exists():
        compress(log)
    return first


def compress(log: Path) -> Any:
    old = log.with_name(f"{log.name}.1")
    new = log.with_name(f"{log.name}.2.gz")
    assert not new.exists()
    new.write_bytes(gzip.compress(old.read_bytes()))
    status = old.stat()
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    old.unlink()


def follow(bench: Bench, log: Path, *changes: Callable[[], Any]) -> Summary:
    """Follow from its start, and do one of the changes after each round, until they are done and read."""
    backlog, ending, left = RunSalts(bench.memory, ZoneInfo("UTC")), Ending(), list(changes)
    salts = FollowSalts(lambda at: None, backlog)
    from consent_gateway.record import books

    bench.books = books.Books(bench.data)
    run = Run(
        bench.data, site=SITE, rule=make_rule(salts.of), salts=backlog, spool=bench.spool, books=bench.books, key=KEY
    )

    def tell(summary: Summary) -> None:
        if left:
            left.pop(0)()
        else:
            ending.set()

    try:
        return Follower(run, [str(log)], salts, bench.spool).follow(ending, tell)
    finally:
        bench.books.close()


def test_growing_line_by_line_and_half_lines(bench: Bench) -> None:
    log = Path(bench.put("access.log", lines(0, 3)))
    whole = lines(3, 5)
    summary = follow(
        bench, log, lambda: add(log, whole[:40]), lambda: add(log, whole[40:-1]), lambda: add(log, b"\n"),
        lambda: None, lambda: add(log, lines(5, 40)),
    )  # fmt: skip
    assert summary.lines == 40 and bench.numbers() == list(range(40))
    assert bench.counted() == {"received": 40, "accepted": 40}


def test_rotated_by_another_name(bench: Bench) -> None:
    """nginx writes to the old file until it is told; what comes there after the rotation is read too."""
    log = Path(bench.put("access.log", lines(0, 3)))
    old = log.with_name("access.log.1")
    follow(
        bench, log, lambda: add(log, lines(3, 5)), lambda: (add(log, lines(5, 6)), rename(log)),
        lambda: add(old, lines(6, 8)), lambda: add(log, lines(8, 9)), lambda: add(old, lines(9, 10)),
        lambda: add(log, lines(10, 12)), lambda: compress(log), lambda: rename(log), lambda: add(log, lines(12, 20)),
    )  # fmt: skip
    assert bench.numbers() == list(range(20))


@pytest.mark.parametrize("unread", [0, 4])
def test_copied_and_emptied(bench: Bench, unread: int) -> None:
    log = Path(bench.put("access.log", lines(0, 6)))
    end = 6 + unread
    follow(
        bench, log, lambda: (add(log, lines(6, end)), copy_truncate(log)), lambda: add(log, lines(end, end + 2)),
        lambda: add(log, lines(end + 2, end + 40)), lambda: copy_truncate(log), lambda: add(log, lines(end + 40, 90)),
    )  # fmt: skip
    assert bench.numbers() == list(range(90))
    assert bench.counted() == {"received": 90, "accepted": 90}


def test_a_copy_and_its_original_that_both_grow_share_what_was_read(bench: Bench) -> None:
    log = Path(bench.put("access.log", lines(0, 6)))
    copy = log.with_name("access.log.1")
    follow(
        bench, log, lambda: add(log, lines(6, 8)), lambda: (add(log, lines(8, 12)), shutil.copy(log, copy)),
        lambda: add(log, lines(12, 14)), lambda: add(copy, lines(12, 13)), lambda: add(log, lines(14, 15)),
    )  # fmt: skip
    assert bench.numbers() == list(range(15))


def test_what_was_rotated_while_nobody_followed(bench: Bench) -> None:
    log = Path(bench.put("access.log", lines(100, 103)))
    history = bench.put("access.log.9", lines(0, 5))
    os.utime(history, (1, 1))
    bench.put("access.log.old", lines(5, 9))
    bench.put("access.log-api.2026", lines(5, 9))
    follow(bench, log)
    assert bench.numbers() == [100, 101, 102], "what lay there before is history"
    add(log, lines(103, 105))
    rename(log)
    compress(log)
    add(log, lines(105, 108))
    rename(log)
    add(log, lines(108, 110))
    bench.put("access-20261128.log", lines(110, 112))
    summary = follow(bench, log)
    assert bench.numbers() == list(range(100, 112))
    assert summary.lines == 9


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["stage", "commit", "count", "publish"])
def test_a_disk_that_refuses_is_waited_for(bench: Bench, step: str, after: bool) -> None:
    def refuse() -> None:
        raise OSError(28, "No space left on device")

    log = Path(bench.put("access.log", lines(0, 5)))
    with pytest.MonkeyPatch.context() as patch:
        break_at(step, after, 2, refuse, patch.setattr)
        follow(bench, log, lambda: add(log, lines(5, 9)), lambda: None)
    assert bench.numbers() == list(range(9))
    assert bench.counted()["accepted"] == 9


def test_a_long_log_is_not_compared_again_each_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Path(bench.put("access.log", lines(0, 5)))
    read: list[int] = []
    real = Journal._read

    def counted(self: Journal) -> None:
        read.append(1)
        real(self)

    monkeypatch.setattr(Journal, "_read", counted)
    follow(bench, log, *[lambda n=n: add(log, lines(n, n + 1)) for n in range(5, 25)])
    assert bench.numbers() == list(range(25)) and len(read) <= 2


def test_todays_visitor_is_that_of_live_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, backlog = Salts(tmp_path, ZoneInfo("UTC")), RunSalts(tmp_path, ZoneInfo("UTC"))
    now = int(time.time() * 1000)
    monkeypatch.setattr("consent_gateway.record.salts.time", SimpleNamespace(time=lambda: now / 1000))  # one day's
    salts = FollowSalts(live.of, backlog)
    assert salts.of(now) == live.of(now) is not None
    other = salts.of(now - 3 * 86_400_000)
    assert other and other != live.of(now)
    salts.caught_up()
    assert salts.of(now - 3 * 86_400_000) is None and salts.of(now) == live.of(now)
    assert not list(tmp_path.glob("replay/*"))


class Followed:
    """`consent-gateway replay --follow` as a process that may be killed."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        self.environment |= {f"{ENV_PREFIX}{name}_DIR": str(home / name.lower()) for name in ("DATA", "KEYS")}
        self.environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.line = [sys.executable, "-m", "tests.replay.follower", "replay", "--follow", "--no-wait", *arguments]
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.line, env=self.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=_end_with_parent,
        )  # fmt: skip

    def kill(self) -> None:
        self.__exit__()
        self.process = self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said
        return said


@pytest.mark.slow
def test_killed_and_rotated_again_and_again_it_reads_each_line_once(tmp_path: Path) -> None:
    chance = random.Random(8)
    log = tmp_path / "access.log"
    log.write_bytes(lines(0, 5))
    bench = Bench(tmp_path)
    end = 5

    def write(times: int) -> None:
        nonlocal end
        for _ in range(times):
            more = chance.randint(1, 30)
            add(log, lines(end, end + more))
            end += more
            time.sleep(chance.uniform(0, 0.03))

    with Followed(tmp_path, str(log)) as followed:
        steps: Iterable[Callable[[], Any]] = [
            followed.kill, lambda: rename(log), followed.kill, lambda: copy_truncate(log), followed.kill,
            lambda: rename(log), lambda: rename(log), followed.kill,
        ]  # fmt: skip
        wait_for("the first lines", lambda: len(bench.numbers()) >= 5)
        for step in steps:
            write(8)
            time.sleep(chance.choice((0, 0.1, 0.6)))
            step()
            write(4)
        wait_for("all lines", lambda: len(bench.numbers()) >= end)
        said = followed.end()
        assert bench.numbers() == list(range(end))
        assert "lines read" in said and "Ctrl-C ends it" in said


@pytest.mark.parametrize(("arguments", "code"), [(["-"], 2), (["--again", "x"], 2), (["none.log"], 1)])
def test_what_cannot_be_followed(arguments: list[str], code: int) -> None:
    result = CliRunner().invoke(app, ["replay", "--follow", *arguments])
    assert result.exit_code == code and result.stdout == ""
