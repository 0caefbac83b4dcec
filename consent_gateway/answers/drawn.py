"""The reports that are better seen than read: time lines, the hours of the week, cohorts, shares that go on in time.

Each is a table or has one beside it, so that nothing is in the picture alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from .chart import spark, timeline
from .figures import FIGURES
from .names import named
from .reports import Report
from .view import View

Rows = Sequence[Mapping[str, Any]]

_MOST_WEEKS = 12  # of a cohort, side by side


def drawn(view: View, report: Report, rows: Rows) -> str:
    """A report's picture; empty for one that has none."""
    if not rows:
        return ""
    if report.over_time:
        return over_time(view, report, _main(report), rows, None)
    if report.name == "hours":
        return week(view, rows)
    if report.name == "returning":
        return cohorts(view, rows)
    return trends(view, report, rows) if len(report.keys) > 1 and report.keys[0].name == "period" else ""


def over_time(view: View, report: Report, name: str, rows: Rows, before: Rows | None) -> str:
    """One figure of a report over time, beside the same figure before."""
    figure, key = FIGURES[name], report.keys[0].name
    every = view.question.moments()
    now = datetime.fromtimestamp(view.question.now / 1000, view.question.zone).strftime("%Y-%m-%dT%H:%M")

    def values(rows: Rows, at: list[str]) -> list[float | None]:
        """Nothing is known of what is still to come; of what is over, no row means none."""
        known = {str(row[key]): row[name] for row in rows}
        return [known.get(moment, 0 if figure.kind == "count" and moment <= now else None) for moment in at]

    earlier = view.question.before()
    was = values(before, earlier.moments()) if before is not None and earlier is not None else None
    unfinished = view.question.last >= view.today
    label = view.words.of(figure.label)
    return timeline(view.words, label, figure.kind, every, values(rows, every), was, unfinished)


def trends(view: View, report: Report, rows: Rows) -> str:
    """A line for each value of the second key, and where it ended."""
    words, name, (period, key, *_) = view.words, _main(report), report.keys
    figure, every = FIGURES[name], view.question.moments()
    seen = {row[period.name] for row in rows}
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(row[key.name], {})[row[period.name]] = row[name]
    lines = []
    for value, known in sorted(found.items(), key=lambda one: -sum(number or 0 for number in one[1].values())):
        values = [known.get(moment, 0 if moment in seen else None) for moment in every]
        last = next((number for number in reversed(values) if number is not None), None)
        text = escape(named(words, key.name, str(value)))
        picture = spark(words, text, figure.kind, every, values)
        lines.append(
            f'<tr><th scope="row" class="key"><span>{text}</span></th><td class="trend">{picture}</td>'
            f'<td class="figure">{escape(words.value(last, figure.kind))}</td></tr>'
        )
    head = f'<th scope="col">{escape(words.of(key.label))}</th><th scope="col">{escape(words["over_time"])}</th>'
    head += f'<th scope="col" class="figure">{escape(words["latest"])}</th>'
    return f'<table class="trends"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def cohorts(view: View, rows: Rows) -> str:
    """Of the persons of each first week, the share that came again, week after week."""
    words = view.words
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(str(row["week"]), {})[int(row["weeks"])] = row
    last = min(_MOST_WEEKS, max(later for known in found.values() for later in known))
    head = "".join(f'<th scope="col">+{later}</th>' for later in range(1, last + 1))
    lines = []
    for first, known in sorted(found.items()):
        cells = "".join(_cohort(view, known.get(later)) for later in range(1, last + 1))
        size = words.count(known[0]["persons"]) if 0 in known else ""
        day = words.moment(first, year=False)
        lines.append(f'<tr><th scope="row">{day}</th><td class="figure">{size}</td>{cells}</tr>')
    titles = f'<th scope="col">{escape(words.of("First week"))}</th>'
    titles += f'<th scope="col" class="figure">{escape(words.of("Persons"))}</th>'
    table = f"<table><thead><tr>{titles}{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    label = escape(words.of("Weeks later"))
    return f'<div class="cohorts" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def _cohort(view: View, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "<td></td>"
    share = row["returned"]
    text = f"{view.words.decimal(100 * share, 0)}%"
    return f'<td class="heat-{_heat(round(1000 * share), 1000)}" title="{view.words.count(row["persons"])}">{text}</td>'


def week(view: View, rows: Rows) -> str:
    """The hours of the week: a cell each, darker with more, and its number for those who ask."""
    words = view.words
    known = {(int(row["weekday"]), int(row["hour"])): row["page_views"] for row in rows}
    most = max(known.values(), default=0) or 1
    days = words["weekdays"].split()
    head = "".join(f'<th scope="col">{hour if hour % 3 == 0 else ""}<span>{hour}</span></th>' for hour in range(24))
    lines = []
    for number, day in enumerate(days, 1):
        cells = ""
        for hour in range(24):
            value = known.get((number, hour), 0)
            text = words.count(value)
            cells += f'<td class="heat-{_heat(value, most)}" title="{day} {hour}:00, {text}"><span>{text}</span></td>'
        lines.append(f'<tr><th scope="row">{day}</th>{cells}</tr>')
    return f'<table class="week"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _heat(value: int, most: int) -> int:
    """0 for none, then 1 to 8."""
    return 0 if not value else 1 + min(7, 8 * value // (most + 1))


def _main(report: Report) -> str:
    """The figure that its picture shows: a share, where it has one."""
    return next((name for name in report.figures if FIGURES[name].kind == "percent"), report.figures[0])
