"""The reports over many events, beside the schema and queries that Plausible describes: the same answers, as a ratio.

    python load/queries.py                                 # 10 million events of 90 days; some minutes
    python load/queries.py --events 500000 --rounds 3      # a quick look
    python load/queries.py --report docs/queries.md        # writes the table into that file
    python load/queries.py --store /tmp/many               # keeps the events there, or asks those that are there

The baseline is written from Plausible's public description: events in a MergeTree that carry their session's source and
place, sessions in a VersionedCollapsingMergeTree of which each change is a row with a sign, and `uniq` for visitors. It
gets its sessions fully collapsed, which is its best case. Each ratio is of two queries of the same round: of the time on
the wall, which other work on the machine lengthens, and of the CPU time of all threads, which it hardly does. Beforehand the
baseline answers with `uniqExact`, and has to give the same rows in the same order.
"""
# ruff: noqa: E501 - SQL reads better on its own lines

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from clickhouse_connect.driver.client import Client  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: E402

from consent_gateway.answers.ask import LIMITS, Rows, ask  # noqa: E402
from consent_gateway.answers.closing import Closer, register  # noqa: E402
from consent_gateway.answers.question import Filter, Question  # noqa: E402
from consent_gateway.answers.reports import REPORTS  # noqa: E402
from consent_gateway.answers.runs import RunsOf  # noqa: E402
from consent_gateway.store import client as store  # noqa: E402
from consent_gateway.store import schema  # noqa: E402
from consent_gateway.store.days import Days  # noqa: E402
from load.figures import markdown, replace_part, show  # noqa: E402
from load.plausible import QUERIES, TABLES, into_events, into_sessions, made_of_raw, versions_of_sessions  # noqa: E402

ZONE = ZoneInfo("UTC")
LAST = date(2026, 11, 20)
MONTH = 30  # days of each question
STEP = 10  # days that are made at once
PER_VISITOR = 3.15  # events of one visitor on one day, by the formula below
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
    if(kind = 'custom', ['signup', 'download'][dice % 2 + 1], '') AS name, place = 0 AND kind != 'engagement' AS first
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
    " if(first, utm_campaign, ''), browser, os, device, language, engaged_ms, name FROM raw"
)
FILTERED = (
    *((name, ("country=BE",)) for name in ("totals", "overview", "pages", "entry_pages", "sources", "browsers")),
    *((name, ("country=BE", "path^/section-1/")) for name in ("pages", "totals", "sources")),
    *((name, ("source=Google",)) for name in ("totals", "pages", "countries", "events")),
    *((name, ("path^/section-1/",)) for name in ("totals", "sources", "entry_pages")),
)
Case = tuple[str, Question]
Answer = list[tuple[Any, ...]]


