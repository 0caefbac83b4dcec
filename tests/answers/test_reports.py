"""Every report gives exactly what plain Python gives over the same known traffic, with and without filters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from consent_gateway.answers.ask import LIMITS, ask, beside, total
from consent_gateway.answers.dimensions import find
from consent_gateway.answers.figures import FIGURES
from consent_gateway.answers.question import MOST_ROWS, Question
from consent_gateway.answers.reports import GROUPS, REPORTS
from consent_gateway.rule.errors import ConfigError
from tests.answers import plain, traffic

STEPS = [("step", "/"), ("step", "/b*"), ("step", "event:signup")]
QUESTIONS = {
    "all": [],
    "few days, programs too": [("from", "2026-10-24"), ("to", "2026-10-26"), ("bots", "yes")],
    "of a visitor": [("filter", "country=BE"), ("filter", "country=NL"), ("filter", "browser!=Safari")],
    "of an event": [("filter", "path^/b"), ("filter", "path!=/blog/2")],
    "not a page": [("filter", "path!~BLOG"), ("filter", "consent!=refused")],
    "of a visit": [("filter", "channel=search"), ("filter", "source~oog")],
    "what happened": [("filter", "event=signup"), ("filter", "prop.plan=A")],
    "what did not": [("filter", "event!=signup"), ("filter", "entry_page^/")],
    "its ends": [("filter", "entry_page=/"), ("filter", "exit_page!=/cart")],
    "all at once": [("filter", "language^nl"), ("filter", "path^/"), ("filter", "campaign="),
                    ("filter", "device=desktop")],
}  # fmt: skip


def question(*values: tuple[str, str], steps: bool = True) -> Question:
    names = {name for name, _ in values}
    days = [("from", str(traffic.FIRST)), ("to", str(traffic.LAST))] if "from" not in names else []
    return Question.parse(
        [("site", "shop"), *days, ("limit", str(MOST_ROWS)), *values, *(STEPS if steps else [])],
        sites=frozenset(["shop", "other"]), zone=traffic.ZONE, today=traffic.LAST, now=traffic.NOW,
    )  # fmt: skip


def some(number: int, name: str) -> list[str]:
    """All without a filter, and three of the others in turn, so that each is asked of a dozen reports."""
    if REPORTS[name].ledger:
        return ["all", "few days, programs too"]
    others = list(QUESTIONS)[1:]
    return ["all", *(others[(number * 3 + step) % len(others)] for step in range(3))]


@pytest.mark.parametrize(
    ("name", "words"), [(name, words) for number, name in enumerate(REPORTS) for words in some(number, name)]
)
def test_a_report_is_what_plain_python_counts(client: Client, known: list[traffic.Row], name: str, words: str) -> None:
    asked = question(*QUESTIONS[words])
    report = REPORTS[name]
    found = ask(client, report, asked)
    assert found == plain.answer(name, known, asked, [key.name for key in report.keys])
    assert found or name.startswith("live") or words != "all"


@pytest.mark.parametrize("interval", ["minute", "hour", "week", "month"])
@pytest.mark.parametrize("name", [name for name, report in REPORTS.items() if report.over_time])
def test_time_lines_by_each_interval(client: Client, known: list[traffic.Row], name: str, interval: str) -> None:
    """Over the night when the clock goes back: the hour that comes twice is one."""
    days = [("from", "2026-10-25"), ("to", "2026-10-25")] if interval in ("minute", "hour") else []
    asked = question(("interval", interval), *days)
    assert ask(client, REPORTS[name], asked) == plain.answer(name, known, asked)


def test_live_is_of_the_last_minutes(client: Client, known: list[traffic.Row]) -> None:
    busiest = max(known, key=lambda row: sum(0 <= row["ms"] - other["ms"] < 300_000 for other in known[:800]))
    asked = replace(question(), now=busiest["ms"])
    for name in ("live", "live_pages"):
        found = ask(client, REPORTS[name], asked)
        assert found == plain.answer(name, known, asked) and found[-1]["page_views"] > 0


def test_from_here_and_to_here(client: Client, known: list[traffic.Row]) -> None:
    for one in ("from=/cart", "to=/it's", "to^/blog"):
        asked = question(("filter", one))
        found = ask(client, REPORTS["paths"], asked)
        assert found == plain.answer("paths", known, asked, ["from", "to"]) and found


def test_the_ledger_is_asked_by_what_it_knows(client: Client, known: list[traffic.Row]) -> None:
    asked = question(
        ("filter", "notice_language=nl"), ("filter", "notice_language=fr"), ("filter", "purpose=marketing")
    )
    found = ask(client, REPORTS["decisions_by_purpose"], asked)
    assert (
        found == plain.answer("decisions_by_purpose", known, asked, ["purpose", "notice_language"]) and len(found) == 2
    )
    for name, one in (("decisions", "country=BE"), ("decisions_by_language", "path=/a"), ("decisions", "event=x")):
        with pytest.raises(ConfigError, match="knows of no visitors"):
            ask(client, REPORTS[name], question(("filter", one)))


def test_totals_are_of_all_rows_also_of_those_beyond_the_limit(client: Client, known: list[traffic.Row]) -> None:
    asked = question(("limit", "2"))
    assert len(ask(client, REPORTS["pages"], asked)) == 2
    found = total(client, REPORTS["pages"], asked)
    pages = plain.answer("pages", known, question())
    assert found["page_views"] == sum(row["page_views"] for row in pages)
    assert found["visitors"] is None  # who read two pages would count twice
    (main,) = plain.answer("totals", known, asked)
    assert total(client, REPORTS["countries"], asked)["visitors"] == main["visitors"]
    assert total(client, REPORTS["overview"], asked) == main
    assert total(client, REPORTS["funnel"], asked) == {}


def test_daily_visitors_of_a_range_are_the_sum_of_its_days(client: Client) -> None:
    days = ask(client, REPORTS["overview"], question())
    (main,) = ask(client, REPORTS["totals"], question())
    assert main["visitors"] == sum(day["visitors"] for day in days) > 0
    assert main["visits"] == sum(day["visits"] for day in days)
    (month, other) = ask(client, REPORTS["overview"], question(("interval", "month")))
    assert month["visitors"] + other["visitors"] == main["visitors"]


def test_what_it_is_compared_with_stands_beside(client: Client, known: list[traffic.Row]) -> None:
    asked = question(("from", "2026-10-27"), ("to", "2026-10-30"), ("compare", "previous"))
    before = asked.before()
    assert before is not None and (str(before.first), str(before.last)) == ("2026-10-23", "2026-10-26")
    for name in ("pages", "overview"):
        report = REPORTS[name]
        now, then = ask(client, report, asked), ask(client, report, before)
        rows = beside(report, now, then, asked)
        assert then == plain.answer(name, known, before)
        for number, row in enumerate(rows):
            same = [old for old in then if old.get("path") == row.get("path")]
            expected = then[number] if name == "overview" else (same or [{}])[0]
            assert {f: row[f"{f}_before"] for f in report.figures} == {f: expected.get(f) for f in report.figures}
    lines = [{"period": f"2026-10-{day}"} | dict.fromkeys(REPORTS["overview"].figures, day) for day in range(23, 31)]
    few = beside(REPORTS["overview"], [lines[5], lines[7]], [lines[0], lines[3]], asked)
    assert [row["visitors_before"] for row in few] == [None, 26], "of the same place in their days, not of their list"
    year = question(("compare", "year")).before()
    assert year is not None and (asked.first - year.first).days % 7 == 1 and year.first.year == 2025


def test_small_groups_are_folded(client: Client, known: list[traffic.Row]) -> None:
    asked = question(("limit", "10000"))
    every = plain.answer("paths", known, asked)
    small = [row for row in every if row["visitors"] < 20]
    assert small and len(small) < len(every)
    found = ask(client, REPORTS["paths"], asked, minimum=20)
    assert [row for row in found if row["from"] != "other"] == [row for row in every if row["visitors"] >= 20]
    assert found[-1] == {
        "from": "other", "to": "other", "visitors": sum(row["visitors"] for row in small),
        "transitions": sum(row["transitions"] for row in small),
    }  # fmt: skip
    assert ask(client, REPORTS["paths"], asked, minimum=10**6) == [], "what is together too small is left out"
    assert ask(client, REPORTS["overview"], asked, minimum=10**6) == plain.answer("overview", known, asked)


def test_a_stranger_s_text_is_a_value(client: Client, known: list[traffic.Row]) -> None:
    for text in ("path=/it's", "path~' OR 1=1 --", "source={site:String}", "prop.a') OR (1=1=x", "event=\\'"):
        asked = question(("filter", text), ("step", "event:a'b\\"), steps=False)
        for name in ("pages", "channels", "goals"):
            keys = [key.name for key in REPORTS[name].keys]
            assert ask(client, REPORTS[name], asked) == plain.answer(name, known, asked, keys), text


def test_limits_end_a_query(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for limits in ({"max_rows_to_read": 10}, {"max_memory_usage": 1000}, {"max_result_rows": 1}):
        monkeypatch.setattr("consent_gateway.answers.ask.LIMITS", dict(LIMITS) | limits)
        with pytest.raises(ClickHouseError):
            ask(client, REPORTS["pages"], question())
    monkeypatch.undo()
    with pytest.raises(ClickHouseError, match=r"(?i)read.?only"):
        client.query("INSERT INTO events (site) VALUES ('x')", settings=dict(LIMITS))


def test_the_register_is_whole() -> None:
    """Every report has a group, known figures with all their texts, and keys whose filters exist."""
    assert REPORTS.keys() == plain.REPORTS.keys()
    used = {name for report in REPORTS.values() for name in report.figures}
    assert used == FIGURES.keys()
    for figure in FIGURES.values():
        assert figure.definition.endswith(".") and figure.basis.endswith(".") and figure.uncertainty.endswith(".")
    for name, report in REPORTS.items():
        assert report.name == name and report.group in GROUPS and report.words and report.title
        for key in report.keys:
            assert not key.dimension or find(key.dimension) is not None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([("filter", "colour=red")], "'colour' is no dimension: allowed are path"),
        ([("filter", "path")], "allowed are key=value"),
        ([("filter", "@friends")], "no filter is saved as 'friends'"),
        ([("filter", "from=/a")], "'from' is a filter of paths only"),
        ([("filter", "purpose=x")], "'purpose' is a filter of decisions_by_purpose only"),
        ([("filter", "path=a\0b")], "allowed are key=value"),
        ([("interval", "year")], "interval is 'year': allowed are minute"),
        ([("interval", "minute")], "too many points"),
        ([("compare", "last")], "compare is 'last': allowed are previous, year"),
        ([("step", "cart")], "step is 'cart'"),
        ([("step", "/a")] * 9, "9 steps are too many"),
        ([("filter", f"path=/{n}") for n in range(21)], "21 filters are too many"),
        ([("colour", "red")], "'colour' is not asked for"),
    ],
)
def test_what_is_asked_wrongly_is_refused(client: Client, values: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ask(client, REPORTS["pages"], question(*values, steps=False))
    assert said in str(refused.value)


def test_a_funnel_needs_two_steps(client: Client) -> None:
    with pytest.raises(ConfigError, match="at least 2 steps"):
        ask(client, REPORTS["funnel"], question(("step", "/"), steps=False))


def test_a_question_survives_its_query_string() -> None:
    asked = question(("filter", "path!~a=b"), ("filter", "prop.plan^A"), ("interval", "week"), ("compare", "year"))
    again = Question.parse(asked.query(), sites=frozenset(["shop"]), zone=asked.zone, today=asked.last, now=asked.now)
    assert again == asked
