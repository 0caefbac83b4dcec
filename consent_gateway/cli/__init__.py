"""The command line: `consent-gateway …`. Exit codes: 0 done, 1 it failed and said why in one line, 2 wrong usage."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Annotated

import typer

from .backup import backup, restore
from .columns import columns
from .cookies import cookies_app
from .demo import demo
from .doctor import doctor
from .export import export
from .grants import grants
from .keys import keys_app
from .ledger import ledger_app
from .office import forward, serve, sign_in
from .openapi import openapi
from .policy import policy_app
from .replay import replay
from .rights import app as rights
from .schema import schema_app
from .snippet import snippet
from .stats import stats
from .users import tokens_app, users_app

app = typer.Typer(
    name="consent-gateway",
    help=(
        "Privacy-first web analytics that keeps its word.\n\n"
        "Settings come from the environment (CONSENT_GATEWAY_DATA_DIR, CONSENT_GATEWAY_SITES, …), the same as the "
        "site's, so run these commands where the site runs. Start with: consent-gateway demo"
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"consent-gateway {version_of('consent-gateway')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """What stands before a command's name."""


app.command()(demo)
app.command()(stats)
app.command()(export)
app.command()(replay)
app.command()(columns)
app.command()(doctor)
app.command()(openapi)
app.command()(snippet)
app.command()(serve)
app.command()(forward)
app.command()(backup)
app.command()(restore)
app.add_typer(rights, name="rights")
app.command("sign-in")(sign_in)
app.add_typer(policy_app, name="policy")
app.add_typer(cookies_app, name="cookies")
app.add_typer(keys_app, name="keys")
app.add_typer(ledger_app, name="ledger")
app.add_typer(users_app, name="users")
app.add_typer(tokens_app, name="tokens")
app.add_typer(schema_app, name="schema")
schema_app.command()(grants)