class Bench:
    """Two schemas in one embedded store, with the same events in them."""

    def __init__(self, folder: Path, events: int, days: int, progress: Progress) -> None:
        self.progress, self.dsn = progress, f"chdb://{folder}/store"
        self.kept = folder / "bench.json"
        self.client = self.connect()
        self.days, self.number = Days(ZONE), days
        self.runs = RunsOf(self.days, register())
        self.visitors = int(events / days / PER_VISITOR)
        self.first = LAST - timedelta(days=days - 1)
        self.costs: dict[str, float] = {}

    def connect(self) -> Client:
        client = store.connect(self.dsn, timeout=600)
        schema.apply(client)
        return client

    def fill(self) -> None:
        """The same events into both. What it takes to make the rows is taken off each insert's cost."""
        for statement in TABLES:
            self.client.command(statement)
        for start in self.each(range(0, self.number, STEP), "events"):
            days = min(STEP, self.number - start)
            self.client.command("TRUNCATE TABLE raw")
            self.client.command(RAW, parameters={"first": str(self.first), "from": start, "visitors": self.visitors,
                                                 "count": self.visitors * days})  # fmt: skip
            self.insert("ours", OURS)
            self.insert("baseline", into_events())
            self.insert("baseline", into_sessions())
            self.insert("versions", versions_of_sessions())
        for table in self.each(("events", "plausible_events", "plausible_sessions"), "merging"):
            self.cost(table, partial(self.client.command, f"OPTIMIZE TABLE {table} FINAL"))

    def prepare(self) -> int:
        """How many events there are, made unless they are there."""
        if self.kept.exists():
            self.costs = json.loads(self.kept.read_text())
        else:
            self.fill()
            self.close_days()
            self.kept.write_text(json.dumps(self.costs))
        return int(self.client.query("SELECT count() FROM events").result_rows[0][0])

    def insert(self, name: str, statement: str) -> None:
        self.cost(name, lambda: self.client.command(statement))
        self.cost(name, lambda: self.client.query(made_of_raw(statement)), sign=-1)

    def close_days(self) -> None:
        """All days but the last one, which is the live one."""
        closer = Closer(self.days, self.connect)
        for number in self.each(range(self.number - 1), "days closed"):
            self.cost("closing", partial(closer.close, self.client, "shop", self.first + timedelta(days=number)))
        closer.disconnect()
        for table in ("days", "day_visits"):
            self.client.command(f"OPTIMIZE TABLE {table} FINAL")

    def each(self, things: Sequence[Any], words: str) -> Any:
        yield from self.progress.track(things, description=words)

    def cost(self, name: str, work: Callable[[], Any], sign: int = 1) -> None:
        began = time.process_time()
        work()
        self.costs[name] = self.costs.get(name, 0.0) + sign * (time.process_time() - began)

    def question(self, *filters: str) -> Question:
        first = LAST - timedelta(days=min(MONTH, self.number) - 1)
        return Question("shop", first, LAST, ZONE, limit=10, filters=tuple(map(Filter.parse, filters)))

    def ask(self, name: str, question: Question) -> Rows:
        closed, passing = self.runs.of(self.client, REPORTS[name], question)
        return ask(self.client, REPORTS[name], question, closed=closed, passing=passing)

    def ours(self, name: str, question: Question) -> Answer:
        return [tuple(row.values()) for row in self.ask(name, question)]

    def theirs(self, name: str, question: Question, *, exact: bool = False) -> Answer:
        sql = QUERIES[name](question)
        sql = sql.replace("uniq(", "uniqExact(").replace("uniqIf(", "uniqExactIf(") if exact else sql
        start, end = question.start // 1000, question.end // 1000
        rows = self.client.query(sql, parameters={"start": start, "end": end}, settings=dict(LIMITS)).result_rows
        return [tuple(row) for row in rows]

    def work_out_live_day(self) -> None:
        """As after each batch that came in."""
        self.runs = RunsOf(self.days, register())
        self.runs.of(self.client, REPORTS["totals"], self.question())

    def dashboard(self) -> None:
        for name in DASHBOARD:
            self.ask(name, self.question())

    def disk(self) -> dict[str, float]:
        found = self.client.query("SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = "
                                  "currentDatabase() GROUP BY table").result_rows  # fmt: skip
        return {str(table): float(size) for table, size in found}


Time = tuple[float, float]  # on the wall, and of the CPU, in milliseconds


def timed(work: Callable[[], Any]) -> Time:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def same(ours: Answer, theirs: Answer) -> bool:
    """Row by row; shares and means to nine digits."""

    def rounded(rows: Answer) -> Answer:
        return [tuple(float(f"{value:.9g}") if isinstance(value, float) else value for value in row) for row in rows]

    return rounded(ours) == rounded(theirs)


