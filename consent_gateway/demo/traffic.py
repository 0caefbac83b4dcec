"""Believable traffic for the demo site, as lines of an access log in the combined format.

Every visit is made up: who it was, where it came from, which way it went through the pages, how long it stayed. A day
is drawn from the seed and its own date, so a day reads the same in whichever span it is asked for. Addresses are drawn
at random from blocks registered in a country; they belong to nobody that this program knows of.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network
from random import Random
from typing import NamedTuple, TypeVar

from .crowd import (
    AGENTS,
    ARTICLE,
    ARTICLE_PATHS,
    ARTICLE_WEIGHTS,
    BOTS,
    COUNTRIES,
    FROM_ARTICLE,
    FROM_NOWHERE,
    HOURS,
    LOST,
    NEWSLETTER,
    NEWSLETTER_DAYS,
    PAGES,
    PROBER,
    PROBER_BLOCK,
    PROBES,
    SOURCES,
    WAYS,
    WEEK,
    Source,
)

ORIGIN = "https://zevenspaak.example"  # what the pages of the site are called in the log's own referrers
REGULARS = 260  # people who come back on other days
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # in any locale

T = TypeVar("T")


class Visitor(NamedTuple):
    address: str
    agent: str


class Hit(NamedTuple):
    at: datetime
    visitor: Visitor
    method: str
    target: str
    status: int
    size: int
    referrer: str


def sample_log(
    days: int, until: datetime, seed: int = 7, visitors_per_day: int = 120, origin: str = ORIGIN
) -> Iterator[str]:
    """The lines of the `days` before `until`, oldest first, times in UTC; a naive `until` is taken as local time.

    `visitors_per_day` is the mean over a week, bots apart.
    """
    end = until.astimezone(UTC)
    begin = end - timedelta(days=days)
    today = begin.date() - timedelta(days=1)  # a visit may begin before midnight and end in the span
    waiting: list[Hit] = []
    while today <= end.date():
        waiting += _day(today, seed, visitors_per_day, origin)
        waiting.sort(key=lambda hit: hit.at)
        today += timedelta(days=1)
        midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
        for hit in waiting:
            if begin <= hit.at < min(midnight, end):
                yield _combined(hit)
        waiting = [hit for hit in waiting if hit.at >= midnight]


def _combined(hit: Hit) -> str:
    at = f"{hit.at.day:02}/{MONTHS[hit.at.month - 1]}/{hit.at:%Y:%H:%M:%S} +0000"
    request = f"{hit.method} {hit.target} HTTP/1.1"
    return (
        f'{hit.visitor.address} - - [{at}] "{request}" {hit.status} {hit.size} "{hit.referrer}" "{hit.visitor.agent}"'
    )


def _day(day: date, seed: int, visitors: int, origin: str) -> list[Hit]:
    chance = Random(f"{seed}/{day.isoformat()}")
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    mean = visitors * WEEK[day.weekday()] * (1 + 0.12 * math.sin(day.toordinal() / 9))
    hits: list[Hit] = []
    for _ in range(_about(chance, mean)):
        hits += _visit(chance, midnight, _visitor(chance, seed), _pick(chance, SOURCES), origin)
    if day.day in NEWSLETTER_DAYS:
        for _ in range(_about(chance, visitors * 0.35)):
            hits += _visit(chance, midnight + timedelta(hours=1), _visitor(chance, seed), NEWSLETTER, origin)
    for name, block, per_day in BOTS:
        hits += _crawl(chance, midnight, Visitor(_address(chance, block), name), _about(chance, per_day))
    prober = Visitor(_address(chance, PROBER_BLOCK), PROBER)
    for target in PROBES[: chance.randrange(len(PROBES) + 1)]:
        hits.append(_hit(midnight + _clock(chance), prober, target, 404, "-"))
    return hits


def _visit(chance: Random, midnight: datetime, visitor: Visitor, source: Source, origin: str) -> list[Hit]:
    at = midnight + _clock(chance)
    target = _pick(chance, source.lands)
    if target == ARTICLE:
        target = _article(chance)
    if source.query:
        target += "?" + source.query.format(token=f"{chance.getrandbits(160):040x}")
    hits: list[Hit] = []
    referrer, cached = source.referrer, chance.random() < 0.25
    while True:
        path = target.partition("?")[0]
        status = 200 if path in PAGES else 404
        hits.append(_hit(at, visitor, target, status, referrer))
        loaded = origin + target
        if len(hits) == 1:
            for asset in ("/static/site.css", "/static/icon.svg", "/_cg/site.js"):
                hits.append(_hit(at + timedelta(milliseconds=180), visitor, asset, 304 if cached else 200, loaded))
        if path == "/contact" and chance.random() < 0.3:
            at += timedelta(seconds=chance.lognormvariate(4.3, 0.5))
            hits.append(_hit(at, visitor, "/contact", 200, loaded, method="POST"))
        at += timedelta(seconds=3 + chance.lognormvariate(3.4 if path.startswith("/articles/") else 2.7, 0.9))
        target = _pick(chance, WAYS.get(path, FROM_ARTICLE if status == 200 else FROM_NOWHERE))
        if not target or len(hits) > 30:
            return hits
        if target == ARTICLE:
            target = _article(chance)
        referrer = loaded


def _crawl(chance: Random, midnight: datetime, bot: Visitor, pages: int) -> Iterator[Hit]:
    """A bot reads at any hour, robots.txt first, and follows no path that a person would."""
    at = midnight + timedelta(seconds=chance.uniform(0, 80_000))
    if "UptimeRobot" in bot.agent:
        yield from (_hit(midnight + timedelta(hours=k, minutes=7), bot, "/", 200, "-", "HEAD") for k in range(24))
        return
    targets = ["/robots.txt", *(chance.choice(PAGES) for _ in range(pages))] if pages else []
    if chance.random() < 0.2:
        targets.append(LOST)
    for target in targets:
        yield _hit(at, bot, target, 404 if target == LOST else 200, "-")
        at += timedelta(seconds=chance.uniform(2, 240))


def _hit(at: datetime, visitor: Visitor, target: str, status: int, referrer: str, method: str = "GET") -> Hit:
    path = target.partition("?")[0]
    size = (
        0 if method == "HEAD" or status == 304 else 2400 if status == 404 else 3000 + zlib.crc32(path.encode()) % 6000
    )
    return Hit(at, visitor, method, target, status, size, referrer)


def _visitor(chance: Random, seed: int) -> Visitor:
    """One of the regulars, or somebody new."""
    who = Random(f"{seed}/regular/{chance.randrange(REGULARS)}") if chance.random() < 0.3 else chance
    block = _pick(who, COUNTRIES)
    return Visitor(_address(who, who.choice(block)), _agent(who))


def _address(chance: Random, block: str) -> str:
    network = ip_network(block)
    return str(network[chance.randrange(1, network.num_addresses - 1)])


def _agent(chance: Random) -> str:
    pattern, versions = _pick(chance, AGENTS)
    return pattern.format(v=chance.choices(versions, weights=range(len(versions), 0, -1))[0])


def _article(chance: Random) -> str:
    return chance.choices(ARTICLE_PATHS, weights=ARTICLE_WEIGHTS)[0]


def _clock(chance: Random) -> timedelta:
    return timedelta(hours=chance.choices(range(24), weights=HOURS)[0], seconds=chance.uniform(0, 3600))


def _about(chance: Random, mean: float) -> int:
    return max(0, round(chance.gauss(mean, math.sqrt(mean))))


def _pick(chance: Random, table: Sequence[tuple[float, T]]) -> T:
    return chance.choices(table, weights=[weight for weight, _ in table])[0][1]
