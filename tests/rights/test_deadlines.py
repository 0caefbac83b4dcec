"""Until when a request must be answered: month ends, leap years, weekends."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from consent_gateway.rights.deadlines import acknowledged_by, limit, months_later, promised

LIMITS = """
received   | limit      | extended   | why
2026-11-27 | 2026-12-27 | 2027-02-27 | the same date of a later month
2026-01-31 | 2026-02-28 | 2026-04-30 | a month that is too short ends on its last day
2028-01-31 | 2028-02-29 | 2028-04-30 | in a leap year too
2028-01-29 | 2028-02-29 | 2028-04-29 | there it has the date
2027-01-29 | 2027-02-28 | 2027-04-29 | in other years not
2028-02-29 | 2028-03-29 | 2028-05-29 | from the leap day on
2026-11-30 | 2026-12-30 | 2027-02-28 | over the end of the year
2026-12-01 | 2027-01-01 | 2027-03-01 | from the first
2026-08-31 | 2026-09-30 | 2026-11-30 | from a 31st to a 30th
2100-01-31 | 2100-02-28 | 2100-04-30 | a century that is no leap year
"""
ROWS = [tuple(map(str.strip, row.split("|"))) for row in LIMITS.strip().splitlines()[1:]]


@pytest.mark.parametrize(("received", "once", "extended", "why"), ROWS, ids=[row[3] for row in ROWS])
def test_a_month_by_law_and_three_when_extended(received: str, once: str, extended: str, why: str) -> None:
    day = date.fromisoformat(received)
    assert limit(day) == date.fromisoformat(once)
    assert limit(day, extended=True) == date.fromisoformat(extended)


def test_the_house_promises_fourteen_days_and_that_is_always_before_the_law() -> None:
    day = date(2027, 12, 1)
    for _ in range(500):
        assert promised(day) == day + timedelta(days=14) < limit(day) < limit(day, extended=True)
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("received", "by"),
    [
        ("2026-11-23", "2026-11-26"),  # Monday: Thursday
        ("2026-11-25", "2026-11-30"),  # Wednesday: over the weekend to Monday
        ("2026-11-27", "2026-12-02"),  # Friday: Wednesday
        ("2026-11-28", "2026-12-02"),  # Saturday: Wednesday
        ("2026-11-29", "2026-12-02"),  # Sunday: Wednesday
        ("2028-02-28", "2028-03-02"),  # over the leap day
    ],
)
def test_a_complaint_is_acknowledged_within_three_working_days(received: str, by: str) -> None:
    assert acknowledged_by(date.fromisoformat(received)) == date.fromisoformat(by)


def test_months_later_is_never_in_another_month() -> None:
    day = date(2027, 1, 1)
    while day < date(2028, 3, 1):
        later = months_later(day, 1)
        assert later.month == day.month % 12 + 1 and later.day <= day.day
        day += timedelta(days=1)
