"""The baseline of `load/queries.py`: tables and queries as Plausible describes them, written for this comparison."""
# ruff: noqa: E501 - SQL reads better on its own lines

from __future__ import annotations

from collections.abc import Callable, Mapping

from consent_gateway.answers.question import Question

_WORD = "LowCardinality(String)"
_SHARED = (
    f"`source` {_WORD}, `channel` {_WORD}, `referrer` String, `utm_campaign` {_WORD}, `country` {_WORD}, `browser` {_WORD}, "
    f"`os` {_WORD}, `device` {_WORD}, `language` {_WORD}"
)
_NAMES = "source, channel, referrer, utm_campaign, country, browser, os, device, language"

_SESSIONS = (
    "site_id UInt64, start DateTime, timestamp DateTime, sign Int8, session_id UInt64, user_id UInt64, is_bounce UInt8, "
    f"entry_page String, exit_page String, pageviews Int32, events Int32, duration UInt32, {_SHARED}"
)

TABLES = (
    "CREATE TABLE raw (at DateTime64(3, 'UTC'), type LowCardinality(String), visitor UInt64, session UInt64, view_id UInt64, "
    "path String, channel LowCardinality(String), source LowCardinality(String), referrer_host LowCardinality(String), "
    "utm_campaign LowCardinality(String), country LowCardinality(String), browser LowCardinality(String), "
    "os LowCardinality(String), device LowCardinality(String), language LowCardinality(String), engaged_ms UInt32, "
    "name LowCardinality(String), first Bool) ENGINE = MergeTree ORDER BY at",
    f"CREATE TABLE plausible_events (site_id UInt64, timestamp DateTime, name {_WORD}, user_id UInt64, session_id UInt64, "
    f"pathname String, engagement_time UInt32, {_SHARED}) ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) "
    "ORDER BY (site_id, toDate(timestamp), name, user_id, timestamp)",
    f"CREATE TABLE plausible_sessions ({_SESSIONS}) ENGINE = VersionedCollapsingMergeTree(sign, events) "
    "PARTITION BY toYYYYMM(start) "
    "PRIMARY KEY (site_id, toDate(start), user_id, session_id) ORDER BY (site_id, toDate(start), user_id, session_id, start)",
    f"CREATE TABLE plausible_versions ({_SESSIONS}) ENGINE = MergeTree ORDER BY (site_id, start)",
)
_OF_SESSION = "source, channel, referrer_host, utm_campaign, country, browser, os, device, language"


def into_events() -> str:
    return (
        "INSERT INTO plausible_events SELECT 1, at, if(type = 'page_view', 'pageview', if(type = 'custom', name, type)), "
        f"visitor, session, path, engaged_ms, {_OF_SESSION} FROM raw"
    )


def into_sessions() -> str:
    """Fully collapsed: one row a session. Durations in milliseconds, so that the answers can be the same."""
    return (
        "INSERT INTO plausible_sessions SELECT 1, min(at), max(at), 1, session, any(visitor), "
        "countIf(type = 'page_view') = 1 AND countIf(type = 'custom') = 0, "
        "argMinIf(path, (at, view_id), type = 'page_view'), argMaxIf(path, (at, view_id), type = 'page_view'), "
        "countIf(type = 'page_view'), count(), toUnixTimestamp64Milli(max(at)) - toUnixTimestamp64Milli(min(at)), "
        + ", ".join(f"any({name})" for name in _OF_SESSION.split(", "))
        + " FROM raw GROUP BY session"
    )


def made_of_raw(statement: str) -> str:
    """What it takes to make the rows of an insert, which is no part of its cost."""
    select = statement[statement.index("SELECT") :]
    return f"SELECT count() FROM ({select}) WHERE NOT ignore(*)"


def versions_of_sessions() -> str:
    """What else is written while a session grows: for each further event its old row taken back, and the new one."""
    return (
        "INSERT INTO plausible_versions SELECT s.* FROM (SELECT * FROM plausible_sessions WHERE session_id IN "
        "(SELECT session FROM raw)) AS s ARRAY JOIN range(toUInt32(2 * (s.events - 1))) AS again"
    )


_TIME = "site_id = 1 AND {column} >= toDateTime({{start:UInt32}}) AND {column} < toDateTime({{end:UInt32}})"
_VISITS = (
    "uniq(user_id) AS visitors, sum(sign) AS visits, sum(pageviews * sign) AS page_views, "
    "sum(is_bounce * sign) / visits AS bounce_rate, sum(duration * sign) / visits AS duration"
)


