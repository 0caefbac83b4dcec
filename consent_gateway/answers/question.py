"""A question: which site, which days, which visitors, seen how. What a stranger typed becomes typed values here.

A filter is `key=value` (is), `key!=value` (is not), `key~part` (contains), `key^start` (begins with), or `!~` and `!^`.
Of one dimension any of the positive filters has to hold, and none of the negated ones; of several dimensions all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ..rule.errors import ConfigError
from .dimensions import DIMENSIONS, PROPERTY, find

MOST_ROWS = 10_000
DEFAULT_DAYS = 30
MOST_DAYS = 1100
MOST_FILTERS = 20
MOST_LENGTH = 500  # characters of a filter
_MOST_VALUE = 2000  # of anything in a query string
MOST_STEPS = 8
INTERVALS = ("minute", "hour", "day", "week", "month")
COMPARISONS = ("previous", "year")
_MOST_POINTS = 2000  # on a time line
_A_DAY = {"minute": 1440, "hour": 24}
_STEPS = {"hour": ("%Y-%m-%dT%H:00", 3600), "minute": ("%Y-%m-%dT%H:%M", 60)}
_YEARS = range(1971, 2100)
_FILTER = re.compile(r"([a-z_]+|prop\.[^=!~^]+)(!?[=~^])(.*)", re.DOTALL)
_NAMES = ("site", "from", "to", "bots", "limit", "filter", "interval", "compare", "step")
_SEVERAL = ("filter", "step")

Values = Mapping[str, str] | Iterable[tuple[str, str]]
Filters = Mapping[str, "tuple[Filter, ...]"]


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. `operator` is `=`, `~` or `^`, and `negated` its opposite."""

    dimension: str
    operator: str
    value: str
    negated: bool = False

    @classmethod
    def parse(cls, text: str) -> Filter:
        match = _FILTER.fullmatch(text)
        if match is None or len(text) > MOST_LENGTH or "\0" in text:
            raise ConfigError(f"filter is {text[:80]!r}: allowed are key=value, key!=value, key~part and key^start")
        name, operator, value = match.groups()
        if find(name) is None:
            raise ConfigError(
                f"{name[:80]!r} is no dimension: allowed are {', '.join(DIMENSIONS)} and {PROPERTY}NAME of an event"
            )
        return cls(name, operator[-1], value, operator[0] == "!")

    def __str__(self) -> str:
        return f"{self.dimension}{'!' if self.negated else ''}{self.operator}{self.value}"