def compare(bench: Bench, cases: list[Case], rounds: int) -> tuple[list[tuple[str, ...]], bool]:
    """A row a case, and whether all answers were the same."""
    equal = [same(bench.ours(*case), bench.theirs(*case, exact=True)) for case in bench.each(cases, "same answers")]
    times: list[list[tuple[Time, Time]]] = [[] for _ in cases]
    for _ in bench.each(range(rounds), "rounds"):
        for number, case in enumerate(cases):
            theirs = timed(partial(bench.theirs, *case))
            times[number].append((theirs, timed(partial(bench.ours, *case))))
    rows = []
    for (name, question), pairs, right in zip(cases, times, equal, strict=True):
        cells = []
        for kind in (0, 1):
            cells += [f"{median(pair[side][kind] for pair in pairs):.0f}" for side in (0, 1)]
            cells.append(f"{median(theirs[kind] / ours[kind] for theirs, ours in pairs):.1f}")
        filters = ", ".join(map(str, question.filters)) or "none"
        rows.append((name, filters, *cells, "yes" if right else "NO"))
    return rows, all(equal)


def costs(bench: Bench, events: int) -> list[tuple[str, str, str]]:
    disk, took, per = bench.disk(), bench.costs, 1e6 / events
    theirs = took["baseline"] + took["versions"]
    merging = took["plausible_events"] + took["plausible_sessions"]
    page, anew = (
        " on the wall, ".join(f"{median(one[kind] for one in times):.0f} ms" for kind in (0, 1)) + " of CPU"
        for times in ([timed(work) for _ in range(5)] for work in (bench.dashboard, bench.work_out_live_day))
    )
    return [
        ("insertion, CPU µs an event", f"{theirs * per:.1f}", f"{took['ours'] * per:.1f}"),
        ("merging all into one part a month, CPU µs an event", f"{merging * per:.1f}", f"{took['events'] * per:.1f}"),
        ("closing days, CPU µs an event", "", f"{took['closing'] * per:.1f}"),
        ("disk, bytes an event", f"{(disk['plausible_events'] + disk['plausible_sessions']) / events:.1f}",
         f"{disk['events'] / events:.1f}, {disk['day_visits'] / events:.1f} of visits, "
         f"{disk['days'] / events:.1f} of numbers of closed days"),
        (f"the dashboard of {MONTH} days ({len(DASHBOARD)} reports)", "", page),
        ("the live day's visits, worked out anew when events came in", "", anew),
    ]  # fmt: skip


def machine(client: Client) -> str:
    """What it ran on."""
    model = next((line.partition(": ")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, engine {client.command('SELECT version()')}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--store", type=Path, help="a folder that keeps the events; without it a temporary one")
    parser.add_argument("--report", type=Path, help="a Markdown file with the part 'queries' to write the tables into")
    asked = parser.parse_args()
    console = Console(highlight=False, width=140)
    columns = (TextColumn("{task.description:>14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        (asked.store or Path(folder)).mkdir(exist_ok=True)
        with Progress(*columns, console=console) as progress:
            bench = Bench((asked.store or Path(folder)).absolute(), asked.events, asked.days, progress)
            events = bench.prepare()
            cases = [(name, bench.question()) for name in QUERIES]
            cases += [(name, bench.question(*filters)) for name, filters in FILTERED]
            rows, equal = compare(bench, cases, asked.rounds)
        spent = costs(bench, events)
        head = (f"report, {MONTH} days", "filter", "Plausible-style, ms", "Consent Gateway, ms", "ratio",
                "Plausible-style, CPU ms", "Consent Gateway, CPU ms", "ratio", "same rows")  # fmt: skip
        cost_head = ("cost", "Plausible-style", "Consent Gateway")
        words = (
            f"{events:,} events of {asked.days} days, {bench.visitors:,} visitors a day, medians of {asked.rounds} rounds; "
            f"load of the machine {os.getloadavg()[1]:.1f}. {machine(bench.client)}."
        )
        console.print(words)
        show(console, "Reports", head, rows)
        show(console, "Costs", cost_head, spent)
        if asked.report:
            text = "\n\n".join((words, markdown(head, rows), markdown(cost_head, spent)))
            replace_part(asked.report, "queries", text)
        bench.client.close()
    return 0 if equal else 1


if __name__ == "__main__":
    raise SystemExit(main())
