"""Segments that are damaged, foreign, refused or sent before: what can be saved is saved, what can't is named, and
nothing else waits for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from consent_gateway.record.spool import line
from tests.store.conftest import NewHost
from tests.store.host import Accepted, Host, event


def sealed(host: Host, *events: Accepted) -> Path:
    """A segment that is sealed already."""
    host.accept(*events)
    (path,) = host.segments("open")
    return path.rename(host.spool.sealed / path.name)


@pytest.mark.parametrize("folder", ["open", "sealed"])
def test_a_flipped_bit_costs_its_line(new_host: NewHost, folder: str, caplog: pytest.LogCaptureFixture) -> None:
    host = new_host()
    path = sealed(host, *(event(number) for number in range(10)))
    path.write_bytes(path.read_bytes().replace(b'"view_id":4,', b'"view_id":6,'))
    if folder == "open":
        path.rename(host.spool.open / path.name)
    host.accept(event(100))
    assert host.forward() == 0
    assert host.stored() == [0, 1, 2, 3, 5, 6, 7, 8, 9, 100]
    assert host.balance() == {} and host.tally.counts["shop", "aside"] == 1
    (aside,) = host.spool.aside.iterdir()
    assert aside.name.startswith(path.name) and b'"view_id":6,' in aside.read_bytes()
    assert path.name in caplog.text and host.forwarder.progress.aside == 1


@pytest.mark.parametrize("folder", ["open", "sealed"])
def test_a_torn_last_line_and_a_file_cut_short(new_host: NewHost, folder: str) -> None:
    host = new_host()
    for numbers in (range(10), range(10, 20)):
        path = sealed(host, *(event(number) for number in numbers))
        path.write_bytes(path.read_bytes()[:-20])
    if folder == "open":
        for path in host.segments():
            path.rename(host.spool.open / path.name)
    assert host.forward() == 0
    assert host.stored() == [*range(9), *range(10, 19)]
    assert host.balance() == {} and len(list(host.spool.aside.iterdir())) == 2


@pytest.mark.parametrize("folder", ["open", "sealed"])
def test_empty_and_foreign_files_hold_up_nothing(
    new_host: NewHost, folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    host = new_host()
    place = host.spool.root / folder
    (place / "202611-abcd-000001").touch()
    (place / "202611-abcd-000002").write_bytes(os.urandom(5000))
    (place / "notes.txt").write_text("remember the milk\n")
    (place / "202611-abcd-000003").mkdir()
    os.mkfifo(place / "202611-abcd-000004")
    (place / "202611-abcd-000005").symlink_to("/etc/hostname")
    host.accept(event(1))
    for _ in range(2):
        assert host.forward() == 0
    assert host.stored() == [1]
    left = {f"{folder}/{name}" for name in ("notes.txt", *(f"202611-abcd-00000{number}" for number in (3, 4, 5)))}
    assert host.forwarder.progress.trouble == left
    assert all(caplog.text.count(name) == 1 for name in left)
    assert [path.name.startswith("202611-abcd-000002-damaged") for path in host.spool.aside.iterdir()] == [True]


def test_a_renamed_copy_is_no_new_segment(new_host: NewHost) -> None:
    host = new_host()
    path = sealed(host, *(event(number) for number in range(10)))
    shutil.copy(path, path.with_name("202611-copy-000001"))
    assert host.forward() == 0
    assert host.stored() == list(range(10))
    assert [path.name for path in host.spool.aside.iterdir()] == ["202611-copy-000001-damaged-sealed"]


WRONG = {
    "a word for a number": b'"http_status":"teapot"',
    "no time": b'"received_at":"yesterday"',
    "a number too large": b'"scroll_pct":1e99',
    "a list for a map": b'"props":[1]',
    "no list": b'"purposes":7',
    "a broken escape": rb'"path":"\u12"',
    "no end": b'"path":{',
    "a bad `at`": b'"at":"2026-99-99 99:99:99.000"',
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_the_store_refuses_is_set_aside_after_three_tries(
    new_host: NewHost, wrong: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host = new_host()
    host.accept(event(1), event(2))
    (path,) = host.segments("open")
    row = event(3).row
    name = wrong.partition(b":")[0]
    parts = [part for part in row[1:-1].split(b',"') if not (b'"' + part.lstrip(b'"')).startswith(name)]
    poisoned = b"{" + b',"'.join(parts) + b"," + wrong + b"}"
    path.write_bytes(path.read_bytes() + line(path.name.encode(), poisoned))
    host.books.count("shop", "accepted")
    sends = []
    for number in range(10, 14):
        host.accept(event(number))
        try:
            sends.append(host.forward())
        except Exception:
            sends.append(-1)
    assert -1 not in sends, caplog.text
    stored = host.stored()
    assert stored[-4:] == [10, 11, 12, 13], "the others do not wait"
    assert host.balance() == {} and not host.segments()
    assert host.spool.aside.joinpath(path.name).exists() or stored[:2] == [1, 2]
    assert path.name in caplog.text


# segments that come back


def test_a_segment_from_a_backup_is_not_stored_twice(new_host: NewHost, tmp_path: Path) -> None:
    host = new_host()
    for start in (0, 10, 20):
        host.accept(*(event(number) for number in range(start, start + 10)))
    kept = {path.name: path.read_bytes() for path in host.segments("open")}
    assert host.forward() == 0
    first, second, third = kept
    (host.spool.sealed / first).write_bytes(kept[first])
    (host.spool.open / second).write_bytes(kept[second])
    assert host.forward() == 0  # while it runs
    (host.spool.sealed / third).write_bytes(kept[third])
    host.restart()
    assert host.forward() == 0  # and at the start
    assert host.stored() == list(range(30))
    assert host.balance() == {} and host.tally.counts["shop", "confirmed"] == 30


@pytest.mark.parametrize("forgotten", ["TRUNCATE TABLE events", "ALTER TABLE events DROP PARTITION 202611"])
def test_the_same_after_the_tokens_were_forgotten(new_host: NewHost, forgotten: str) -> None:
    host = new_host()
    numbers = range(10)
    host.accept(*(event(number, at=1_795_000_000_000) for number in numbers))
    (path,) = host.segments("open")
    data = path.read_bytes()
    assert host.forward() == 0
    client = host.connect()
    client.command(forgotten)
    client.close()
    for _ in range(3):
        (host.spool.sealed / path.name).write_bytes(data)
        assert host.forward() == 0
        assert host.stored() == [*numbers]


def test_rows_past_their_time_are_not_sent_for_ever(new_host: NewHost) -> None:
    """The engine may drop at once what its TTL has passed."""
    host = new_host()
    host.accept(event(1, at=1_500_000_000_000), event(2))
    for _ in range(4):
        host.forward()
    assert not host.segments() and host.balance() == {}
    assert host.stored()[-1] == 2
