"""`consent-gateway policy`: is the policy sound, what does it say, and the record of processing that comes from it."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from ..config.conditions import Finding, check
from ..config.notices import make
from ..config.policy import Policy
from ..config.policy_file import load
from ..config.processing import markdown, record
from ..rule.errors import ConfigError
from ..worker import now_ms
from .common import console, fail, read_settings

policy_app = typer.Typer(
    help="The policy: check it, show what visitors are told, print the record of processing activities.",
    no_args_is_help=True,
)


class Form(StrEnum):
    """How to print it."""

    markdown = "markdown"
    json = "json"


class Language(StrEnum):
    """The languages that notices have."""

    nl = "nl"
    fr = "fr"
    de = "de"
    en = "en"


File = Annotated[
    Path | None, typer.Argument(help="A policy file; that of CONSENT_GATEWAY_POLICY, or the default, unless given.")
]
_STYLE = {Finding.MET: "green", Finding.UNMET: "bold red", Finding.CONTESTED: "yellow"}


def _load(path: Path | None) -> Policy:
    try:
        return load(path or read_settings().POLICY)
    except ConfigError as error:
        fail(str(error))
        raise


@policy_app.command("check")
def check_policy(path: File = None) -> None:
    """Check a policy, condition by condition: met, unmet or contested, and why. Ends with 1 when one is unmet.

    For example: consent-gateway policy check policy.toml
    """
    policy = _load(path).as_of(now_ms())
    found = check(policy, read_settings().PREFIXES)
    console.print(f"The policy is well formed; its preset is {policy.preset}. Not legal advice.\n", markup=False)
    for condition in found:
        style, width = _STYLE[condition.finding], len(Finding.CONTESTED)
        console.print(f"[{style}]{condition.finding:<{width}}[/]  {condition.words} [dim]({condition.source})[/]")
        console.print(Padding(escape(condition.why), (0, 0, 0, width + 2)), style="dim")
    counts = {finding: sum(one.finding is finding for one in found) for finding in Finding}
    console.print(f"\n{', '.join(f'{count} {finding}' for finding, count in counts.items())}.")
    if counts[Finding.UNMET]:
        raise typer.Exit(1)


@policy_app.command()
def show(
    path: File = None, language: Annotated[Language, typer.Option(help="In which language.")] = Language.en
) -> None:
    """Show what visitors are told, and the versions with their dates.

    For example: consent-gateway policy show --language nl
    """
    policy = _load(path)
    now = now_ms()
    notice = make(policy.as_of(now), policy.in_force(now), language.value)
    console.print(f"[bold]{notice['title']}[/bold]: {escape(notice['controller']['name'])}\n\n{notice['text']}\n")
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("purpose", "name", "basis", "asked", "gates", "kept", "cookies"):
        table.add_column(name, overflow="fold")
    for one in notice["purposes"]:
        cookies = ", ".join(cookie["name"] for cookie in one["cookies"])
        answers = ["yes" if one[key] else "no" for key in ("asked", "gates")]
        table.add_row(
            one["id"], escape(one["name"]), one["basis"].replace("_", " "), *answers, one["retention"], escape(cookies)
        )
    console.print(table)
    versions = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("version", "announced", "effective", "asks again", "now"):
        versions.add_column(name)
    coming = policy.announced(now)
    for version in policy.versions:
        again = ", ".join(version.touches or ["all"]) if version.material else "no"
        state = "in force" if version is policy.in_force(now) else "announced" if version is coming else ""
        versions.add_row(version.version, str(version.announced), str(version.effective), again, state)
    console.print()
    console.print(versions)
    if coming is not None and coming.changes:
        console.print(f"\n{coming.effective}: {escape(coming.changes[language.value])}")


@policy_app.command("record")
def print_record(
    path: File = None,
    form: Annotated[Form, typer.Option("--format", help="How to print it.")] = Form.markdown,
    language: Annotated[Language, typer.Option(help="Of the purposes and the data.")] = Language.en,
) -> None:
    """Print the record of processing activities (GDPR Art. 30), made from the policy and the column register.

    For example: consent-gateway policy record > record.md
    """
    made = record(_load(path), now_ms(), language.value)
    if form is Form.json:
        json.dump(made, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(markdown(made))
