"""`consent-gateway schema grants`: the roles of analysts and of the gateway, as SQL for the server's administrator."""

from __future__ import annotations

from typing import Annotated

import typer

from ..answers.ask import LIMITS
from ..store.grants import service, statements
from ..store.layout import Layout
from .common import read_settings


def grants(
    gateway: Annotated[
        bool, typer.Option("--gateway", help="The gateway's own role instead: its tables, and nothing else.")
    ] = False,
) -> None:
    """Print the SQL of a read-only role for analysts: no column of analytics (address, person, city), within limits.

    Give it to the administrator of the ClickHouse server, and the role to a user. The embedded engine has no users.
    For example: consent-gateway schema grants | clickhouse-client --multiquery
    """
    layout = Layout(read_settings().CLUSTER)
    for statement in service(layout) if gateway else statements(LIMITS, layout):
        typer.echo(f"{statement};")
