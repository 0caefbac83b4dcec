"""Until when a request has to be answered. Pure: dates come in, in the zone of the settings.

Periods are counted as Regulation 1182/71 Art. 3 says: the day of receipt does not count, a month ends on the same date
of the next one, or on its last day where it has no such date. That a period which ends on a Sunday may run until Monday
is not used: it would be later than the person reckons.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

PROMISE_DAYS = 14  # the house's own
LIMIT_MONTHS = 1  # GDPR Art. 12(3)
EXTENDED_MONTHS = 3  # the same: two further months, with a reason that the person is told within the first
ACKNOWLEDGE_DAYS = 3  # working days, of a complaint
_SATURDAY = 5


def promised(received: date) -> date:
    """When the house has promised its answer."""
    return received + timedelta(days=PROMISE_DAYS)


def limit(received: date, *, extended: bool = False) -> date:
    """The last day that the law allows."""
    return months_later(received, EXTENDED_MONTHS if extended else LIMIT_MONTHS)


def acknowledged_by(received: date) -> date:
    """The last day to acknowledge a complaint. Holidays count as working days here, so this is never too late."""
    day, left = received, ACKNOWLEDGE_DAYS
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < _SATURDAY
    return day


def months_later(day: date, months: int) -> date:
    """The same date so many months later, or the last day of a month that is too short for it."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
