"""`consent-gateway cookies seen`: what the cookie firewall saw the site set."""

from __future__ import annotations

import json
import sys
from collections import Counter
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from ..record.books import COOKIE, Tally
from .common import console, need_installation, read_settings

cookies_app = typer.Typer(
    help="The cookie firewall: which cookies the site sets, and whether the policy declares them.",
    no_args_is_help=True,
)
_WORDS = {
    "allowed": "declared, and permitted when it was set",
    "undeclared": "no purpose of the policy declares it",
    "refused": "declared, but its purpose was not permitted",
    "stripped": "taken away from the answer",
}


class Form(StrEnum):
    """How to print it."""

    table = "table"
    json = "json"


@cookies_app.callback()
def about() -> None:
    """What stands before a command's name."""


@cookies_app.command()
def seen(form: Annotated[Form, typer.Option("--format", help="How to print it.")] = Form.table) -> None:
    """List the cookies that the site set, by name: how often, and whether the policy declares them.

    Values are never kept. CONSENT_GATEWAY_COOKIE_FIREWALL=strip takes away what is undeclared or refused.
    """
    settings = read_settings()
    need_installation(settings)
    counts: Counter[tuple[str, str, str]] = Counter()
    for (site, term), count in Tally(settings.DATA_DIR).total().items():
        if term.startswith(COOKIE):
            verdict, _, name = term.removeprefix(COOKIE).partition(".")
            counts[site, name, verdict] += count
    rows = sorted(counts.items())
    if form is Form.json:
        found = [
            {"site": site, "cookie": name, "verdict": verdict, "times": times} for (site, name, verdict), times in rows
        ]
        json.dump(found, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    if not rows:
        console.print("The site has set no cookie since its books began.")
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("site", "cookie", "times", "verdict", "which means"):
        table.add_column(name, justify="right" if name == "times" else "left", overflow="fold")
    for (site, name, verdict), times in rows:
        table.add_row(site, name, f"{times:,}", verdict, _WORDS[verdict])
    console.print(table)
    if any(verdict == "undeclared" for _, _, verdict in counts):
        console.print("\nDeclare a cookie under its purpose in the policy file, or don't set it.")
