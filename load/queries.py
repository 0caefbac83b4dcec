"""The reports over many events, beside the schema and queries that Plausible describes: the same answers, as a ratio.

    python load/queries.py                                 # 10 million events of 90 days; some minutes
    python load/queries.py --events 500000 --rounds 3      # a quick look
    python load/queries.py --report docs/queries.md        # writes the table into that file

The baseline is written from Plausible's public description: events in a MergeTree that carry their session's source and
place, sessions in a VersionedCollapsingMergeTree of which each change is a row with a sign, and `uniq` for visitors. It
gets its sessions fully collapsed, which is its best case. Each ratio is of two queries of the same round. Beforehand the
baseline answers with `uniqExact`, and has to give the same rows in the same order.
"""
# ruff: noqa: E501 - SQL reads better on its own lines

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client
from rich.console import Console

from consent_gateway.answers.ask import LIMITS, ask
from consent_gateway.answers.closing import Closer, closed_reports, register
from consent_gateway.answers.question import Filter, Question
from consent_gateway.answers.reports import REPORTS
from consent_gateway.store import client as store
from consent_gateway.store import schema
from consent_gateway.store.days import Days
from load.figures import markdown, replace_part, show
from load.plausible import QUERIES, TABLES, into_events, into_sessions, versions_of_sessions

ZONE = ZoneInfo("UTC")
LAST = date(2026, 11, 20)
DAYS = 90
PER_VISITOR = 7.67  # events of one visitor on one day, by the formula below
DASHBOARD = ("overview", "totals", "pages", "entry_pages", "exit_pages", "sources", "channels", "referrers", "campaigns",
             "countries", "browsers", "systems", "devices", "languages", "events", "hours")  # fmt: skip

# A visitor's day: one visit, or two of which the second begins two hours later; pages after a power law.
RAW = """
INSERT INTO raw
SELECT
    toDateTime64(toDate({first:String}) + day, 3, 'UTC') + toIntervalMillisecond(begins + visit * 7200000 + place * 45000
        + if(kind = 'engagement', 20000, 0)) AS at,
    kind AS type, cityHash64(day, who) AS visitor, cityHash64(day, who, visit) AS session,
    cityHash64(day, who, visit, place) AS view_id,
    concat('/section-', toString(page % 40), '/article-', toString(page)) AS path,
    ['direct', 'search', 'search', 'social', 'referral', 'ai'][dice % 6 + 1] AS channel,
    ['', 'Google', 'Bing', 'Mastodon', 'example.eu', 'ChatGPT'][dice % 6 + 1] AS source,
    ['', 'google.com', 'bing.com', 'mastodon.social', 'example.eu', 'chatgpt.com'][dice % 6 + 1] AS referrer_host,
    if(dice % 31 = 0, 'autumn', '') AS utm_campaign,
    ['BE', 'BE', 'NL', 'FR', 'DE', 'GB', 'US', 'LU'][cityHash64(who, 1) % 8 + 1] AS country,
    ['Chrome', 'Chrome', 'Safari', 'Firefox', 'Edge'][cityHash64(who, 2) % 5 + 1] AS browser,
    ['Windows', 'iOS', 'Android', 'macOS', 'Linux'][cityHash64(who, 3) % 5 + 1] AS os,
    ['desktop', 'mobile', 'mobile', 'tablet'][cityHash64(who, 4) % 4 + 1] AS device,
    ['nl-BE', 'fr-BE', 'en', 'de-DE'][cityHash64(who, 5) % 4 + 1] AS language,
    if(kind = 'engagement', 1000 + cityHash64(view_id) % 60000, 0) AS engaged_ms,
    if(kind = 'custom', ['signup', 'download'][dice % 2 + 1], '') AS name
FROM (
    SELECT
        intDiv(n.number, {visitors:UInt32}) + {from:UInt32} AS day, n.number % {visitors:UInt32} AS who,
        cityHash64(day, who, 'b') % 70000000 AS begins, cityHash64(day, who, 'd') AS dice,
        arrayJoin(range(if(dice % 8 = 0, 2, 1))) AS visit,
        arrayJoin(range([1, 1, 1, 2, 2, 4][cityHash64(dice, visit) % 6 + 1])) AS place,
        toUInt32(floor(pow(cityHash64(dice, visit, place) % 100000 / 100000, 3) * 2000)) AS page,
        arrayJoin(arrayFilter(kind -> kind = 'page_view' OR (kind = 'engagement' AND cityHash64(page, dice) % 2 = 0)
            OR (kind = 'custom' AND cityHash64(dice, place) % 25 = 0), ['page_view', 'engagement', 'custom'])) AS kind
    FROM numbers({count:UInt64}) AS n
)
"""
OURS = (
    "INSERT INTO events (site, type, at, received_at, consent, purposes, policy_version, batch, visitor, country, view_id,"
    " path, http_status, referrer_host, channel, source, utm_campaign, browser, os, device, language, engaged_ms, name)"
    " SELECT 'shop', type, at, at, 'unknown', ['measurement'], '1', concat('b', toString(toYYYYMM(at))), visitor, country,"
    " view_id, path, 200, if(first, referrer_host, ''), if(first, channel, 'internal'), if(first, source, ''),"
    " if(first, utm_campaign, ''), browser, os, device, language, engaged_ms, name FROM"
    " (SELECT *, at = min(at) OVER (PARTITION BY session) AS first FROM raw WHERE toDate(at) >= {a:Date} AND toDate(at) < {b:Date})"
)


