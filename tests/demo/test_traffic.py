"""The sample traffic: well formed, the same for the same seed, and varied enough to be worth looking at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import iptocc
import pytest

from consent_gateway.demo.crowd import BOTS, COUNTRIES, PAGES, PROBER, WAYS
from consent_gateway.demo.traffic import ORIGIN, sample_log

UNTIL = datetime(2026, 3, 20, 15, 30, tzinfo=UTC)
COMBINED = re.compile(
    r'(?P<address>\S+) - - \[(?P<at>[^\]]+)\] "(?P<method>[A-Z]+) (?P<target>/\S*) HTTP/1\.1" '
    r'(?P<status>\d{3}) (?P<size>\d+) "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)"'
)
PROGRAMS = {PROBER, *(agent for agent, _, _ in BOTS)}


class Line(NamedTuple):
    address: str
    at: datetime
    method: str
    path: str
    query: str
    status: int
    referrer: str
    agent: str


def parse(lines: Iterable[str]) -> list[Line]:
    parsed = []
    for line in lines:
        found = COMBINED.fullmatch(line)
        assert found, line
        path, _, query = found["target"].partition("?")
        at = datetime.strptime(found["at"], "%d/%b/%Y:%H:%M:%S %z")
        status = int(found["status"])
        parsed.append(
            Line(found["address"], at, found["method"], path, query, status, found["referrer"], found["agent"])
        )
    return parsed


@pytest.fixture(scope="module")
def log() -> list[Line]:
    return parse(sample_log(21, UNTIL))


@pytest.fixture(scope="module")
def read(log: list[Line]) -> list[Line]:
    """Pages that people read, without programs, files and posts."""
    return [line for line in log if line.agent not in PROGRAMS and line.method == "GET" and "." not in line.path]


def test_sorted_and_inside_its_span(log: list[Line]) -> None:
    times = [line.at for line in log]
    assert times == sorted(times)
    assert UNTIL - timedelta(days=21) <= times[0]
    assert times[-1] <= UNTIL
    assert len({at.date() for at in times}) == 22


def test_the_same_for_a_seed() -> None:
    assert list(sample_log(3, UNTIL)) == list(sample_log(3, UNTIL))
    assert list(sample_log(3, UNTIL, seed=8)) != list(sample_log(3, UNTIL))


def test_a_longer_span_tells_the_same_story() -> None:
    short = list(sample_log(3, UNTIL))
    assert list(sample_log(9, UNTIL))[-len(short) :] == short


def test_until_in_another_zone_is_the_same_moment() -> None:
    assert list(sample_log(1, UNTIL.astimezone(timezone(timedelta(hours=5))))) == list(sample_log(1, UNTIL))


def test_no_days_no_lines() -> None:
    assert list(sample_log(0, UNTIL)) == []


def test_every_page_is_read_several_hundred_times_a_day_in_all(read: list[Line]) -> None:
    assert {line.path for line in read if line.status == 200} == set(PAGES)
    assert 200 < len(read) / 21 < 500


def test_people_follow_the_ways_through_the_site(read: list[Line]) -> None:
    """Who came from a page of the site had that page before."""
    seen: set[tuple[str, str, str]] = set()
    inner = 0
    for line in read:
        if line.referrer.startswith(ORIGIN) and line.at > read[0].at + timedelta(hours=3):
            assert (line.address, line.agent, urlsplit(line.referrer).path) in seen
            inner += 1
        seen.add((line.address, line.agent, line.path))
    assert inner > len(read) / 3
    assert set(WAYS) <= {urlsplit(line.referrer).path for line in read}


def test_day_and_week_have_a_rhythm(read: list[Line]) -> None:
    hours = Counter(line.at.hour for line in read)
    assert hours[19] > 5 * hours[3]
    days = Counter(line.at.date() for line in read)
    assert max(days.values()) > 1.3 * min(count for day, count in days.items() if day not in (min(days), max(days)))


def test_the_visitors_are_about_as_many_as_asked_for() -> None:
    people = {(line.at.date(), line.address, line.agent) for line in parse(sample_log(14, UNTIL, 7, 40))}
    assert 30 < len(people) / 14 < 65


def test_where_visits_come_from(read: list[Line]) -> None:
    hosts = {urlsplit(line.referrer).hostname for line in read}
    assert {"www.google.com", "duckduckgo.com", "www.facebook.com", "chatgpt.com", "mail.google.com", None} <= hosts
    campaigns = {parse_qs(line.query).get("utm_campaign", [""])[0] for line in read}
    assert {"winter-service", "e-bike-service", "cargo-weekend"} <= campaigns


def test_browsers_bots_files_and_errors_are_there(log: list[Line]) -> None:
    agents = {line.agent for line in log}
    assert agents >= PROGRAMS
    for word in ("Edg/", "Firefox/", "iPhone", "Android", "SamsungBrowser", "Version/", "OPR/", "CrOS"):
        assert any(word in agent for agent in agents), word
    assert {"/static/site.css", "/static/icon.svg", "/_cg/site.js"} <= {line.path for line in log}
    assert {200, 304, 404} == {line.status for line in log}
    assert {"GET", "HEAD", "POST"} == {line.method for line in log}
    assert {line.path for line in log if line.method == "POST"} == {"/contact"}


def test_the_addresses_come_out_in_their_countries(read: list[Line]) -> None:
    countries = Counter(iptocc.country_code(line.address) for line in read)
    assert set(countries) == {"BE", "NL", "FR", "DE", "GB", "LU", "US", "ES", "IT", "PL"}
    assert len(countries) == len(COUNTRIES)
    assert countries.most_common(1)[0][0] == "BE"
    assert any(":" in line.address for line in read)
