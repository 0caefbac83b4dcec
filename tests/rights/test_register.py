"""The register of requests, with the clock as an argument."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from consent_gateway.rights.register import Register, Right, RightsError, Step

NOW = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)


def opened(tmp_path: Path, right: Right = Right.ACCESS, *, received: date | None = None) -> Register:
    register = Register(tmp_path)
    register.open(right, NOW, site="shop", by="An", source="mail", received=received, note="a letter")
    return register


def test_a_request_has_a_number_and_its_days(tmp_path: Path) -> None:
    request = opened(tmp_path, received=date(2026, 1, 31)).get(1)
    assert (request.number, request.state, request.is_open) == (1, "open", True)
    assert (request.due, request.limit) == (date(2026, 2, 14), date(2026, 2, 28))
    assert request.entries[0].by == "An" and request.entries[0].at.startswith("2026-11-27T15:00:00")


def test_it_is_on_the_disk_and_read_again(tmp_path: Path) -> None:
    register = opened(tmp_path)
    register.add(1, Step.EXTENDED, NOW, by="An", words="three archives to search")
    register.add(1, Step.DONE, NOW, by="An", proof={"rows": 3})
    register.add(1, Step.CLOSED, NOW, by="Bo", words="sent by mail")
    again = Register(tmp_path)
    assert again.get(1) == register.get(1)
    assert [(entry.step.value, entry.by) for entry in again.get(1).entries] == [
        ("opened", "An"), ("extended", "An"), ("done", "An"), ("closed", "Bo"),
    ]  # fmt: skip
    assert again.get(1).entries[2].proof == {"rows": 3}
    assert again.open(Right.ERASURE, NOW, site="shop", by="An", source="mail").number == 2
    assert oct((tmp_path / "rights" / "register.jsonl").stat().st_mode)[-3:] == "600"


def test_nothing_that_was_written_is_changed(tmp_path: Path) -> None:
    register = opened(tmp_path)
    before = (tmp_path / "rights" / "register.jsonl").read_bytes()
    register.add(1, Step.REFUSED, NOW, by="An", words="nobody of that name")
    assert (tmp_path / "rights" / "register.jsonl").read_bytes().startswith(before)


def test_what_a_power_cut_left_half_written_is_passed_over(tmp_path: Path) -> None:
    register = opened(tmp_path)
    register.close()
    path = tmp_path / "rights" / "register.jsonl"
    path.write_bytes(path.read_bytes() + b'{"number": 1, "step": "clo')
    assert Register(tmp_path).get(1).state == "open"


@pytest.mark.parametrize("step", [Step.EXTENDED, Step.REFUSED, Step.HELD])
def test_a_reason_is_needed_that_the_person_is_told(tmp_path: Path, step: Step) -> None:
    with pytest.raises(RightsError, match="a reason is needed"):
        opened(tmp_path).add(1, step, NOW, by="An", words="  ")


def test_extended_once_and_in_time_only(tmp_path: Path) -> None:
    register = opened(tmp_path, received=date(2026, 10, 27))
    late = NOW + timedelta(days=1)
    with pytest.raises(RightsError, match="can't be extended any more: the person had to be told by 2026-11-27"):
        register.add(1, Step.EXTENDED, late, by="An", words="much")
    assert register.add(1, Step.EXTENDED, NOW, by="An", words="much").limit == date(2027, 1, 27)
    with pytest.raises(RightsError, match="was extended already; three months are the most"):
        register.add(1, Step.EXTENDED, NOW, by="An", words="more")


def test_what_is_answered_stays_answered(tmp_path: Path) -> None:
    register = opened(tmp_path)
    register.add(1, Step.CLOSED, NOW, by="An")
    for step in (Step.CLOSED, Step.REFUSED, Step.EXTENDED, Step.ACKNOWLEDGED):
        with pytest.raises(RightsError, match="request 1 is closed already"):
            register.add(1, step, NOW, by="An", words="why")


def test_no_such_request_and_no_day_to_come(tmp_path: Path) -> None:
    register = opened(tmp_path)
    with pytest.raises(RightsError, match="there is no request 7"):
        register.get(7)
    with pytest.raises(RightsError, match="received is 2026-11-28: allowed is today or earlier"):
        register.open(Right.ACCESS, NOW, site="shop", by="An", source="mail", received=date(2026, 11, 28))


OVERDUE = """
right     | received   | on         | late
access    | 2026-11-13 | 2026-11-27 |
access    | 2026-11-13 | 2026-11-28 | past the promise by 1 day
access    | 2026-11-13 | 2026-12-13 | past the promise by 16 days
access    | 2026-11-13 | 2026-12-14 | past the legal limit by 1 day
complaint | 2026-11-25 | 2026-11-30 |
complaint | 2026-11-25 | 2026-12-01 | not acknowledged by 1 day
"""


@pytest.mark.parametrize("row", OVERDUE.strip().splitlines()[1:])
def test_what_is_late(tmp_path: Path, row: str) -> None:
    right, received, on, late = map(str.strip, row.split("|"))
    register = opened(tmp_path, Right(right), received=date.fromisoformat(received))
    assert register.get(1).overdue(date.fromisoformat(on)) == late
    assert bool(register.overdue(date.fromisoformat(on))) is bool(late)


def test_what_is_done_or_extended_or_acknowledged_is_late_later(tmp_path: Path) -> None:
    register = opened(tmp_path, Right.COMPLAINT, received=date(2026, 11, 1))
    register.add(1, Step.ACKNOWLEDGED, NOW, by="An")
    register.add(1, Step.EXTENDED, NOW, by="An", words="much")
    assert not register.get(1).overdue(date(2027, 2, 1)) and register.get(1).overdue(date(2027, 2, 2))
    register.add(1, Step.CLOSED, NOW, by="An")
    assert not register.get(1).overdue(date(2030, 1, 1))
    other = register.open(Right.ERASURE, NOW, site="shop", by="An", source="mail", received=date(2026, 11, 1))
    register.add(other.number, Step.DONE, NOW, by="An")
    assert register.get(other.number).overdue(date(2026, 11, 16)), "done, and nobody told the person"


def test_a_request_as_json_says_its_days_as_text(tmp_path: Path) -> None:
    shown = json.loads(json.dumps(opened(tmp_path).get(1).as_json(date(2027, 1, 1))))
    assert (
        shown["due"] == "2026-12-11" and shown["limit"] == "2026-12-27" and shown["overdue"].startswith("past the leg")
    )
