"""The reports as one page: server-rendered, without script, everything in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .question import Question
from .reports import REPORTS

Rows = list[dict[str, Any]]

_STYLE = (Path(__file__).parent / "dashboard.css").read_text()
_RANGES = (("Today", 1), ("7 days", 7), ("30 days", 30), ("90 days", 90))
_BOX_ROWS = 12
BOXES = ("pages", "referrers", "channels", "countries", "browsers")
_SHOWN = ("visitors", "page_views")


def render(question: Question, answers: Mapping[str, Rows], *, prefix: str, sites: frozenset[str]) -> str:
    """The page for one site and range. `answers` holds the rows of the overview and of each box."""
    overview = answers["overview"]
    visitors = sum(row["visitors"] for row in overview)
    views = sum(row["page_views"] for row in overview)
    boxes = "".join(_box(name, answers[name], question, prefix) for name in BOXES)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(question.site)} · Consent Gateway</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(question.site)}</h1>
<nav aria-label="Period">{_ranges(question)}</nav>
{_site_links(question, sites)}
</header>
<main>
<section aria-label="Totals" class="totals">
<p><strong>{visitors:,}</strong> daily visitors</p>
<p><strong>{views:,}</strong> page views</p>
<p class="note">{question.first} to {question.last}, {escape(question.zone.key)}. A visitor's pseudonym lives one
day, so the visitors of a period are the sum of its days: who comes on three days counts three times.</p> </section>
{_chart(overview, question) if overview else _nothing(question)} <div class="boxes">{boxes}</div> </main> <footer>No
IP address without consent. {_downloads(question, prefix)}</footer> </body> </html>"""


def _link(question: Question, label: str, **changed: str) -> str:
    values = {"site": question.site, "from": str(question.first), "to": str(question.last)} | changed
    return f'<a href="?{escape(urlencode(values))}">{escape(label)}</a>'


def _ranges(question: Question) -> str:
    days = (question.last - question.first).days + 1
    links = []
    for label, length in _RANGES:
        if length == days:
            links.append(f'<a aria-current="page">{label}</a>')
        else:
            first = question.last - timedelta(days=length - 1)
            links.append(_link(question, label, **{"from": str(first)}))
    return "".join(links)


def _site_links(question: Question, sites: frozenset[str]) -> str:
    if len(sites) < 2:
        return ""
    return f'<nav aria-label="Site">{"".join(_link(question, site, site=site) for site in sorted(sites))}</nav>'


def _nothing(question: Question) -> str:
    return (
        '<p class="empty">Nothing was measured in this period yet. Open a page of the site, wait two seconds and load '
        "this page again; or bring in an access log with <code>consent-gateway replay FILE</code>.</p>"
    )


def _chart(rows: Rows, question: Question) -> str:
    """Page views a day as bars, from zero, with the figures as a table for those who can't see them."""
    by_day = {row["period"]: row for row in rows}
    days = [str(question.first + timedelta(days=n)) for n in range((question.last - question.first).days + 1)]
    most = max(row["page_views"] for row in rows)
    width, height = 100 / len(days), 100
    bars = []
    for index, day in enumerate(days):
        row = by_day.get(day, {"page_views": 0, "visitors": 0})
        tall = height * row["page_views"] / most
        inner = height * row["visitors"] / most
        place = f'x="{index * width:.3f}" width="{width * 0.82:.3f}"'
        bars.append(
            f"<g><title>{day}: {row['page_views']:,} page views, {row['visitors']:,} daily visitors</title>"
            f'<rect class="views" {place} y="{height - tall:.2f}" height="{tall:.2f}"/>'
            f'<rect class="visitors" {place} y="{height - inner:.2f}" height="{inner:.2f}"/></g>'
        )
    return (
        '<figure><div class="plot">'
        f'<span class="most">{most:,}</span><svg viewBox="0 0 100 {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="Page views and daily visitors by day; the most on one day were {most:,} page views">'
        f"{''.join(bars)}</svg></div>"
        f'<div class="axis"><span>{days[0]}</span><span>{days[-1]}</span></div>'
        '<figcaption><i class="views"></i>Page views <i class="visitors"></i>Daily visitors</figcaption></figure>'
    )


def _box(name: str, rows: Rows, question: Question, prefix: str) -> str:
    report = REPORTS[name]
    key, counts = report.keys[0].name, _SHOWN
    most = max((row["page_views"] for row in rows), default=1) or 1
    head = "".join(f'<th scope="col">{escape(report.columns[column].label)}</th>' for column in counts)
    lines = "".join(
        f'<tr><th scope="row"><meter min="0" max="{most}" value="{row["page_views"]}" aria-hidden="true"></meter>'
        f"<span>{escape(str(row[key])) or 'not known'}</span></th>"
        + "".join(f"<td>{row[column]:,}</td>" for column in counts)
        + "</tr>"
        for row in rows[:_BOX_ROWS]
    )
    body = lines or f'<tr><td colspan="{len(counts) + 1}" class="empty">Nothing here yet.</td></tr>'
    label = escape(report.columns[key].label)
    return (
        f'<section><h2>{escape(report.title)}</h2><table><thead><tr><th scope="col">{label}</th>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></section>"
    )


def _downloads(question: Question, prefix: str) -> str:
    values = urlencode({"site": question.site, "from": str(question.first), "to": str(question.last), "format": "csv"})
    links = (
        f'<a href="{prefix}/stats/{name}?{escape(values)}">{escape(report.title.lower())}</a>'
        for name, report in REPORTS.items()
    )
    return f"As CSV: {', '.join(links)}."