def _filters(question: Question, *, of_events: bool) -> str:
    """Those that the comparison uses: of a session, whose columns events carry too, and the beginning of a path, which
    chooses events, or the sessions that have such an event."""
    text = ""
    for one in question.filters:
        if one.dimension == "path" and of_events:
            text += f" AND startsWith(pathname, '{one.value}')"
        elif one.dimension == "path":
            time = _TIME.format(column="timestamp")
            text += (
                " AND session_id IN (SELECT session_id FROM plausible_events WHERE "
                f"{time} AND startsWith(pathname, '{one.value}'))"
            )
        else:
            text += f" AND {one.dimension} = '{one.value}'"
    return text


def _where(question: Question, column: str) -> str:
    return _TIME.format(column=column) + _filters(question, of_events=column == "timestamp")


def _by(name: str, order: str, keep: str = "") -> Callable[[Question], str]:
    """A breakdown of sessions, as most of Plausible's reports are."""

    def query(question: Question) -> str:
        return (
            f"SELECT {name} AS key, {_VISITS} FROM plausible_sessions WHERE {_where(question, 'start')}{keep} "
            f"GROUP BY key HAVING visits > 0 ORDER BY {order} DESC, key LIMIT 10"
        )

    return query


def _main(key: str, group: str) -> Callable[[Question], str]:
    """The main figures: visitors and page views of events, the others of sessions."""

    def query(question: Question) -> str:
        join = "ON e.period = s.period" if key else "ON 1 = 1"
        period = {side: f"toString(toDate({side})) AS period, " if key else "" for side in ("timestamp", "start")}
        first = "e.period, " if key else ""
        return (
            f"SELECT {first}visitors, visits, page_views, views / visits, bounces / visits, lasted / visits, engaged FROM "
            f"(SELECT {period['timestamp']}uniqIf(user_id, name = 'pageview') AS visitors, countIf(name = 'pageview') AS "
            "page_views, sumIf(engagement_time, name = 'engagement') / countIf(name = 'engagement') AS engaged "
            f"FROM plausible_events WHERE {_where(question, 'timestamp')}{group}) AS e INNER JOIN "
            f"(SELECT {period['start']}sum(sign) AS visits, sum(pageviews * sign) AS views, sum(is_bounce * sign) AS bounces, "
            f"sum(duration * sign) AS lasted FROM plausible_sessions WHERE {_where(question, 'start')}{group}) AS s {join}"
            + (" ORDER BY 1 LIMIT 10" if key else "")
        )

    return query


def _pages(question: Question) -> str:
    return (
        "SELECT pathname AS key, uniqIf(user_id, name = 'pageview') AS visitors, countIf(name = 'pageview') AS page_views, "
        "sumIf(engagement_time, name = 'engagement') / nullIf(countIf(name = 'engagement'), 0), "
        "0 / nullIf(countIf(name = 'engagement'), 0) "
        f"FROM plausible_events WHERE {_where(question, 'timestamp')} AND name IN ('pageview', 'engagement') "
        "GROUP BY key ORDER BY page_views DESC, key LIMIT 10"
    )


def _entry_pages(question: Question) -> str:
    return (
        "SELECT entry_page AS key, uniq(user_id) AS visitors, sum(sign) AS visits, sum(is_bounce * sign) / visits, "
        f"sum(duration * sign) / visits FROM plausible_sessions WHERE {_where(question, 'start')} GROUP BY key "
        "HAVING visits > 0 ORDER BY visits DESC, key LIMIT 10"
    )


def _events(question: Question) -> str:
    return (
        f"SELECT name AS key, uniq(user_id), count() AS events FROM plausible_events WHERE {_where(question, 'timestamp')} "
        "AND name NOT IN ('pageview', 'engagement') GROUP BY key ORDER BY events DESC, key LIMIT 10"
    )


QUERIES: Mapping[str, Callable[[Question], str]] = {
    "totals": _main("", ""),
    "overview": _main("day", " GROUP BY period"),
    "pages": _pages,
    "entry_pages": _entry_pages,
    "sources": _by("source", "visits", " AND source != ''"),
    "channels": _by("channel", "visits"),
    "countries": _by("country", "visitors"),
    "browsers": _by("browser", "visitors"),
    "systems": _by("os", "visitors"),
    "devices": _by("device", "visitors"),
    "events": _events,
}
