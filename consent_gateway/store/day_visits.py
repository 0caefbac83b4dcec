"""The table `day_visits`: the visits of a day, worked out once by one *run* and read by every report.

A run of a day that is closed stays (see `days`). A *passing* run is of a day that is not over, or open again: it is
right as long as the events are what they were, lies in a partition of its own, and is dropped whole when the next one
is there. Who reads knows which runs are right; all others are cleared away.

Its rows hold the day's pseudonym, as events do, and nothing that needs consent. They are made from the events, go when
their day's events change or end, and are in no backup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from clickhouse_connect.driver.client import Client

from ..rule.columns import BY_NAME, RETENTION_DAYS
from ..rule.purposes import MEASUREMENT
from .client import DATABASE
from .layout import SINGLE, Layout
from .views import OF_ENTRY, OF_VISITOR, visits

_TABLE = "day_visits"
_WORD = "LowCardinality(String)"
_OWN = {
    "visitor": ("UInt64", BY_NAME["visitor"].words),
    "started": ("Int64", "the first sign of the visit, in milliseconds since 1970"),
    "duration_ms": ("UInt32", "milliseconds from the first to the last sign"),
    "visit_views": ("UInt32", "its page views"),
    "bounced": ("UInt8", "one page view, and no event of the site's own"),
    "entry_page": (_WORD, "the path of its first page view"),
    "exit_page": (_WORD, "the path of its last page view"),
    "paths": ("Array(String)", "the paths of its page views, in order"),
}
_CODECS = {"started": "T64, ZSTD(1)", "duration_ms": "T64, ZSTD(1)", "paths": "ZSTD(1)"}
_SAYS = [name for name in (*OF_VISITOR, *OF_ENTRY) if name != "bot"]
_COLUMNS = ",\n".join(
    f"    `{name}` {kind} COMMENT '{words.replace(chr(39), chr(92) + chr(39))}'"
    + (f" CODEC({_CODECS[name]})" if name in _CODECS else "")
    for name, (kind, words) in {
        "site": (_WORD, "the site"),
        "day": ("Date", "the day, in the time zone of the settings"),
        "run": ("UInt64", "the run that worked it out; right if the table closed says so"),
        "passing": ("UInt64", "the run again, where it is a passing one"),
        **_OWN,
        **{name: (BY_NAME[name].type, BY_NAME[name].words) for name in _SAYS},
    }.items()
)
_NAMES = [*_OWN, *_SAYS]
_SOURCE = (
    "(SELECT *, {day:Date} AS day FROM events WHERE site = {site:String} AND NOT bot "
    "AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC'))"
)
FILL = (
    f"SELECT {{site:String}}, {{day:Date}}, {{run:UInt64}}, {{passing:UInt64}}, {', '.join(_NAMES)} FROM (\n"
    + visits(_SOURCE, of_visitor=[name for name in OF_VISITOR if name != "bot"], of_entry=OF_ENTRY)
    + "\n)"
)


def statements(layout: Layout = SINGLE) -> Iterator[str]:
    """What makes the table. Rows are kept no longer than the events that they are made from."""
    yield (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local(_TABLE)}{layout.on_cluster}\n(\n{_COLUMNS}\n)\n"
        f"ENGINE = {layout.engine(_TABLE)}\nPARTITION BY (toYYYYMM(day), passing)\n"
        f"ORDER BY (site, day, run, visitor, started)\nTTL day + INTERVAL {RETENTION_DAYS[MEASUREMENT]} DAY\n"
        "SETTINGS old_parts_lifetime = 60"
    )
    if layout.cluster:
        yield layout.distributed(_TABLE, _COLUMNS)


def fill(
    client: Client, layout: Layout, site: str, day: date, run: int, span: tuple[int, int], *, passing: bool = False
) -> None:
    """Work the visits of a day out. `span` is the day's two midnights in milliseconds."""
    client.command(
        f"INSERT INTO {layout.local(_TABLE)} (site, day, run, passing, {', '.join(_NAMES)}) {FILL}",
        parameters={"site": site, "day": day, "run": run, "passing": run if passing else 0, "start": span[0],
                    "end": span[1]},
        settings=layout.insert_settings,
    )  # fmt: skip


def drop(client: Client, layout: Layout, day: date, run: int) -> None:
    """A passing run, at once."""
    client.command(
        f"ALTER TABLE {layout.local(_TABLE)} DROP PARTITION ({day:%Y%m}, {run})",
        settings={"max_partition_size_to_drop": 0},
    )


def passing(client: Client, layout: Layout, before: int) -> list[tuple[date, int]]:
    """The passing runs begun before a moment (a version), each with a day of its month."""
    rows = client.query(
        "SELECT DISTINCT partition FROM system.parts WHERE active AND database = {database:String} "
        "AND table = {table:String}",
        parameters={"database": DATABASE, "table": layout.local(_TABLE)},
    ).result_rows
    found = [tuple(map(int, str(one).strip("()").split(","))) for (one,) in rows]
    return [(date(month // 100, month % 100, 1), run) for month, run in found if 0 < run < before]


def remove(client: Client, layout: Layout, condition: str, parameters: Mapping[str, object]) -> None:
    """The rows that a condition of ours holds for; they are gone when this returns."""
    client.command(
        f"ALTER TABLE {layout.local(_TABLE)}{layout.on_cluster} DELETE WHERE {condition}",
        parameters=dict(parameters),
        settings={"mutations_sync": 2},
    )
