"""The table `day_visits`: the visits of a day, worked out once by one *run* and read by every report.

A row is one *part*: a visit as a whole; a page view in it, with what it told of its use; an event of the site's own; a
page view outside of any visit; and the rest, an event a row: page errors, and what views told whose events don't lie
together in one visit, so that of such a view the largest counts once. All rows of a visit carry what filters may ask
of it, so that none needs a join, and rows lie by page, so that one of a page reads little.

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
from .views import OF_ENTRY, OF_VISITOR, SILENCE_MS, visits

_TABLE = "day_visits"
_WORD = "LowCardinality(String)"
_OWN = {
    "part": ("Enum8('visit' = 0, 'outside' = 1, 'page' = 2, 'event' = 3, 'rest' = 4)", "what the row is about"),
    "path": (_WORD, "the page; of a visit empty"),
    "visitor": ("UInt64", BY_NAME["visitor"].words),
    "started": ("Int64", "the first sign of the visit, in milliseconds since 1970"),
    "views": ("UInt32", "page views of the row; of an event how often it happened"),
    "visit_views": ("UInt32", "page views of the visit; 0 where it is none"),
    "duration_ms": ("UInt32", "milliseconds from its first to its last sign"),
    "bounced": ("UInt8", "one page view, and no event of the site's own"),
    "entry_page": (_WORD, "the path of its first page view"),
    "exit_page": (_WORD, "the path of its last page view"),
    "paths": ("Array(String)", "of a visit: the paths of its page views, in order"),
    "name": (_WORD, "of an event: its name"),
    "told": ("UInt32", "page views that told how they were used"),
    "engaged_ms": ("UInt64", "and their engaged time"),
    "scroll_pct": ("UInt8", "of a page: how far it was scrolled"),
    "view_id": ("UInt64", "of the rest: the page view"),
}
_SAYS = [name for name in (*OF_VISITOR, *OF_ENTRY) if name != "bot"]
_KINDS = {name: (BY_NAME[name].type, BY_NAME[name].words) for name in _SAYS}
_FILTERED = ("country", "source", "browser", "os", "device")  # by what rows of a page, or visits, lie
_CODECS = {"started": "T64, ZSTD(1)", "paths": "ZSTD(1)", "visit_views": "ZSTD(1)", "told": "ZSTD(1)"} | {
    name: "ZSTD(1)"
    for name, (kind, _) in (_OWN | _KINDS).items()
    if kind == _WORD and name not in (*_FILTERED, "channel")
}  # what most queries read is left to be unpacked fast
_COLUMNS = ",\n".join(
    f"    `{name}` {kind} COMMENT '{words.replace(chr(39), chr(92) + chr(39))}'"
    + (f" CODEC({_CODECS[name]})" if name in _CODECS else "")
    for name, (kind, words) in {
        "site": (_WORD, "the site"),
        "day": ("Date", "the day, in the time zone of the settings"),
        "run": ("UInt64", "the run that worked it out; right if the table closed says so"),
        "passing": ("UInt64", "the run again, where it is a passing one"),
        **_OWN,
        **_KINDS,
    }.items()
)
_NAMES = [*_OWN, *_SAYS]
_OF_VISIT = ["visitor", "started", "visit_views", "duration_ms", "bounced", "entry_page", "exit_page", "paths"]
_RUN = "{site:String} AS site, {day:Date} AS day, {run:UInt64} AS run, {passing:UInt64} AS passing"
_OF_DAY = (
    "site = {site:String} AND NOT bot AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') "
    "AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')"
)
_VISITOR = [name for name in OF_VISITOR if name != "bot"]
_ALIKE = f"cityHash64({', '.join(f'signs.{name}' for name in ('path', *_VISITOR))})"
# Of a view without an oddity all events make one row, as they lie in one visit and say the same of their visitor and
# page. All others are loose: what tells of them, or of no view, makes a row each.
_LOOSE = (
    f"SELECT visitor, view_id FROM events AS signs WHERE {_OF_DAY} AND visitor != 0 "
    "AND type IN ('page_view', 'engagement') GROUP BY visitor, view_id HAVING "
    f"toUnixTimestamp64Milli(max(at)) - toUnixTimestamp64Milli(min(at)) >= {SILENCE_MS} "
    f"OR min({_ALIKE}) != max({_ALIKE})"
)
_IS_LOOSE = f"(view_id = 0 OR (visitor, view_id) IN ({_LOOSE}))"
_USES = "arraySort(hit -> (hit.2, hit.6), arrayFilter(hit -> hit.5 = 1, visit))"  # by view, the most engaged one last
_LAST = "arrayPopFront(arrayPushBack(uses.2, 0))"
VISITS = (
    f"SELECT {_RUN}, 'visit' AS part, '' AS path, visit_views AS views, '' AS name, 0 AS scroll_pct, 0 AS view_id, "
    f"arraySum((view, next) -> view != next, uses.2, {_LAST}) AS told, "
    f"arraySum((view, next, engaged) -> if(view != next, engaged, 0), uses.2, {_LAST}, uses.6) AS engaged_ms, "
    f"{', '.join([*_OF_VISIT, *_SAYS])} FROM (\n"
    + visits(
        f"(SELECT *, {{day:Date}} AS day FROM events WHERE {_OF_DAY})",
        of_visitor=_VISITOR,
        of_entry=OF_ENTRY,
        of_hit=(f"type = 'engagement' AND NOT {_IS_LOOSE}", "engaged_ms"),
        more={"uses": _USES},
    )
    + "\n)"
)
_SEEN = (
    "SELECT visitor, view_id, path, name, language, "
    f"multiIf(type = 'custom', 'event', type = 'page_error' OR visitor = 0 OR {_IS_LOOSE}, 'rest', 'page') AS part, "
    f"if(part = 'page', (0, 0), (toUnixTimestamp64Milli(at), {_ALIKE})) AS apart, "
    "min(toUnixTimestamp64Milli(at)) AS at_ms, "
    "if(part = 'event', count(), countIf(type = 'page_view')) AS views, countIf(type = 'engagement') > 0 AS told, "
    "max(engaged_ms) AS engaged_ms, max(scroll_pct) AS scroll_pct, "
    + ", ".join(f"any({name}) AS {name}" for name in _VISITOR if name != "language")
    + f" FROM events AS signs WHERE {_OF_DAY} GROUP BY visitor, view_id, path, name, language, part, apart"
)
_OF_SEEN = ["path", "visitor", "views", "name", "told", "engaged_ms", "scroll_pct", *_VISITOR]
_OF_WHOLE = ["started", "visit_views", "duration_ms", "bounced", "entry_page", "exit_page", *OF_ENTRY]
_PARTS = {
    "part": "multiIf(seen.part = 'event' OR whole.visit_views > 0, seen.part, views > 0, 'outside', 'rest')",
    "view_id": "if(seen.part = 'page' AND whole.visit_views > 0, 0, seen.view_id)",
    "paths": "[]",
    **{name: f"seen.{name}" for name in _OF_SEEN},
    **{name: f"whole.{name}" for name in _OF_WHOLE},
}


def statements(layout: Layout = SINGLE) -> Iterator[str]:
    """What makes the table. Rows are kept no longer than the events that they are made from."""
    yield (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local(_TABLE)}{layout.on_cluster}\n(\n{_COLUMNS}\n)\n"
        f"ENGINE = {layout.engine(_TABLE)}\nPARTITION BY (toYYYYMM(day), passing)\n"
        f"ORDER BY (site, part, day, run, path, {', '.join(_FILTERED)}, visitor, started)\n"
        f"TTL day + INTERVAL {RETENTION_DAYS[MEASUREMENT]} DAY\n"
        "SETTINGS old_parts_lifetime = 60"
    )
    if layout.cluster:
        yield layout.distributed(_TABLE, _COLUMNS)


def parts(table: str) -> str:
    """The query for the parts of a day's visits. Its visits are in this table, by the same run."""
    own = f"visitor AS who, started, started + duration_ms AS ended, {', '.join(_OF_WHOLE[1:])}"
    return (
        f"SELECT {_RUN}, {', '.join(f'{_PARTS[name]} AS {name}' for name in _NAMES)} FROM ({_SEEN}) AS seen\n"
        f"LEFT JOIN (SELECT {own} FROM {table} WHERE site = {{site:String}} AND day = {{day:Date}} "
        "AND run = {run:UInt64} AND part = 'visit') AS whole\n"
        "ON seen.visitor = whole.who AND seen.at_ms >= whole.started AND seen.at_ms <= whole.ended"
    )


def fill(
    client: Client, layout: Layout, site: str, day: date, run: int, span: tuple[int, int], *, passing: bool = False
) -> None:
    """Work the visits of a day out. `span` is the day's two midnights in milliseconds."""
    table, columns = layout.local(_TABLE), ", ".join(["site", "day", "run", "passing", *_NAMES])
    for query in (VISITS, parts(table)):
        client.command(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM (\n{query}\n)",
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
