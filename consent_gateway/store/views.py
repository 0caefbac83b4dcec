"""Views for people: `page_views` and `visits`, with a comment on every column and none that needs consent.

Also the one definition of a visit, which the reports share: what a visitor does on a day (of the owner's time zone)
without 30 minutes of silence, and has a page view. Every event of a visitor is a sign of life. It is worked out from
the events' own times whenever it is asked for, so neither late nor out-of-order events, nor the worker or host that
wrote them, make a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256

from ..rule.columns import BY_NAME, COLUMNS
from ..rule.purposes import ANALYTICS
from .client import DATABASE
from .layout import SINGLE, Layout

SILENCE_MS = 30 * 60_000

OF_VISITOR = (
    "country", "region", "browser", "browser_version", "os", "os_version", "device", "language", "bot",
)  # fmt: skip
OF_ENTRY = (
    "referrer_host", "channel", "source", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
)  # fmt: skip
# what a visit says of itself; moments are in milliseconds
OF_VISIT = {
    "started": "times[1]",
    "ended": "times[-1]",
    "duration_ms": "toUInt64(times[-1] - times[1])",
    "visit_views": "length(views)",
    "bounced": "length(views) = 1 AND NOT acted",
    "paths": "views.4",
    "entry_page": "views[1].4",
    "exit_page": "views[-1].4",
}
_NO_PAGE = {"type", "batch", "engaged_ms", "scroll_pct", "screen", "timings", "name", "props"}
_DAY = ("day", "Date", "the day in the time zone of the settings")


def visits(
    source: str,
    *,
    keys: Sequence[str] = ("day", "visitor"),
    of_visitor: Sequence[str] = (),
    of_entry: Sequence[str] = (),
    of_hit: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
    wanted: Collection[str] | None = None,
) -> str:
    """A query with one row a visit: the keys, and of `OF_VISIT`, of the visitor and of the first page view what is
    asked for. `source` is a table with `day`. Where a visitor's events differ in what is of the visitor (two people of
    one network and browser, but two languages) the least counts, so that it is the same in whatever order they lie.
    `more` is worked out of its signs, `visit`: tuples of
    moment, `view_id`, kind (1 a page view, 2 an event of the site's own), `path` and the columns `of_hit`, in order."""
    named = ", ".join(keys)
    hit = ["toUnixTimestamp64Milli(at)", "view_id", "multiIf(type = 'page_view', 1, type = 'custom', 2, 0)", "path"]
    hit += [*of_hit, *of_entry]
    visitor = "".join(f", min({column}) AS {column}" for column in of_visitor)
    carried = "".join(f", {column}" for column in of_visitor)
    entry = "".join(f", views[1].{place} AS {column}" for place, column in enumerate(of_entry, 5 + len(of_hit)))
    days = (
        f"SELECT {named}{visitor}, arraySort(groupArray(({', '.join(hit)}))) AS hits FROM {source} "
        f"WHERE visitor != 0 GROUP BY {named}"
    )
    cut = (
        f"SELECT {named}{carried}, arrayJoin(arraySplit((hit, before) -> hit.1 - before >= {SILENCE_MS}, hits, "
        f"arrayPushFront(arrayPopBack(hits.1), hits[1].1))) AS visit FROM ({days})"
    )
    seen = (
        f"SELECT {named}{carried}, arrayFilter(hit -> hit.3 = 1, visit) AS views, visit.1 AS times, "
        f"has(visit.3, 2) AS acted, visit FROM ({cut})"
    )
    every = OF_VISIT | dict(more or {})
    own = "".join(f", {sql} AS {name}" for name, sql in every.items() if wanted is None or name in wanted)
    return f"SELECT {named}{carried}{own}{entry} FROM ({seen}) WHERE notEmpty(views)"


def statements(zone: str, layout: Layout = SINGLE) -> Iterator[tuple[str, str, str]]:
    """The views: name, the statement that makes or replaces it, and the comment by which it is known again."""
    zone = zone.replace("'", "")
    seen = [column for column in COLUMNS if column.purpose != ANALYTICS and column.name not in _NO_PAGE]
    columns = [_DAY, *((column.name, column.type, column.words) for column in seen)]
    select = ", ".join(column.name for column in seen)
    query = f"SELECT toDate(at, '{zone}') AS day, {select} FROM {DATABASE}.events WHERE type = 'page_view'"
    yield _view("page_views", "Page views, programs too (bot)", columns, query, layout)

    time = "DateTime64(3, 'UTC')"
    visit_columns = [
        ("site", BY_NAME["site"].type, BY_NAME["site"].words),
        _DAY,
        ("visitor", "UInt64", BY_NAME["visitor"].words),
        ("started", time, "the first sign of the visit"),
        ("ended", time, "the last sign of the visit"),
        ("duration_ms", "UInt64", "milliseconds from the first to the last sign"),
        ("page_views", "UInt64", "its page views"),
        ("bounced", "UInt8", "one page view, and no event of the site's own"),
        ("entry_page", "String", "the path of its first page view"),
        ("exit_page", "String", "the path of its last page view"),
        ("paths", "Array(String)", "the paths of its page views, in order"),
        *((name, BY_NAME[name].type, BY_NAME[name].words) for name in OF_VISITOR),
        *((name, BY_NAME[name].type, f"{BY_NAME[name].words}, of its first page view") for name in OF_ENTRY),
    ]
    source = f"(SELECT *, toDate(at, '{zone}') AS day FROM {DATABASE}.events)"
    made = visits(source, keys=("site", "day", "visitor"), of_visitor=OF_VISITOR, of_entry=OF_ENTRY)
    moments = ", ".join(f"fromUnixTimestamp64Milli({name}, 'UTC') AS {name}" for name in ("started", "ended"))
    plain = "duration_ms, visit_views AS page_views, bounced, entry_page, exit_page, paths"
    rest = ", ".join((*OF_VISITOR, *OF_ENTRY))
    query = f"SELECT site, day, visitor, {moments}, {plain}, {rest} FROM ({made}) WHERE visit_views > 0"
    yield _view("visits", "Visits, programs too (bot)", visit_columns, query, layout)


def _view(
    name: str, words: str, columns: Sequence[tuple[str, str, str]], query: str, layout: Layout
) -> tuple[str, str, str]:
    lines = ",\n".join(f"    `{column}` {kind} COMMENT '{text.replace(chr(39), chr(92) + chr(39))}'"
                       for column, kind, text in columns)  # fmt: skip
    comment = f"{words}. {sha256((lines + query).encode()).hexdigest()[:8]}"
    made = (
        f"CREATE OR REPLACE VIEW {DATABASE}.{name}{layout.on_cluster}\n(\n{lines}\n)\nAS {query}\nCOMMENT '{comment}'"
    )
    return name, made, comment
