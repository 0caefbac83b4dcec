"""`consent-gateway schema`: the tables of the store, from the register and the policy: shown, made, compared."""

from __future__ import annotations

from typing import Any

import typer

from ..config.policy_file import load
from ..office_process import running_office
from ..store import consents, retention, schema
from ..store.layout import Layout
from ..worker import now_ms
from .common import ask_office, console, fail, failing_in_one_line, need_installation, read_settings

schema_app = typer.Typer(help="The tables of the store, and who may read them.", no_args_is_help=True)


@schema_app.callback()
def about() -> None:
    """What stands before a command's name."""


@schema_app.command("print")
def print_schema() -> None:
    """Print the statements that make the tables and views, from the register. Nothing is run.

    For example: consent-gateway schema print > tables.sql
    """
    settings = read_settings()
    layout = Layout(settings.CLUSTER, encrypted=settings.ENCRYPT_STORE)
    with failing_in_one_line():
        policy = load(settings.POLICY)
    several, zone = settings.several_hosts, settings.zone.key
    told = retention.wanted(policy.as_of(now_ms()))
    for statement in (
        *schema.statements(layout, several_hosts=several, zone=zone),
        *consents.statements(layout, days=policy.ledger_days),
        *retention.statements(retention.of_register(), told, layout),
    ):
        typer.echo(f"{statement};\n")


@schema_app.command()
def check() -> None:
    """Compare the live tables with the register and the policy: columns, types, comments, sort key, days kept.

    Ends with 1 when something differs, and names it.
    """
    found = _look()
    for drift in found["drift"]:
        console.print(f"[bold red]differs[/]  {drift}", soft_wrap=True)
    for part in found["detached"]:
        console.print(f"[bold red]damaged[/]  the engine set {part} aside", soft_wrap=True)
    if found["drift"] or found["detached"]:
        fail(f"the live tables differ from the register in {len(found['drift']) + len(found['detached'])} places")
    console.print(f"The live tables are as the register and the policy say (ClickHouse {found['version']}).")


@schema_app.command()
def apply() -> None:
    """Make what tables and views are missing, and have data kept as long as the policy says. Then compare.

    The back office does the same whenever it opens the store; columns and types are never changed by this.
    """
    found = _look()
    for drift in found["drift"]:
        console.print(f"[yellow]left[/]  {drift}", soft_wrap=True)
    console.print(f"The tables are there: {found['rows']:,} events.")
    if found["drift"]:
        fail("what is left needs a person: bring the columns back, or restore a backup into a new store")


def _look() -> dict[str, Any]:
    """What the back office finds in the store, which it opens anew for that."""
    settings = read_settings()
    need_installation(settings)
    with failing_in_one_line(), running_office(settings):
        found: dict[str, Any] = ask_office(settings, "GET", "/store")
    if found["error"]:
        fail(f"the store: {found['error']}")
    return found
