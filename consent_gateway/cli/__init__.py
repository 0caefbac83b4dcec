"""The command line: `consent-gateway …`. Exit codes: 0 done, 1 it failed and said why in one line, 2 wrong usage."""

from __future__ import annotations

import typer

from .backup import backup, restore
from .columns import columns
from .demo import demo
from .doctor import doctor
from .office import forward, serve, sign_in
from .replay import replay
from .stats import stats

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
app.command()(demo)
app.command()(stats)
app.command()(replay)
app.command()(columns)
app.command()(doctor)
app.command()(serve)
app.command()(forward)
app.command()(backup)
app.command()(restore)
app.command("sign-in")(sign_in)
