"""The spool: what was appended is whole or was never told to be there, whoever died when."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.record import spool as module
from consent_gateway.record.spool import ROWS_A_SEGMENT, Spool, Writer, is_whole, line, read_lines, write_segment
from consent_gateway.rule.errors import SpoolFull

from .processes import end, full_disk, run, run_killed, start

LIMIT = 1 << 30
EVENT = b'{"site":"shop","path":"/"}'

batches = st.from_regex(r"\d{6}-[0-9a-f]{12}-\d{6}", fullmatch=True).map(str.encode)
values = st.dictionaries(st.sampled_from(["site", "path", "name", "crc", "batch2"]), st.text(), min_size=1)
events = values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
event_ids = st.sampled_from(["", "00ff00ff00ff00ff"])


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def kept(spool: Spool) -> list[dict[str, Any]]:
    """Every row in open segments, all of which must be whole."""
    rows = []
    for path in spool.segments(spool.open):
        whole, broken = read_lines(path)
        assert broken == []
        rows += [json.loads(text) for text in whole]
    return rows


def event(number: int) -> tuple[bytes, str]:
    return b'{"site":"shop","view_id":%d}' % number, ""


# A line.


@given(batches, events, event_ids)
def test_a_line_is_its_event_and_what_the_store_skips(batch: bytes, text: bytes, event_id: str) -> None:
    written = line(batch, text, event_id)
    assert written.endswith(b"\n") and written.count(b"\n") == 1
    assert is_whole(written[:-1])
    pairs = json.loads(written, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert pairs[0] == ("batch", batch.decode()) or pairs[0] == ["batch", batch.decode()]
    assert names[-1] == "crc" and ("id" in names) == bool(event_id)
    assert [tuple(pair) for pair in pairs[1 : -2 if event_id else -1]] == list(json.loads(text).items())


@given(batches, events, event_ids, st.data())
def test_a_torn_or_flipped_line_is_found(batch: bytes, text: bytes, event_id: str, data: st.DataObject) -> None:
    written = line(batch, text, event_id)[:-1]
    cut = data.draw(st.integers(0, len(written) - 1))
    assert not is_whole(written[:cut]) and not is_whole(written[cut + 1 :])
    bit = 1 << data.draw(st.integers(0, 7))
    assert not is_whole(written[:cut] + bytes([written[cut] ^ bit]) + written[cut + 1 :])
    assert not is_whole(written + written) and not is_whole(b"") and not is_whole(written + b" ")


@given(st.lists(events, min_size=1, max_size=5), st.data())
def test_of_a_damaged_segment_the_other_lines_are_whole(texts: list[bytes], data: st.DataObject) -> None:
    path = FOLDER / "202611-abcd-000001"
    lines = [line(b"202611-abcd-000001", text) for text in texts]
    write_segment(path, lines)
    assert read_lines(path) == (lines, [])
    torn = data.draw(st.integers(1, len(lines[-1]) - 1))
    path.write_bytes(b"".join(lines)[:-torn])
    whole, broken = read_lines(path)
    assert whole == lines[:-1] and len(broken) == 1 and b"".join(whole + broken) == path.read_bytes()


FOLDER: Path


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("segments")


# A writer.


def test_what_is_appended_is_there_at_once(spool: Spool) -> None:
    writer = Writer(spool, LIMIT)
    writer.append("202611", [event(1), event(2)])
    rows = kept(spool)
    assert [row["view_id"] for row in rows] == [1, 2]
    [path] = spool.segments(spool.open)
    assert {row["batch"] for row in rows} == {path.name}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(spool.open.stat().st_mode) == 0o700
    writer.let_go(everything=True)


def test_a_segment_is_of_one_month(spool: Spool) -> None:
    writer = Writer(spool, LIMIT)
    for month in ("202611", "202612", "202611"):
        writer.append(month, [event(1)])
    assert sorted((row["batch"][:6]) for row in kept(spool)) == ["202611", "202611", "202612"]
    assert len(spool.segments(spool.open)) == 2
    writer.let_go(everything=True)


def test_a_segment_ends_by_rows(spool: Spool) -> None:
    writer = Writer(spool, LIMIT)
    writer.append("202611", [(EVENT, "")] * (ROWS_A_SEGMENT - 1))
    writer.append("202611", [(EVENT, "")] * 2)
    assert len(spool.segments(spool.open)) == 1
    writer.append("202611", [event(1)])
    sizes = sorted(path.read_bytes().count(b"\n") for path in spool.segments(spool.open))
    assert sizes == [1, ROWS_A_SEGMENT + 1]
    writer.let_go(everything=True)


def test_a_segment_ends_by_age(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    writer = Writer(spool, LIMIT)
    writer.append("202611", [event(1)])
    clock.now += module.SECONDS_A_SEGMENT - 0.01
    writer.let_go()
    assert list(spool.complete()) == []
    clock.now += 0.01
    writer.let_go()
    assert [path.name for path in spool.complete()] == [kept(spool)[0]["batch"]]
    writer.append("202611", [event(2)])
    assert len(spool.segments(spool.open)) == 2
    writer.let_go(everything=True)
    assert len(list(spool.complete())) == 2


def test_a_segment_is_complete_only_when_its_writer_let_go(spool: Spool) -> None:
    writer = Writer(spool, LIMIT)
    writer.append("202611", [event(1)])
    assert list(spool.complete()) == []
    run(lambda: assert_none_complete(spool))  # in another process neither
    writer.let_go(everything=True)
    names = []
    for path in spool.complete():
        names.append(path.name)
        run(lambda: assert_none_complete(spool))  # nobody else has it meanwhile
    assert len(names) == 1


def assert_none_complete(spool: Spool) -> None:
    assert list(spool.complete()) == []


def test_kill_9_takes_nothing_and_frees_the_segment(spool: Spool) -> None:
    def work() -> None:
        writer = Writer(spool, LIMIT)
        for number in range(100):
            writer.append("202611", [event(number)])

    run_killed(work)
    [path] = spool.complete()
    assert [row["view_id"] for row in kept(spool)] == list(range(100)) and path.parent == spool.open


def test_many_writers_at_once(spool: Spool) -> None:
    def work(start: int) -> None:
        writer = Writer(spool, LIMIT)

        def append(numbers: range) -> None:
            for number in numbers:
                writer.append("202611", [event(number)])

        threads = [threading.Thread(target=append, args=(range(first, first + 50),)) for first in (start, start + 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run(*(lambda start=start: work(start) for start in range(0, 400, 100)))
    assert sorted(row["view_id"] for row in kept(spool)) == list(range(400))
    assert len(list(spool.complete())) == 4


def test_a_forked_child_has_segments_of_its_own(spool: Spool) -> None:
    writer = Writer(spool, LIMIT)
    writer.append("202611", [event(1)])

    def child() -> None:
        writer.append("202611", [event(2)])
        writer.let_go(everything=True)

    run(child)
    assert list(spool.complete()) == [path for path in spool.segments(spool.open) if b":2," in path.read_bytes()]
    writer.append("202611", [event(3)])
    batches = {row["view_id"]: row["batch"] for row in kept(spool)}
    assert batches[1] == batches[3] != batches[2]
    writer.let_go(everything=True)
    assert len(list(spool.complete())) == 2


def test_a_forked_child_neither_keeps_a_segment_nor_lets_go_of_it(spool: Spool) -> None:
    """It inherits the handle, and with it the lock."""
    writer = Writer(spool, LIMIT)
    writer.append("202611", [event(1)])
    run(lambda: writer.let_go(everything=True))
    assert list(spool.complete()) == []
    read, write = os.pipe()
    child = start(lambda: os.read(read, 1))  # lives on, and has nothing to do with the spool
    writer.let_go(everything=True)
    complete = list(spool.complete())
    os.write(write, b"!")
    assert end(child) == 0
    for handle in (read, write):
        os.close(handle)
    assert len(complete) == 1


# A disk, or a spool, that is full.


def test_on_a_full_disk_all_of_an_append_is_kept_or_none(spool: Spool) -> None:
    def work() -> None:
        writer = Writer(spool, LIMIT)
        told, refused = [], 0
        with full_disk(4000):
            for number in range(0, 300, 3):
                try:
                    writer.append("202611", [event(number + n) for n in range(3)])
                    told += [number, number + 1, number + 2]
                except SpoolFull:
                    refused += 1
            assert told and refused
            assert [row["view_id"] for row in kept(spool)] == told
        writer.append("202611", [event(1000)])  # there is room again
        assert [row["view_id"] for row in kept(spool)] == [*told, 1000]

    run(work)


def test_a_disk_that_takes_nothing_is_told(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    writer = Writer(spool, LIMIT)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(SpoolFull, match="No space left on device"):
            writer.append("202611", [event(1)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(SpoolFull, match="No space left on device"):
            writer.append("202612", [event(1)])
    assert kept(spool) == []
    writer.append("202611", [event(2)])
    assert [row["view_id"] for row in kept(spool)] == [2]
    writer.let_go(everything=True)


def test_the_limit(spool: Spool) -> None:
    writer = Writer(spool, 1000)
    for number in range(50):
        try:
            writer.append("202611", [event(number)])
        except SpoolFull as error:
            assert "its limit is 1000" in str(error)
    assert 1000 <= spool.size() < 1100
    with pytest.raises(SpoolFull):
        Writer(spool, 1000).append("202611", [event(1)])  # what others hold counts too
    writer.let_go(everything=True)
    for path in spool.complete():
        path.unlink()
    fresh = Writer(spool, 1000)
    fresh.append("202611", [event(1)])
    fresh.let_go(everything=True)


def test_a_segment_put_in_place_is_whole_and_private(spool: Spool) -> None:
    path = spool.sealed / "202611-abcd-000001"
    write_segment(path, [b"one\n", b"two\n"])
    assert path.read_bytes() == b"one\ntwo\n" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(spool.sealed) == [path.name]


def test_segments_are_listed_oldest_first_and_nothing_else_is(spool: Spool) -> None:
    for number, name in enumerate(["202611-bbbb-000001", "202610-aaaa-000002", "202611-aaaa-000001-1"]):
        (spool.open / name).touch()
        os.utime(spool.open / name, (number, number))
    for name in (".202611-abcd-000001", "notes.txt", "202611-abcd-000001.tmp", "202611-ABCD-000001"):
        (spool.open / name).touch()
    assert [path.name for path in spool.segments(spool.open)] == [
        "202611-bbbb-000001", "202610-aaaa-000002", "202611-aaaa-000001-1",
    ]  # fmt: skip


def test_in_a_backlog_segments_grow_before_they_are_let_go(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    writer = Writer(spool, 10**9)
    writer._patience = 0.0
    writer.append("202611", [(b'{"a":1}', "")])
    writer.let_go()
    assert len(list(spool.complete())) == 1, "without a backlog a segment goes at once"
    for number in range(100):
        (spool.sealed / f"202611-aaaabbbb-{number:06d}").write_bytes(b"")
    writer.measure()
    writer.append("202611", [(b'{"a":1}', "")])
    writer.let_go()
    assert len(list(spool.complete())) == 1, "the second one waits for more rows"
    writer.let_go(everything=True)
    assert len(list(spool.complete())) == 2