class Bench:
    """Two schemas in one embedded store, with the same events in them."""

    def __init__(self, folder: Path, events: int, console: Console) -> None:
        self.console, self.dsn = console, f"chdb://{folder}/store"
        self.client = self.connect()
        self.days = Days(ZONE)
        self.visitors = int(events / DAYS / PER_VISITOR)
        self.first = LAST - timedelta(days=DAYS - 1)
        self.costs: dict[str, float] = {}

    def connect(self) -> Client:
        client = store.connect(self.dsn, timeout=600)
        schema.apply(client)
        return client

    def fill(self) -> int:
        for statement in TABLES:
            self.client.command(statement)
        step = 10
        for start in range(0, DAYS, step):
            a, b = self.first + timedelta(days=start), self.first + timedelta(days=start + step)
            self.client.command("TRUNCATE TABLE raw")
            self.client.command(RAW, parameters={"first": str(self.first), "from": start, "visitors": self.visitors,
                                                 "count": self.visitors * step})  # fmt: skip
            days = {"a": a, "b": b + timedelta(days=1)}  # a visit may go on after midnight
            self.cost("ours: insert", lambda days=days: self.client.command(OURS, parameters=days))
            self.cost(
                "baseline: insert", lambda: [self.client.command(into_events()), self.client.command(into_sessions())]
            )
            self.cost("baseline: versions of sessions", lambda: self.client.command(versions_of_sessions()))
            self.console.print(f"{min(start + step, DAYS)} of {DAYS} days")
        for table in ("events", "plausible_events", "plausible_sessions"):
            self.client.command(f"OPTIMIZE TABLE {table} FINAL")
        return int(self.client.query("SELECT count() FROM events").result_rows[0][0])

    def close_days(self) -> None:
        """All days but the last one, which is the live one."""
        closer = Closer(self.days, self.connect)
        for number in range(DAYS - 1):
            self.cost(
                "ours: closing days", lambda n=number: closer.close(self.client, "shop", self.first + timedelta(days=n))
            )
        self.client.command("OPTIMIZE TABLE days FINAL")

    def cost(self, name: str, work: Callable[[], Any]) -> None:
        began = time.process_time()
        work()
        self.costs[name] = self.costs.get(name, 0.0) + time.process_time() - began

    def question(self, days: int, *filters: str, steps: Sequence[str] = ()) -> Question:
        return Question("shop", LAST - timedelta(days=days - 1), LAST, ZONE, limit=10, steps=tuple(steps),
                        filters=tuple(map(Filter.parse, filters)))  # fmt: skip

    def ours(self, name: str, question: Question) -> list[tuple[Any, ...]]:
        report = REPORTS[name]
        runs = self.days.closed(self.client, "shop", register_number) if report.closed else {}
        return [tuple(row.values()) for row in ask(self.client, report, question, closed=runs)]

    def theirs(self, name: str, question: Question, *, exact: bool = False) -> list[tuple[Any, ...]]:
        sql = QUERIES[name](question)
        sql = sql.replace("uniq(", "uniqExact(") if exact else sql
        start, end = question.start // 1000, question.end // 1000
        rows = self.client.query(sql, parameters={"start": start, "end": end}, settings=dict(LIMITS)).result_rows
        return [tuple(row) for row in rows]

    def disk(self) -> dict[str, float]:
        found = self.client.query("SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = "
                                  "currentDatabase() GROUP BY table").result_rows  # fmt: skip
        return {str(table): float(size) for table, size in found}


