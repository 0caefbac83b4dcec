"""The views: their visits are those of plain Python, every column has a comment, and the documented queries run."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent_gateway.rule.columns import COLUMNS
from consent_gateway.rule.purposes import ANALYTICS
from consent_gateway.store import views
from consent_gateway.store.layout import Layout
from tests.answers import plain, traffic
from tests.answers.test_reports import question

DOCUMENT = (Path(__file__).parents[2] / "docs" / "queries.md").read_text()
WORKED = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
HALF = plain.HALF_AN_HOUR


@pytest.fixture(scope="module")
def of_brussels(client: Client) -> Client:
    for _, statement, _ in views.statements(traffic.ZONE.key):
        client.command(statement)
    return client


def test_ten_worked_queries_run(of_brussels: Client) -> None:
    assert len(WORKED) == 10
    for sql in WORKED:
        asked = sql.replace("today()", "toDate('2026-11-04')").replace("page_views >= 50", "page_views >= 1")
        assert of_brussels.query(asked).result_rows, sql


def test_visits_are_those_of_plain_python(of_brussels: Client, known: list[traffic.Row]) -> None:
    asked = plain.Plain(known, question(("bots", "yes")))
    expected = Counter(
        (visit.day, visit.visitor, tuple(visit.paths), visit.duration, visit.bounced, visit.views[0]["channel"])
        for visit in asked.visits
    )
    rows = of_brussels.query(
        "SELECT day, visitor, paths, duration_ms, bounced, channel FROM consent_gateway.visits WHERE site = 'shop'"
    ).result_rows
    found = Counter((day, who, tuple(paths), int(ms), bool(one), way) for day, who, paths, ms, one, way in rows)
    assert found == expected
    (count,) = of_brussels.query("SELECT count() FROM consent_gateway.page_views").result_rows[0]
    assert count == sum(row["type"] == "page_view" for row in known)


def test_every_column_has_a_comment_and_none_needs_consent(of_brussels: Client) -> None:
    rows = of_brussels.query(
        "SELECT table, name, comment FROM system.columns WHERE database = 'consent_gateway' "
        "AND table IN ('page_views', 'visits')"
    ).result_rows
    assert len(rows) > 40 and all(comment for _, _, comment in rows)
    hidden = {column.name for column in COLUMNS if column.purpose == ANALYTICS}
    assert not hidden & {name for _, name, _ in rows}


def test_a_cluster_s_views_are_parsed(of_brussels: Client) -> None:
    for _, statement, _ in views.statements("Europe/Brussels", Layout("main")):
        assert "ON CLUSTER `main`" in statement
        of_brussels.command(f"EXPLAIN AST {statement}")


event = st.tuples(
    st.sampled_from(["page_view", "page_view", "custom", "engagement", "page_error"]),
    st.integers(1, 3),  # visitor
    st.one_of(st.integers(0, 3 * HALF), st.sampled_from([0, 1, HALF - 1, HALF, HALF + 1, 2 * HALF])),
    st.sampled_from(["/", "/a", "/b"]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(event, max_size=25))
def test_any_events_in_any_order_make_the_visits_that_plain_python_makes(
    of_brussels: Client, seen: list[tuple[str, int, int, str]]
) -> None:
    """Around midnight in the owner's time zone, which ends visits too."""
    near = 1793660400000 - HALF  # half an hour before midnight of 3 November in Brussels
    rows = [
        {"type": kind, "visitor": who, "ms": near + later, "path": path, "view_id": number + 1}
        for number, (kind, who, later, path) in enumerate(seen)
    ]
    asked = plain.Plain([], question())
    expected = Counter(
        (visit.day, visit.visitor, tuple(visit.paths), visit.duration, visit.bounced)
        for visit in plain.visits_of(rows, asked.day)
    )
    source = (
        "(SELECT item.1 AS type, item.2 AS visitor, fromUnixTimestamp64Milli(item.3, 'UTC') AS at, item.4 AS path, "
        "item.5 AS view_id, toDate(at, 'Europe/Brussels') AS day FROM (SELECT arrayJoin(arrayZip({type:Array(String)}, "
        "{visitor:Array(UInt64)}, {ms:Array(Int64)}, {path:Array(String)}, {view_id:Array(UInt64)})) AS item))"
    )
    sql = f"SELECT day, visitor, paths, duration_ms, bounced FROM ({views.visits(source)})"
    columns = {name: [row[name] for row in rows] for name in ("type", "visitor", "ms", "path", "view_id")}
    found = of_brussels.query(sql, parameters=columns).result_rows
    assert Counter((day, who, tuple(paths), int(ms), bool(one)) for day, who, paths, ms, one in found) == expected
    assert isinstance(asked.day(near), date)
