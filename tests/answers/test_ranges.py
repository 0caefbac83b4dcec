"""Whole ranges: every event and visit once, in order, in slices, and no more of anybody than was asked for."""

from __future__ import annotations

import csv
import io
import itertools
import json
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from consent_gateway.answers import ranges
from consent_gateway.answers.export import head, to_csv, to_lines
from consent_gateway.answers.ranges import EVENTS, VISITS, Form, Range
from consent_gateway.answers.reports import REPORTS
from consent_gateway.rule.columns import COLUMNS
from consent_gateway.rule.privacy import when
from tests.answers import traffic
from tests.answers.plain import Plain
from tests.answers.test_reports import question

DAYS = [("from", "2026-10-25"), ("to", "2026-10-25")]  # the day when the clock goes back


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "SLICE_ROWS", 20)


def exported(client: Client, one: Range, form: Form, *values: tuple[str, str], consented: bool = False) -> bytes:
    day = question(*DAYS, *values, steps=False)
    cut = ranges.slices(client, one, day)
    assert len(cut) > 2 and all(end <= after for (_, end, _), (after, _, _) in itertools.pairwise(cut))
    parts = [ranges.rows(client, one, day, (start, end), form, consented=consented) for start, end, _ in cut]
    assert all(len(list(csv.reader(io.StringIO(part.decode())))) == rows
               for part, (_, _, rows) in zip(parts, cut, strict=True) if form == "csv")  # fmt: skip
    return b"".join(parts)


@pytest.mark.parametrize("values", [(), (("filter", "channel=search"), ("filter", "path^/b")), (("bots", "yes"),)])
def test_every_event_once(client: Client, known: list[traffic.Row], values: tuple[tuple[str, str], ...]) -> None:
    found = [json.loads(line) for line in exported(client, EVENTS, "jsonl", *values).splitlines()]
    expected = Plain(known, question(*DAYS, *values, steps=False)).rows
    assert [row["at"] for row in found] == sorted(row["at"] for row in found)
    assert sorted((row["at"], row["type"], row["visitor"], row["path"]) for row in found) == sorted(
        (when(row["ms"]).replace(" ", "T") + "Z", row["type"], str(row.get("visitor", 0)),
         row.get("path", "")) for row in expected
    )  # fmt: skip


def test_every_visit_once(client: Client, known: list[traffic.Row]) -> None:
    found = [json.loads(line) for line in exported(client, VISITS, "jsonl").splitlines()]
    expected = Plain(known, question(*DAYS, steps=False)).visits
    assert sorted((row["visitor"], row["paths"], row["duration_ms"], row["bounced"]) for row in found) == sorted(
        (str(visit.visitor), visit.paths, visit.duration, visit.bounced) for visit in expected
    )
    assert all(row["page_views"] == len(row["paths"]) and row["entry_page"] == row["paths"][0] for row in found)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_least_data_unless_more_is_asked_for(client: Client, form: Form) -> None:
    consented = {column.name for column in COLUMNS if column.purpose == "analytics"}
    assert not consented & set(EVENTS.names(consented=False)) and not consented & set(VISITS.names(consented=True))
    assert set(EVENTS.names(consented=True)) == {column.name for column in COLUMNS} - {"address"}
    plain, more = exported(client, EVENTS, form), exported(client, EVENTS, form, consented=True)
    assert b"Amsterdam" not in plain and b"Amsterdam" in more


def test_a_spreadsheet_and_a_program_read_it(client: Client) -> None:
    row: dict[str, Any] = {
        "site": "other", "type": "custom", "at": "2026-10-25 10:00:00.123", "received_at": "2026-10-25 10:00:00.123",
        "visitor": 2**63 + 1, "path": "=HYPERLINK(1)", "name": '+1, "quoted"\nand a line', "batch": "other",
        "props": {"plan": "=A"}, "purposes": ["measurement"],
    }  # fmt: skip
    client.raw_insert("events", insert_block=json.dumps(row).encode(), fmt="JSONEachRow")
    day = question(*DAYS, ("site", "other"), steps=False)
    ((start, end, rows),) = ranges.slices(client, EVENTS, day)
    assert rows == 1
    text = head(EVENTS.names(consented=False)) + ranges.rows(client, EVENTS, day, (start, end), "csv").decode()
    (cells,) = csv.DictReader(io.StringIO(text))
    assert cells["path"] == "'=HYPERLINK(1)" and cells["name"] == '\'+1, "quoted"\nand a line'
    assert json.loads(cells["props"]) == {"plan": "=A"} and json.loads(cells["purposes"]) == ["measurement"]
    assert cells["visitor"] == str(2**63 + 1) and cells["at"] == "2026-10-25T10:00:00.123Z" and cells["bot"] == "false"
    told = json.loads(ranges.rows(client, EVENTS, day, (start, end), "jsonl"))
    assert told["path"] == "=HYPERLINK(1)" and told["props"] == {"plan": "=A"} and told["visitor"] == cells["visitor"]


def test_a_comparison_is_in_the_file_too() -> None:
    row = {"minutes": 5, "visitors": 1, "page_views": 2, "events": 0, "visitors_before": None, "page_views_before": 7}
    assert to_csv(REPORTS["live"], [row]).splitlines() == [",".join(row), "5,1,2,0,,7"]
    assert to_csv(REPORTS["live"], []).splitlines() == ["minutes,visitors,page_views,events"]


def test_a_report_as_lines() -> None:
    rows = [{"path": "/é", "visitors": 1, "page_views": 2, "engaged": None, "scroll": 0.5}]
    assert [json.loads(line) for line in to_lines(REPORTS["pages"], rows).splitlines()] == rows
