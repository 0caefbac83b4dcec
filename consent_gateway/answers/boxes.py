"""The reports as tables: some rows in a box, all of them on a page of its own; and the totals above them.

Whatever the register holds is shown, without a word here about any one report, but for the two that are better seen
than read: the hours of the week, and time lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .chart import timeline
from .figures import FIGURES, Figure
from .language import Words
from .names import named
from .reports import ALL, Key, Report
from .view import CHARTED, View, moments

Rows = Sequence[Mapping[str, Any]]

BOX_ROWS, PAGE_ROWS = 10, 1000
_BOX_FIGURES = 3
_LESS_IS_BETTER = {"bounce_rate", "exit_rate", "page_errors", "silent", "silent_rate"}


def explained(words: Words, figure: Figure, mark: str) -> str:
    """A figure's name that says on hover and on focus what it is. `mark` makes its id the only one of the page."""
    parts = (("definition", figure.definition), ("basis", figure.basis), ("uncertainty", figure.uncertainty))
    lines = "".join(f"<b>{escape(words[name])}</b> {escape(words.of(text))}<br>" for name, text in parts)
    name = f"why-{mark}-{figure.name}"
    return (
        f'<span class="why"><button type="button" aria-describedby="{name}">{escape(words.of(figure.label))}</button>'
        f'<span role="tooltip" id="{name}">{lines}</span></span>'
    )


