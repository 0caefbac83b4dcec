"""`consent-gateway stats`: the reports on the terminal, also beside a running site."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from ..answers.reports import ALL, BOOKS
from ..app import running_office
from .common import ask_office, console, fail, failing_in_one_line, is_running, need_installation, read_settings


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


_HELP = "One of: " + "; ".join(f"{report.name} ({report.words})" for report in ALL.values()) + "."


def stats(
    report: Annotated[str, typer.Argument(help=_HELP)] = "overview",
    site: Annotated[str, typer.Option(help="The site's name; the first one unless given.")] = "",
    first: Annotated[str, typer.Option("--from", help="First day, like 2026-11-01; 30 days ago unless given.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day, included; today unless given.")] = "",
    bots: Annotated[bool, typer.Option("--bots", help="Count programs too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most rows.")] = 100,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.table,
) -> None:
    """Answer an analytics question.

    For example: consent-gateway stats pages --from 2026-11-01 --to 2026-11-30 --format csv
    """
    if report not in ALL:
        fail(f"there is no report {report!r}: allowed are {', '.join(ALL)}", 2)
    settings = read_settings()
    need_installation(settings)
    is_running(settings)
    params = {"site": site, "from": first, "to": last, "bots": "yes" if bots else "no", "limit": str(limit)}
    with failing_in_one_line(), running_office(settings):
        chosen = {name: value for name, value in params.items() if value}
        if form is Format.csv:
            sys.stdout.write(ask_office(settings, "GET", f"/stats/{report}", chosen | {"format": "csv"}))
            return
        answer = ask_office(settings, "GET", f"/stats/{report}", chosen)
    if form is Format.json:
        json.dump(answer, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    about = ALL[report]
    days = "since they began" if report == BOOKS.name else f"{answer['from']} to {answer['to']}"
    title = f"{about.title} of {answer['site']}, {days}"
    console.print(title, style="bold", soft_wrap=True, markup=False)
    if not answer["rows"]:
        console.print(f"Nothing was measured for {answer['site']} on these days.", soft_wrap=True, markup=False)
        console.print("Another range: --from 2026-11-01 --to 2026-11-30" + ("" if bots else "; programs, too: --bots"))
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name, label in about.columns.items():
        table.add_column(
            label, justify="right" if name in ("visitors", "page_views", "events") else "left", overflow="fold"
        )
    for row in answer["rows"]:
        cells = (row[name] for name in about.columns)
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell or "not known" for cell in cells))
    console.print(table)
