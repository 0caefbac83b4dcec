"""A log as lines with their places, whatever holds it."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pytest

from consent_gateway.replay import source
from consent_gateway.replay.accesslog import LONGEST, parse_line
from consent_gateway.replay.source import STDIN, LogError, Source, check
from tests.replay.bench import lines


def read(log: Source, start: int = 0) -> list[bytes]:
    return [text for text, _ in log.lines(start)]


@pytest.mark.parametrize("name", ["plain.log", "zipped.log.gz"])
@pytest.mark.parametrize("block", [64, 1 << 18])
def test_places_are_those_of_the_content(
    tmp_path: Path, name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_BLOCK", block)
    monkeypatch.setattr(source, "_ZIPPED_BLOCK", block)
    content = lines(0, 100)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    place = 0
    log = Source(str(tmp_path / name))
    for text, size in log.lines(0):
        assert content[place : place + size] == text + b"\n"
        place += size
    assert place == len(content)
    assert log.position == log.size
    log.close()
    for start in (0, content.index(b"\n") + 1, content.rindex(b"\n", 0, -1) + 1, len(content), len(content) + 10):
        log = Source(str(tmp_path / name))
        windows = {end: log.window(end) for end in (500, 900, 5000, len(content), len(content) + 1)}
        assert windows == {end: content[max(0, end - 1024) : end] for end in (500, 900, 5000, len(content))} | {
            len(content) + 1: None
        }
        log.close()
        log = Source(str(tmp_path / name))
        assert b"".join(text + b"\n" for text in read(log, start)) == content[start:]
        log.close()


def test_gzip_is_known_by_its_bytes_and_may_have_members_and_padding(tmp_path: Path) -> None:
    zipped = gzip.compress(b"one\ntw") + gzip.compress(b"") + gzip.compress(b"o\nthree\n") + bytes(1000)
    (tmp_path / "log").write_bytes(zipped)
    log = Source(str(tmp_path / "log"))
    assert read(log) == [b"one", b"two", b"three"]
    assert not log.damage
    log.close()


def test_a_last_line_without_an_end_waits_only_where_it_may_grow(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"one\ntwo")
    (tmp_path / "zipped").write_bytes(gzip.compress(b"one\ntwo"))
    plain, zipped, pipe = Source(str(tmp_path / "plain")), Source(str(tmp_path / "zipped")), pipe_of(b"one\ntwo")
    assert read(plain) == [b"one"]
    assert plain.waiting
    assert read(zipped) == read(pipe) == [b"one", b"two"]
    assert not zipped.waiting
    plain.close()
    zipped.close()


def pipe_of(content: bytes) -> Source:
    return Source(STDIN, io.BytesIO(content))


SMALL = [(b"", []), (b"\n", [b""]), (b"a", [b"a"]), (b"\n\na\n", [b"", b"", b"a"])]


@pytest.mark.parametrize(("content", "expected"), SMALL)
def test_small_logs(content: bytes, expected: list[bytes]) -> None:
    assert read(pipe_of(content)) == expected


def test_a_line_without_end_is_not_kept_in_memory(tmp_path: Path) -> None:
    long = b"x" * (3 << 20)
    log = pipe_of(b"one\n" + long + b"end\ntwo\n")
    found = list(log.lines(0))
    assert [size for _, size in found] == [4, len(long) + 4, 4]
    cut = found[1][0]
    assert len(cut) < 1 << 20
    assert cut.endswith(b"xend")
    assert len(cut) > LONGEST
    assert parse_line(cut.decode()) is None


@pytest.mark.parametrize("cut", [-1, -8, -40, -400])
def test_of_a_cut_gzip_all_before_the_cut_is_read(tmp_path: Path, cut: int) -> None:
    content = lines(0, 300)
    (tmp_path / "log.gz").write_bytes(gzip.compress(content)[:cut])
    log = Source(str(tmp_path / "log.gz"))
    found = read(log)
    assert content.startswith(b"\n".join(found) + b"\n")
    assert len(found) > 100
    assert log.damage == f"{tmp_path}/log.gz is damaged: it ends too early"
    log.close()


@pytest.mark.parametrize(("content", "whole"), [(gzip.compress(lines(0, 10)) + b"rubbish", 10), (b"\x1f\x8bxyz", 0)])
def test_a_gzip_that_is_broken_inside_or_is_none(tmp_path: Path, content: bytes, whole: int) -> None:
    (tmp_path / "log.gz").write_bytes(content)
    log = Source(str(tmp_path / "log.gz"))
    assert len(read(log)) == whole
    assert log.damage == f"{tmp_path}/log.gz is damaged: only a part of it can be unpacked"
    log.close()


def test_a_named_pipe_is_read_as_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    check(str(tmp_path / "fifo"))
    writing = threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes(lines(0, 5)))
    writing.start()
    log = Source(str(tmp_path / "fifo"))
    assert log.is_pipe
    assert len(read(log)) == 5
    writing.join()
    log.close()


def test_what_can_not_be_read_says_so_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"gone\.log does not exist$"):
        check(str(tmp_path / "gone.log"))
    with pytest.raises(LogError, match=r"is a folder: name the logs in it$"):
        check(str(tmp_path))
    with pytest.raises(LogError, match=r"gone\.log can't be read: No such file or directory$"):
        Source(str(tmp_path / "gone.log"))
    check(STDIN)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_log_of_someone_else(tmp_path: Path) -> None:
    (tmp_path / "log").touch(mode=0)
    with pytest.raises(LogError, match="permission denied"):
        check(str(tmp_path / "log"))