def totals(view: View, now: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """The main figures. Each chooses what the time line shows."""
    words = view.words
    cells = []
    for name in CHARTED:
        figure = FIGURES[name]
        chosen = ' aria-current="true"' if name == view.figure else ""
        value = escape(words.value(now.get(name), figure.kind))
        change = _change(words, name, now.get(name), before.get(name), figure.kind) if before is not None else ""
        cells.append(
            f'<div class="total"><dt>{explained(words, figure, "total")}</dt>'
            f'<dd><a href="{view.at(figure=name).href()}"{chosen}>{value}</a>{change}</dd></div>'
        )
    return f'<dl class="totals" aria-label="{escape(words["totals"])}">{"".join(cells)}</dl>'


def _change(words: Words, name: str, now: Any, before: Any, kind: str) -> str:
    if now is None or before is None:
        return f'<span class="change">{escape(words["no_comparison"])}</span>'
    was = words.value(before, kind)
    if kind == "percent":
        points = 100 * (now - before)
        text, up = f"{points:+.1f}".replace(".", "." if words.language == "en" else ","), points
        text = f"{text} {words['points']}"
    elif before:
        up = 100 * (now - before) / before
        text = f"{'+' if up >= 0 else '−'}{words.decimal(abs(up), 0)} %"
    else:
        return f'<span class="change">{escape(words.say("was", value=was))}</span>'
    text = text.replace("-", "−")
    better = (up > 0) != (name in _LESS_IS_BETTER)
    tone = "same" if abs(up) < 0.05 else "better" if better else "worse"
    return f'<span class="change {tone}">{text} <span>{escape(words.say("was", value=was))}</span></span>'


def over_time(view: View, report: Report, name: str, rows: Rows, before: Rows | None) -> str:
    """One figure of a report over time, beside the same figure before."""
    figure, key = FIGURES[name], report.keys[0].name
    every = moments(view.question)
    counted = figure.kind == "count"

    def values(rows: Rows, at: list[str]) -> list[float | None]:
        known = {str(row[key]): row[name] for row in rows}
        return [known.get(moment, 0 if counted else None) for moment in at]

    earlier = view.question.before()
    was = values(before, moments(earlier)) if before is not None and earlier is not None else None
    unfinished = view.question.last >= view.today
    label = view.words.of(figure.label)
    return timeline(view.words, label, figure.kind, every, values(rows, every), was, unfinished)


def box(view: View, report: Report, rows: Rows) -> str:
    """A report's first rows."""
    words = view.words
    body = table(view, report, rows, figures=report.figures[:_BOX_FIGURES], most=BOX_ROWS)
    if report.over_time and rows:
        share = next((name for name in report.figures if FIGURES[name].kind == "percent"), report.figures[0])
        body = over_time(view, report, share, rows, None)
    if report.name == "hours" and rows:
        body = week(words, rows)
    whole = view.at(report=report.name, tab=report.group).href()
    title = escape(words.of(report.title))
    return f"""<section class="box" aria-labelledby="box-{report.name}">
<header><h2 id="box-{report.name}"><a href="{whole}">{title}</a></h2><p>{escape(words.of(report.words))}</p></header>
{body}
<footer><a href="{whole}" aria-label="{title}: {escape(words["all_rows"])}">{escape(words["all_rows"])}</a>
{downloads(view, report)}</footer>
</section>"""


def downloads(view: View, report: Report) -> str:
    """The links to a report as CSV and JSON."""
    title = escape(view.words.of(report.title))
    return "".join(
        f'<a href="{view.download(report.name, form)}" download aria-label="{title}: {form.upper()}">{form.upper()}</a>'
        for form in ("csv", "json")
    )


def failed(view: View, report: Report, why: str) -> str:
    """A box of a report that can't be answered now."""
    title = escape(view.words.of(report.title))
    return (
        f'<section class="box" aria-labelledby="box-{report.name}"><header><h2 id="box-{report.name}">{title}</h2>'
        f'</header><p class="empty">{escape(why)}</p></section>'
    )


def table(view: View, report: Report, rows: Rows, *, figures: Sequence[str], most: int) -> str:
    """Rows with their keys, which filter when clicked, and figures."""
    words = view.words
    if not rows:
        return f'<p class="empty">{escape(words["nothing_here"])}</p>'
    keys = [key for key in report.columns.values() if isinstance(key, Key)]
    lead = next((name for name in (report.order.split(" ")[0], *figures) if name in figures), "")
    lead = lead if lead and FIGURES[lead].kind == "count" else ""
    longest = max((row[lead] or 0 for row in rows), default=0) if lead else 0
    head = "".join(f'<th scope="col">{escape(words.of(key.label))}</th>' for key in keys)
    head += "".join(
        f'<th scope="col" class="figure">{explained(words, FIGURES[name], report.name)}</th>' for name in figures
    )
    lines = []
    for row in rows[:most]:
        bar = _bar(row[lead] or 0, longest) if lead and longest else ""
        cells = ""
        for place, key in enumerate(keys):
            text = _key(view, key, row[key.name])
            cells += f'<td class="key">{text}</td>' if place else f'<th scope="row" class="key">{bar}{text}</th>'
        cells += "".join(f'<td class="figure">{_figure(view, name, row)}</td>' for name in figures)
        lines.append(f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _bar(value: float, longest: float) -> str:
    return (
        '<svg class="bar" aria-hidden="true" preserveAspectRatio="none">'
        f'<rect width="{100 * value / longest:.2f}%" height="100%"/></svg>'
    )


def _key(view: View, key: Key, value: Any) -> str:
    words = view.words
    if key.kind != "text":
        return (
            f"<span>{escape(words.value(value, key.kind) if key.kind != 'time' else words.moment(str(value)))}</span>"
        )
    text = str(value)
    name = named(words, key.name, text)
    shown = escape(name)
    if not key.dimension:
        return f'<span title="{shown}">{shown}</span>'
    there = view.filtered(key.dimension, text).at(report="", tab=view.tab).href()
    title = escape(words.say("filter_by", dimension=words.of(key.label), value=name))
    return f'<a href="{there}" title="{title}">{shown}</a>'


def _figure(view: View, name: str, row: Mapping[str, Any]) -> str:
    figure = FIGURES[name]
    value = escape(view.words.value(row[name], figure.kind))
    if f"{name}_before" not in row:
        return value
    return f"{value}<small>{escape(view.words.value(row[f'{name}_before'], figure.kind))}</small>"


def week(words: Words, rows: Rows) -> str:
    """The hours of the week: a cell each, darker with more, and its number for those who ask."""
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


def reports_of(tab: str) -> list[Report]:
    """The reports of a tab, in the register's order."""
    return [report for report in ALL.values() if report.group == tab and not report.single]
