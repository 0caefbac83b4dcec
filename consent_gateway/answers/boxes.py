"""The reports as tables: some rows in a box, all of them on a page of its own; and the totals above them.

Whatever the register holds is shown, without a word here about any one report. Those that are better seen than read
have a picture (`drawn`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .drawn import drawn
from .figures import FIGURES, Figure
from .language import Words
from .names import named
from .reports import ALL, Key, Report
from .view import CHARTED, View, is_of_rows

Rows = Sequence[Mapping[str, Any]]

BOX_ROWS, PAGE_ROWS, DRAWN_ROWS = 10, 1000, 10_000
_BOX_FIGURES = 3
_LESS_IS_BETTER = {"bounce_rate", "exit_rate", "page_errors", "silent", "silent_rate"}


def explained(words: Words, figure: Figure, mark: str) -> str:
    """A figure's name that says on hover and on focus what it is. `mark` makes its id the only one of the page."""
    parts = (("definition", figure.definition), ("basis", figure.basis), ("uncertainty", figure.uncertainty))
    lines = "".join(f"<b>{escape(words[name])}</b> {escape(words.of(text))}<br>" for name, text in parts)
    name = f"why-{mark}-{figure.name}"
    return (
        f'<span class="why"><button type="button" aria-describedby="{name}">{_breakable(words, figure)}</button>'
        f'<span role="tooltip" id="{name}">{lines}</span></span>'
    )


def _breakable(words: Words, figure: Figure) -> str:
    """Its label; a long word may be broken where a reader would break it."""
    label = escape(words.of(figure.label))
    for word in words["breaks"].split():
        label = label.replace(word.replace("|", ""), word.replace("|", "&shy;"))
    return label


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


def box(view: View, report: Report, rows: Rows) -> str:
    """A report's first rows."""
    words = view.words
    body = drawn(view, report, rows) or table(view, report, rows, figures=report.figures[:_BOX_FIGURES], most=BOX_ROWS)
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


def bare(view: View, report: Report, body: str) -> str:
    """A box of a report without an answer: a form that asks for more, or (`failed`) why there is none."""
    title, about = escape(view.words.of(report.title)), escape(view.words.of(report.words))
    return (
        f'<section class="box" aria-labelledby="box-{report.name}"><header><h2 id="box-{report.name}">{title}</h2>'
        f"<p>{about}</p></header>{body}</section>"
    )


def failed(view: View, report: Report, why: str) -> str:
    return bare(view, report, f'<p class="empty">{escape(why)}</p>')


def table(view: View, report: Report, rows: Rows, *, figures: Sequence[str], most: int) -> str:
    """Rows with their keys, which filter when clicked, and figures."""
    words = view.words
    if not rows:
        nothing = "nothing_filtered" if view.question.filters else "nothing_in_period"
        return f'<p class="empty">{escape(words[nothing])}</p>'
    keys = [key for key in report.columns.values() if isinstance(key, Key)]
    lead = next((name for name in (report.order.split(" ")[0], *figures) if name in figures), "")
    lead = lead if lead and FIGURES[lead].kind == "count" else ""
    longest = max((row[lead] or 0 for row in rows), default=0) if lead else 0
    head = "".join(f'<th scope="col">{escape(words.of(key.label))}</th>' for key in keys)
    ordered = ' aria-sort="descending"' if report.order.startswith(f"{lead} DESC") and lead else ""
    head += "".join(
        f'<th scope="col" class="figure{" lead" if name == lead else ""}"{ordered if name == lead else ""}>'
        f"{explained(words, FIGURES[name], report.name)}</th>"
        for name in figures
    )
    barred = next((place for place, key in enumerate(keys) if key.kind == "text"), 0)
    lines = []
    for row in rows[:most]:
        bar = _bar(row[lead] or 0, longest) if lead and longest else ""
        cells = ""
        for place, key in enumerate(keys):
            text = _key(view, report.name, key, row[key.name])
            if place == barred and bar:
                text = f"{bar}{text}"
            tag = 'td class="key' if place else 'th scope="row" class="key'
            cells += f'<{tag}{" barred" if place == barred else ""}">{text}</{tag[:2]}>'
        cells += "".join(
            f'<td class="figure{" lead" if name == lead else ""}">{_figure(view, name, row)}</td>' for name in figures
        )
        lines.append(f"<tr>{cells}</tr>")
    several = ' class="several"' if len(keys) > 1 and lead else ""
    return f"<table{several}><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _bar(value: float, longest: float) -> str:
    return (
        '<svg class="bar" aria-hidden="true" preserveAspectRatio="none">'
        f'<rect width="{100 * value / longest:.2f}%" height="100%"/></svg>'
    )


def _key(view: View, report: str, key: Key, value: Any) -> str:
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
    where = report if is_of_rows(key.dimension) else ""
    there = view.filtered(key.dimension, text).at(report=where, tab=view.tab).href()
    title = escape(words.say("filter_by", dimension=words.of(key.label), value=name))
    return f'<a href="{there}" title="{title}">{shown}</a>'


def _figure(view: View, name: str, row: Mapping[str, Any]) -> str:
    kind = "ratio" if row.get("timing") == "cls" and FIGURES[name].kind == "duration" else FIGURES[name].kind
    value = escape(view.words.value(row[name], kind))
    if f"{name}_before" not in row:
        return value
    return f"{value}<small>{escape(view.words.value(row[f'{name}_before'], kind))}</small>"


def reports_of(tab: str) -> list[Report]:
    """The reports of a tab, in the register's order."""
    return [report for report in ALL.values() if report.group == tab and not report.single]
