"""`consent-gateway stats`: the reports on the terminal, also beside a running site."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from ..answers.language import load
from ..answers.names import named
from ..answers.reports import ALL, BOOKS
from ..answers.saved import save
from ..office_process import running_office
from .common import ask_office, console, fail, failing_in_one_line, is_running, need_installation, read_settings

_CODES = ("country", "language")


class Format(StrEnum):
    """How to print it."""

    table = "table"
    json = "json"
    csv = "csv"


_HELP = "One of: " + "; ".join(f"{report.name} ({report.words})" for report in ALL.values()) + "."
_FILTER = "key=value, key!=value, key~part or key^start, as often as needed: --filter country=BE; @NAME is a saved one."


def stats(
    report: Annotated[str, typer.Argument(help=_HELP)] = "overview",
    site: Annotated[str, typer.Option(help="The site's name; the first one unless given.")] = "",
    first: Annotated[str, typer.Option("--from", help="First day, like 2026-11-01; 30 days ago unless given.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day, included; today unless given.")] = "",
    filters: Annotated[list[str] | None, typer.Option("--filter", help=_FILTER)] = None,
    interval: Annotated[str, typer.Option(help="Of a time line: minute, hour, day, week or month.")] = "",
    compare: Annotated[str, typer.Option(help="Beside it: previous (period) or year.")] = "",
    steps: Annotated[
        list[str] | None, typer.Option("--step", help="Of a funnel or goals: /path, /start* or event:NAME.")
    ] = None,
    keep: Annotated[
        str, typer.Option("--save", help="Keep the filters given under this name; without any, forget the name.")
    ] = "",
    bots: Annotated[bool, typer.Option("--bots", help="Count programs too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most rows.")] = 100,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.table,
) -> None:
    """Answer an analytics question.

    For example: consent-gateway stats pages --from 2026-11-01 --to 2026-11-30 --filter path^/blog --format csv
    """
    if report not in ALL:
        fail(f"there is no report {report!r}: allowed are {', '.join(ALL)}", 2)
    settings = read_settings()
    need_installation(settings)
    is_running(settings)
    if keep:
        with failing_in_one_line():
            save(settings.DATA_DIR, keep, filters or ())
    one = {"site": site, "from": first, "to": last, "interval": interval, "compare": compare,
           "bots": "yes" if bots else "no", "limit": str(limit)}  # fmt: skip
    params = [(name, value) for name, value in one.items() if value]
    params += [("filter", text) for text in filters or ()] + [("step", text) for text in steps or ()]
    with failing_in_one_line(), running_office(settings):
        if form is Format.csv:
            sys.stdout.write(ask_office(settings, "GET", f"/stats/{report}", [*params, ("format", "csv")]))
            return
        answer = ask_office(settings, "GET", f"/stats/{report}", params)
    if form is Format.json:
        json.dump(answer, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    _print(report, answer, bots=bots)


def _print(name: str, answer: dict[str, Any], *, bots: bool) -> None:
    report, rows = ALL[name], answer["rows"]
    days = "since they began" if name == BOOKS.name else f"{answer['from']} to {answer['to']}"
    console.print(f"{report.title} of {answer['site']}, {days}", style="bold", soft_wrap=True, markup=False)
    if not rows:
        console.print(f"Nothing was measured for {answer['site']} on these days.", soft_wrap=True, markup=False)
        console.print("Another range: --from 2026-11-01 --to 2026-11-30" + ("" if bots else "; programs, too: --bots"))
        return
    total = {name: value for name, value in answer["total"].items() if value is not None} if len(rows) > 1 else {}
    table = Table(box=None, header_style="dim", pad_edge=False, show_footer=bool(total), footer_style="bold")
    for number, (column, about) in enumerate(report.columns.items()):
        is_key = number < len(report.keys) and not report.single
        foot = ("Total" if number == 0 else "") if is_key else shown(total.get(column), about.kind, nothing="")
        table.add_column(
            about.label, foot, justify="left" if about.kind in ("text", "time") else "right", overflow="fold"
        )
        if not is_key and f"{column}_before" in rows[0]:
            table.add_column("before", "", justify="right", style="dim", overflow="fold")
    for row in rows:
        cells = []
        for column, about in report.columns.items():
            cells.append(_named(column, row[column]) if column in _CODES else shown(row[column], about.kind))
            if f"{column}_before" in row:
                cells.append(shown(row[f"{column}_before"], about.kind))
        table.add_row(*cells)
    console.print(table)


def _named(column: str, code: str) -> str:
    """`Belgium (BE)`: the name to read, the code to filter by."""
    name = named(load("en"), column, code)
    return name if name == code or not code else f"{name} ({code})"


def shown(value: Any, kind: str, *, nothing: str = "-") -> str:
    """A value as a person reads it."""
    if value is None:
        return nothing
    if kind in ("text", "time"):
        return str(value) or "not known"
    if kind == "percent":
        return f"{value:.1%}"
    if kind == "ratio":
        return f"{value:.2f}"
    if kind == "duration":
        seconds = value / 1000
        return f"{value:.0f} ms" if seconds < 1 else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    return f"{value:,}"