register_number = register()


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def same(ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> bool:
    """Row by row; shares and means to nine digits."""

    def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [tuple(float(f"{value:.9g}") if isinstance(value, float) else value for value in row) for row in rows]

    return rounded(ours) == rounded(theirs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--report", type=Path, help="a Markdown file with the part 'queries' to write the tables into")
    asked = parser.parse_args()
    console = Console(highlight=False, width=120)
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        bench = Bench(Path(folder), asked.events, console)
        events = bench.fill()
        bench.close_days()
        cases = [(name, bench.question(30)) for name in QUERIES]
        cases += [
            (name, bench.question(30, "country=BE")) for name in ("totals", "overview", "pages", "sources", "browsers")
        ]
        cases += [(name, bench.question(30, "country=BE", "path^/section-1/")) for name in ("pages",)]
        rows, wrong = [], []
        for name, question in cases:
            if not same(bench.ours(name, question), bench.theirs(name, question, exact=True)):
                wrong.append(f"{name} {' '.join(map(str, question.filters))}")
                console.print(f"{wrong[-1]} differs:\n{bench.ours(name, question)[:3]}\n"
                              f"{bench.theirs(name, question, exact=True)[:3]}")  # fmt: skip
        times: dict[int, list[tuple[float, float]]] = {}
        for _ in range(asked.rounds):
            for number, (name, question) in enumerate(cases):
                theirs = timed(lambda name=name, question=question: bench.theirs(name, question))
                ours = timed(lambda name=name, question=question: bench.ours(name, question))
                times.setdefault(number, []).append((theirs, ours))
        for number, (name, question) in enumerate(cases):
            ratio = median(theirs / ours for theirs, ours in times[number])
            filters = ", ".join(map(str, question.filters)) or "none"
            rows.append((f"{name}, {question.days} days", filters, *(f"{median(pair[side] for pair in times[number]) * 1000:.0f} ms"
                         for side in (0, 1)), f"{ratio:.1f}", "no" if any(name == one.split()[0] for one in wrong) else "yes"))  # fmt: skip
        page = median(timed(lambda: [bench.ours(name, bench.question(30)) for name in DASHBOARD]) for _ in range(3))
        head = ("report", "filter", "Plausible-style", "Consent Gateway", "ratio", "same rows")
        show(console, f"{events:,} events of {DAYS} days", head, rows)
        disk, per = bench.disk(), 1e6 / events
        versions = bench.costs["baseline: versions of sessions"]
        costs = [
            ("CPU µs per event: insert", f"{(bench.costs['baseline: insert'] + versions) * per:.1f}",
             f"{bench.costs['ours: insert'] * per:.1f}"),
            ("CPU µs per event: closing days", "", f"{bench.costs['ours: closing days'] * per:.1f}"),
            ("bytes per event on disk", f"{(disk['plausible_events'] + disk['plausible_sessions']) / events:.1f}",
             f"{disk['events'] / events:.1f} + {disk['days'] / events:.2f} for closed days"),
            (f"the dashboard of 30 days ({len(DASHBOARD)} reports)", "", f"{page * 1000:.0f} ms"),
        ]  # fmt: skip
        cost_head = ("cost", "Plausible-style", "Consent Gateway")
        show(console, "Costs", cost_head, costs)
        if asked.report:
            words = f"{events:,} events of {DAYS} days, {bench.visitors:,} visitors a day, medians of {asked.rounds} rounds."
            replace_part(
                asked.report, "queries", "\n\n".join((words, markdown(head, rows), markdown(cost_head, costs)))
            )
        console.print(f"{len(list(closed_reports()))} queries are worked out for each closed day.")
        bench.client.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
