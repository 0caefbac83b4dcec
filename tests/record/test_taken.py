"""Which segment has an event's id: a second segment is told, the first one never, however often it is asked."""

from __future__ import annotations

from pathlib import Path

from consent_gateway.record.repeats import Taken
from consent_gateway.record.spool import id_of, line


def test_the_first_segment_keeps_its_lines_and_another_is_told(tmp_path: Path) -> None:
    taken = Taken(tmp_path / "taken")
    assert not taken.is_elsewhere(7, segment=1)
    assert not taken.is_elsewhere(7, segment=1)  # sealed again after a crash
    assert taken.is_elsewhere(7, segment=2)
    assert taken.is_elsewhere(7, segment=2)


def test_it_outlives_the_process(tmp_path: Path) -> None:
    Taken(tmp_path / "taken").is_elsewhere(7, segment=1)
    assert Taken(tmp_path / "taken").is_elsewhere(7, segment=2)


def test_a_full_bucket_forgets_one_of_its_own(tmp_path: Path) -> None:
    taken = Taken(tmp_path / "taken")
    ids = [(number << 61 | number << 40 | 5) & (1 << 64) - 1 for number in range(1, 10)]
    for number in ids:
        assert not taken.is_elsewhere(number, segment=1)
    assert all(taken.is_elsewhere(number, segment=2) for number in ids if number != ids[1])
    assert not taken.is_elsewhere(ids[1], segment=2)


def test_the_id_of_a_line() -> None:
    event = b'{"site":"a","name":"x"}'
    assert id_of(line(b"b", event, "00000000000000ff")) == 255
    assert id_of(line(b"b", event, "0000000000000000")) == 0
    assert id_of(line(b"b", event)) == 0
    assert id_of(b"\n") == 0