@dataclass(frozen=True, slots=True)
class Question:
    """Which site and days a report is about. `first` and `last` are days in the owner's time zone, both included.

    `interval` is that of a time line; `compare` names what stands beside it (see `before`); `steps` are a funnel's or
    the goals: a path, the beginning of one (`/blog*`) or `event:NAME`. `now` is in milliseconds, for what is live.
    """

    site: str
    first: date
    last: date
    zone: ZoneInfo
    bots: bool = False
    limit: int = 100
    filters: tuple[Filter, ...] = ()
    interval: str = "day"
    compare: str = ""
    steps: tuple[str, ...] = ()
    now: int = 0

    @classmethod
    def parse(
        cls,
        values: Values,
        *,
        sites: frozenset[str],
        zone: ZoneInfo,
        today: date,
        saved: Filters | None = None,
        now: int = 0,
    ) -> Question:
        """Out of a query string or a command line, each optional: `site`, `from`, `to`, `bots`, `limit`, `interval`,
        `compare`, and as often as needed `filter` and `step`. A filter `@NAME` is one of the `saved` ones."""
        one, several = _gather(values)
        site = one.get("site") or min(sites)
        if site not in sites:
            raise ConfigError(f"site is {site!r}: allowed are {', '.join(sorted(sites))}")
        last = _day("to", one.get("to"), today)
        first = _day("from", one.get("from"), last - timedelta(days=DEFAULT_DAYS - 1))
        if first > last:
            raise ConfigError(f"from is {first} and to is {last}: allowed is a first day not after the last")
        if (last - first).days >= MOST_DAYS:
            raise ConfigError(
                f"from {first} to {last} is too long: allowed are {MOST_DAYS} days, the retention is shorter"
            )
        limit = one.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST_ROWS:
            raise ConfigError(f"limit is {limit!r}: allowed is a number from 1 to {MOST_ROWS}")
        interval = _one_of("interval", one.get("interval", "day"), INTERVALS)
        days = (last - first).days + 1
        if _A_DAY.get(interval, 0) * days > _MOST_POINTS:
            raise ConfigError(f"{days} days by {interval} are too many points: allowed are {_MOST_POINTS}")
        compare = one.get("compare", "")
        return cls(
            site,
            first,
            last,
            zone,
            _one_of("bots", one.get("bots", "no").lower(), ("yes", "no")) == "yes",
            int(limit),
            _filters(several["filter"], saved or {}),
            interval,
            _one_of("compare", compare, COMPARISONS) if compare else "",
            _steps(several["step"]),
            now,
        )

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def start(self) -> int:
        """The first moment, in milliseconds."""
        return midnight(self.first, self.zone)

    @property
    def end(self) -> int:
        """The moment after the last, in milliseconds."""
        return midnight(self.last + timedelta(days=1), self.zone)

    def before(self) -> Question | None:
        """The question about what this one is compared with: the days just before, or the same days a year ago (52
        weeks, so that weekdays stand beside each other). None when nothing is compared."""
        if not self.compare:
            return None
        shift = timedelta(days=self.days if self.compare == "previous" else 364)
        return replace(self, first=self.first - shift, last=self.last - shift, compare="", limit=MOST_ROWS)

    def said(self) -> str:
        """The same for the audit log: how many filters there are, and not which."""
        number = len(self.filters)
        return f"{self.site}, {self.first} to {self.last}, {number} filter{'s' * (number != 1)}"

    def moments(self) -> list[str]:
        """Every moment of its time line, as the reports write them: those without rows too."""
        if self.interval in _STEPS:
            form, step = _STEPS[self.interval]
            seconds = range(self.start // 1000, self.end // 1000, step)
            return list(dict.fromkeys(datetime.fromtimestamp(second, self.zone).strftime(form) for second in seconds))
        found: dict[str, None] = {}
        for number in range(self.days):
            day = self.first + timedelta(days=number)
            start = day - timedelta(days=day.weekday()) if self.interval == "week" else day
            found[str(start.replace(day=1) if self.interval == "month" else start)] = None
        return list(found)

    def query(self) -> list[tuple[str, str]]:
        """The same as the names and values of a query string, which `parse` reads back."""
        pairs = [("site", self.site), ("from", str(self.first)), ("to", str(self.last))]
        pairs += [("bots", "yes")] if self.bots else []
        pairs += [("limit", str(self.limit))] if self.limit != 100 else []
        pairs += [("interval", self.interval)] if self.interval != "day" else []
        pairs += [("compare", self.compare)] if self.compare else []
        return pairs + [("filter", str(one)) for one in self.filters] + [("step", step) for step in self.steps]


def midnight(day: date, zone: ZoneInfo) -> int:
    """The first moment of a day in milliseconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _gather(values: Values) -> tuple[dict[str, str], dict[str, list[str]]]:
    one: dict[str, str] = {}
    several: dict[str, list[str]] = {name: [] for name in _SEVERAL}
    for name, value in values.items() if isinstance(values, Mapping) else values:
        if name not in _NAMES:
            raise ConfigError(f"{name[:80]!r} is not asked for: allowed are {', '.join(_NAMES)}")
        if len(value) > _MOST_VALUE:  # before any of it is read as a number, or quoted
            raise ConfigError(f"{name} has {len(value):,} characters: allowed are {_MOST_VALUE:,}")
        if name in several:
            several[name] += [value] if value else []
        else:
            one[name] = value
    return one, several


def _filters(texts: list[str], saved: Filters) -> tuple[Filter, ...]:
    found: list[Filter] = []
    for text in texts:
        if not text.startswith("@"):
            found.append(Filter.parse(text))
        elif text[1:] in saved:
            found += saved[text[1:]]
        else:
            raise ConfigError(f"no filter is saved as {text[1:80]!r}: saved are {', '.join(sorted(saved)) or 'none'}")
    if len(found) > MOST_FILTERS:
        raise ConfigError(f"{len(found)} filters are too many: allowed are {MOST_FILTERS}")
    return tuple(dict.fromkeys(found))


def _steps(texts: list[str]) -> tuple[str, ...]:
    if len(texts) > MOST_STEPS:
        raise ConfigError(f"{len(texts)} steps are too many: allowed are {MOST_STEPS}")
    for text in texts:
        if not text.startswith(("/", "event:")) or len(text) > MOST_LENGTH or "\0" in text:
            raise ConfigError(
                f"step is {text[:80]!r}: allowed are a path, the beginning of one (/blog*) and event:NAME"
            )
    return tuple(texts)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}: allowed are {', '.join(allowed)}")
    return value


def _day(name: str, text: str | None, otherwise: date) -> date:
    if not text:
        return otherwise
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.year not in _YEARS:
        raise ConfigError(f"{name} is {text!r}: allowed is a day like 2026-11-22")
    return day
