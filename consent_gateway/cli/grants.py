"""`consent-gateway schema grants`: the role of analysts, as SQL for the server's administrator."""

from __future__ import annotations

import typer

from ..answers.ask import LIMITS
from ..store.grants import statements
from ..store.layout import Layout
from .common import read_settings


def grants() -> None:
    """Print the SQL of a read-only role for analysts: no column of analytics (address, person, city), within limits.

    Give it to the administrator of the ClickHouse server, and the role to a user. The embedded engine has no users.
    For example: consent-gateway schema grants | clickhouse-client --multiquery
    """
    for statement in statements(LIMITS, Layout(read_settings().CLUSTER)):
        typer.echo(f"{statement};")
