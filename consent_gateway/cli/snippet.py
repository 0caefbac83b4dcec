"""`consent-gateway snippet`: the tag that a page needs."""

from __future__ import annotations

from typing import Annotated

import typer

from ..config.settings import Settings
from ..edge.script import script_tag
from .common import failing_in_one_line


def snippet(
    origin: Annotated[
        str, typer.Option(help="The gateway's address, for pages of another host (one of ALLOWED_ORIGINS).")
    ] = "",
    immutable: Annotated[
        bool, typer.Option(help="Name the script with its hash, which a browser keeps for ever; for pages made anew.")
    ] = False,
    more: Annotated[
        bool, typer.Option(help="Also load times, links that lead away, downloads, forms and missing pages.")
    ] = False,
) -> None:
    """Print the tag that gives a page the banner and the measurement.

    Put it into the head of every page. A template can print it itself: consent_gateway.script_tag().
    """
    with failing_in_one_line():
        typer.echo(script_tag(Settings().PREFIX, origin=origin, immutable=immutable, more=more))
