"""Real logs, counted twice: by the replay, and straight from the file by a few lines that share no code with it.

The logs hold real addresses: nothing here prints a line, and an assertion that fails shows numbers only.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.replay.bench import Bench

DATA = Path(__file__).parents[3] / "shared" / "data"
LINE = re.compile(
    r'^(\S+) \S+ \S+ \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d) ([+-])(\d\d)(\d\d)\] "(\w+) (.*) HTTP/[\d.]+" '
    r'(\d{3}) (?:\d+|-) "([^"]*)" "((?:[^"\\]|\\.)*)"(?: .*)?$'
)
PAGE = re.compile(r"/(?:[^/]*/)*(?:[^/.]*|[^/]*\.(?:html?|php|aspx?|jsp)?)", re.IGNORECASE)


@dataclass
class Counts:
    lines: int = 0
    unparsable: int = 0
    paths: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    referrers: Counter[str] = field(default_factory=Counter)
    visitors: dict[str, set[object]] = field(default_factory=lambda: defaultdict(set))

    @property
    def daily_visitors(self) -> dict[str, int]:
        return {day: len(found) for day, found in self.visitors.items()}


def count_log(log: Path) -> Counts:
    """By the documented definitions: what a page is, what a visitor is, what is kept of a referrer."""
    counts = Counts()
    for line in gzip.decompress(log.read_bytes()).decode().splitlines():
        counts.lines += 1
        match = LINE.match(line)
        if match is None:
            counts.unparsable += 1
            continue
        address, at, sign, hours, minutes, method, target, status, referrer, agent = match.groups()
        path, answer = target.split("?")[0], int(status)
        viewed = 200 <= answer < 300 or answer == 304
        if method != "GET" or not (viewed or answer >= 400) or not PAGE.fullmatch(path.split(";")[0]):
            continue
        east = timedelta(hours=int(hours), minutes=int(minutes)) * (1 if sign == "+" else -1)
        moment = datetime.strptime(at, "%d/%b/%Y:%H:%M:%S") - east
        counts.visitors[f"{moment:%Y-%m-%d}"].add((address.rpartition(".")[0], agent))
        counts.statuses[answer] += 1
        if viewed:
            counts.paths[path] += 1
            host = re.match(r"https?://([^/:?#]+)", referrer.lower())
            if host:
                counts.referrers[host[1]] += 1
    return counts


def count_events(events: list[dict[str, Any]]) -> Counts:
    counts = Counts()
    for row in events:
        counts.visitors[row["at"][:10]].add(row["visitor"])
        counts.statuses[row["http_status"]] += 1
        if row["type"] == "page_view":
            counts.paths[row["path"]] += 1
            if row.get("referrer_host"):
                counts.referrers[row["referrer_host"]] += 1
    return counts


def same_paths(found: Counter[str], expected: Counter[str]) -> bool:
    """Equal, path by path; segments that were scrubbed to `*` stand for whatever was there."""
    left = Counter(expected)
    for path, number in found.items():
        if "*" not in path and left.pop(path, 0) != number:
            return False
    for path, number in found.items():
        if "*" in path:
            pattern = re.compile(re.escape(path).replace(r"\*", "[^/]+"))
            hidden = [raw for raw in left if pattern.fullmatch(raw)]
            if sum(left.pop(raw) for raw in hidden) != number:
                return False
    return not left


@pytest.mark.parametrize("name", ["access-2015.log.gz", "access-2024.log.gz"])
def test_the_replay_agrees_with_an_independent_count(bench: Bench, name: str) -> None:
    log = DATA / name
    if not log.exists():
        pytest.skip("the real logs are not here")
    summary = bench.replay(str(log), keep_expired=True)
    expected, events = count_log(log), bench.events()
    found = count_events(events)
    assert summary.lines == expected.lines
    assert summary.dropped["unparsable"] == expected.unparsable
    assert summary.page_views == expected.paths.total()
    assert summary.page_views + summary.page_errors == expected.statuses.total() == len(events)
    assert found.statuses == expected.statuses
    assert found.daily_visitors == expected.daily_visitors
    top = sorted(number for _, number in expected.referrers.most_common(20))
    assert sorted(number for _, number in found.referrers.most_common(20)) == top
    assert all(
        expected.referrers[host] == number for host, number in found.referrers.most_common(20) if "*" not in host
    )
    assert same_paths(found.paths, expected.paths)
    scrubbed = sum(number for path, number in found.paths.items() if "*" in path)
    assert scrubbed < 0.05 * summary.page_views


def test_no_address_of_the_log_is_in_the_data(bench: Bench) -> None:
    log = DATA / "access-2015.log.gz"
    if not log.exists():
        pytest.skip("the real logs are not here")
    addresses = {line.partition(b" ")[0] for line in gzip.decompress(log.read_bytes()).splitlines()}
    bench.replay(str(log), keep_expired=True)
    bench.spool.sealed.joinpath("control").write_bytes(b'{"x":"%b"}' % max(addresses))
    contains = finder(addresses)
    holding = [path.name for path in bench.folder.rglob("*") if path.is_file() and contains(path.read_bytes())]
    assert holding == ["control"]


def finder(addresses: set[bytes]) -> Callable[[bytes], bool]:
    whole = re.compile(rb"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.]|/24)")
    return lambda data: any(found in addresses for found in whole.findall(data))
