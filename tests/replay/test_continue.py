"""Each line once: interrupted, killed, grown, rotated, read again, or taken for another."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from consent_gateway.replay import run as running
from consent_gateway.replay.source import Source
from tests.replay.bench import NOW, STEPS, Bench, break_at, entry, lines


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_CHUNK_LINES", 10)


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


def raise_it() -> None:
    raise Interrupted


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_interrupted_at_any_step_it_goes_on(bench: Bench, step: str, after: bool) -> None:
    log = bench.put("access.log", lines(0, 45))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        break_at(step, after, 2, raise_it, patch.setattr)
        bench.replay(log)
    summary = bench.replay(log)
    assert bench.numbers() == list(range(45))
    assert bench.counted() == {"received": 45, "accepted": 45}
    committed = (step, after) not in {("stage", False), ("stage", True), ("commit", False)}
    assert summary.lines == 45 - (20 if committed else 10)
    assert summary.continued == {log: 20 if committed else 10}
    assert not bench.drafts


@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_goes_on(bench: Bench, step: str, after: str) -> None:
    log = bench.put("access.log", lines(0, 45))
    command = [sys.executable, "-m", "tests.replay.bench", str(bench.folder), log, step, after]
    assert subprocess.run(command, timeout=300, cwd=Path(__file__).parents[2]).returncode == -9
    assert bench.numbers() == list(range(20 if (step, after) == ("publish", "after") else 10))
    bench.replay(log)
    assert bench.numbers() == list(range(45))
    assert bench.counted() == {"received": 45, "accepted": 45}
    assert not bench.drafts


def test_a_killed_run_is_ended_by_whichever_comes_next(bench: Bench) -> None:
    log = bench.put("access.log", lines(0, 20))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        break_at("count", False, 2, raise_it, patch.setattr)
        bench.replay(log)
    bench.replay(bench.put("other.log", lines(100, 105)))
    assert bench.numbers() == [*range(20), *range(100, 105)]
    assert bench.counted() == {"received": 25, "accepted": 25}


def test_what_was_forwarded_meanwhile_is_not_missed(bench: Bench) -> None:
    log = bench.put("access.log", lines(0, 20))
    bench.replay(log)
    for segment in bench.spool.segments(bench.spool.sealed):
        segment.unlink()
    summary = bench.replay(log)
    assert summary.lines == 0
    assert summary.known == [log]
    assert bench.numbers() == []


@pytest.mark.parametrize("torn", [b'{"type":"chunk","start":', b'{"type":"counted"}', b"\0\0\0\0"])
def test_a_torn_end_of_a_journal_is_nothing(bench: Bench, torn: bytes) -> None:
    log = bench.put("access.log", lines(0, 15))
    bench.replay(log)
    (journal,) = (bench.data / "replay").glob("*.journal")
    with journal.open("ab") as file:
        file.write(torn)
    for end in (30, 40):
        bench.put("access.log", lines(0, end))
        bench.replay(log)
    assert bench.numbers() == list(range(40))


@pytest.mark.parametrize("steps", [(1, 2, 3, 4, 50), (5, 60), (40, 41, 42), (1, 200)])
def test_a_grown_log_goes_on_and_is_known_when_it_is_rotated(bench: Bench, steps: tuple[int, ...]) -> None:
    for before, end in pairwise((0, *steps)):
        log = bench.put("access.log", lines(0, end))
        summary = bench.replay(log)
        assert summary.lines == end - before
        assert summary.continued == ({log: before} if before else {})
    end = steps[-1]
    rotated = bench.put("access.log.1.gz", lines(0, end))
    assert bench.replay(rotated).known == [rotated]
    grown = bench.put("access.log.2.gz", lines(0, end + 7))
    assert bench.replay(grown).lines == 7
    assert bench.numbers() == list(range(end + 7))
    assert len({row["batch"] for row in bench.events()}) == len(bench.spool.segments(bench.spool.sealed))


def test_segments_say_from_where_to_where(bench: Bench) -> None:
    content = lines(0, 25)
    bench.replay(bench.put("access.log", content))
    places = [tuple(map(int, path.name.split("-")[2:])) for path in sorted(bench.spool.segments(bench.spool.sealed))]
    assert places[0][0] == 0
    assert places[-1][1] == len(content)
    assert all(before[1] == after[0] for before, after in pairwise(places))
    assert all(content[:end].endswith(b"\n") for _, end in places)


def test_an_older_copy_has_nothing_new(bench: Bench) -> None:
    bench.replay(bench.put("access.log", lines(0, 45)))
    for end in (1, 5, 12, 30):
        copy = bench.put("copy.log", lines(0, end))
        assert bench.replay(copy).known == [copy]
    assert bench.numbers() == list(range(45))


def test_a_line_that_has_no_end_yet_waits(bench: Bench) -> None:
    content = lines(0, 12)
    for cut, read in ((-30, 11), (-1, 0), (len(content), 1)):
        log = bench.put("access.log", content[:cut])
        summary = bench.replay(log)
        assert summary.lines == read
        assert summary.waiting == ([log] if cut < 0 else [])
    assert bench.numbers() == list(range(12))
    alone = bench.put("alone.log", lines(50, 51)[:-1])
    assert bench.replay(alone).waiting == [alone]
    empty = bench.put("empty.log", b"")
    assert bench.replay(empty).lines == 0


def test_again_reads_anew_and_goes_on_from_there(bench: Bench) -> None:
    log = bench.put("access.log", lines(0, 12))
    assert bench.replay(log).lines == 12
    assert bench.replay(log, again=True).lines == 12
    assert len({row["batch"] for row in bench.events()}) == 4
    bench.put("access.log", lines(0, 15))
    assert bench.replay(log).continued == {log: 12}
    assert bench.numbers() == sorted([*range(12), *range(12), *range(12, 15)])


def test_the_same_log_twice_in_a_run_is_read_once(bench: Bench) -> None:
    log = bench.put("access.log", lines(0, 12))
    copy = bench.put("copy.gz", lines(0, 12))
    assert bench.replay(log, log, copy).lines == 12


def test_logs_that_begin_alike(bench: Bench) -> None:
    """Other lines soon: another log. Other lines only later: perhaps changed, so it takes a word."""
    bench.replay(bench.put("one.log", lines(0, 60)))
    assert bench.replay(bench.put("two.log", lines(0, 3) + lines(100, 150))).lines == 53
    assert bench.replay(bench.put("two.log", lines(0, 3) + lines(100, 160))).lines == 10

    three = bench.put("three.log", lines(0, 45) + lines(200, 230))
    summary = bench.replay(three)
    assert summary.lines == 0
    (error,) = summary.errors
    assert error == (
        f"{three} begins like a log that was read before, but differs from it at or before line 50: "
        "it is another log, or was changed; --again reads all of it"
    )
    assert bench.replay(three, again=True).lines == 75
    assert bench.replay(three).known == [three]


def test_addresses_do_not_tell_logs_apart(bench: Bench) -> None:
    bench.replay(bench.put("one.log", entry(1, host="192.0.2.11") + entry(2, host="192.0.2.12")))
    masked = bench.put("two.log", entry(1, host="192.0.2.91") + entry(2, host="192.0.2.92"))
    assert bench.replay(masked).known == [masked]


def test_journals_hold_no_line_and_no_address(bench: Bench) -> None:
    bench.replay(bench.put("access.log", lines(0, 30)))
    text = b"".join(path.read_bytes() for path in (bench.data / "replay").iterdir())
    assert text
    assert not any(word in text for word in (b"198.51.100", b"/p/", b"Mozilla"))


def test_a_pipe_is_read_from_its_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (lines(0, 25), gzip.compress(lines(0, 25))):
        monkeypatch.setattr(running, "Source", lambda name, content=content: Source(name, io.BytesIO(content)))
        assert bench.replay("-").lines == 25
    assert bench.numbers() == sorted([*range(25), *range(25)])
    assert not list((bench.data / "replay").iterdir())


@pytest.mark.parametrize("cut", [-8, -300])
def test_of_a_damaged_log_what_was_read_is_kept(bench: Bench, cut: int) -> None:
    whole = gzip.compress(lines(0, 300))
    log = Path(bench.put("access.log", b""))
    log.write_bytes(whole[:cut])
    summary = bench.replay(str(log))
    assert summary.errors == [f"{log} is damaged: it ends too early"]
    assert summary.lines > 100
    assert bench.numbers() == list(range(summary.lines))
    log.write_bytes(whole)
    assert bench.replay(str(log)).lines == 300 - summary.lines
    assert bench.numbers() == list(range(300))


def test_an_interrupted_run_keeps_its_salts_for_a_day(bench: Bench) -> None:
    content = b"".join(entry(number, at=NOW) for number in range(25))
    log = bench.put("access.log", content)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        break_at("commit", False, 2, raise_it, patch.setattr)
        bench.replay(log)
    assert list(bench.memory.rglob("salt-*"))
    bench.replay(log)
    assert len({row["visitor"] for row in bench.events()}) == 1
    assert not list(bench.memory.rglob("salt-*"))


def test_salts_of_a_run_that_nobody_continued_end(bench: Bench) -> None:
    folder = bench.memory / "replay"
    folder.mkdir()
    for name, age in (("salt-2026-11-01", 90_000), ("salt-2026-11-02", 80_000)):
        (folder / name).write_bytes(b"s" * 32)
        os.utime(folder / name, (time.time() - age,) * 2)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        break_at("stage", False, 1, raise_it, patch.setattr)
        bench.replay(bench.put("access.log", lines(0, 1)))
    assert {path.name for path in folder.iterdir()} == {"salt-2026-11-02", "salt-2026-11-19"}


def test_the_journal_is_the_only_memory(bench: Bench) -> None:
    log = bench.put("access.log", lines(0, 12))
    bench.replay(log)
    shutil.rmtree(bench.data / "replay")
    assert bench.replay(log).lines == 12
