"""`consent-gateway openapi`: the HTTP routes as a document that programs read."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..openapi import document


def openapi(prefix: Annotated[str, typer.Option(help="Where the site has the gateway's routes.")] = "/_cg") -> None:
    """Print the OpenAPI 3.1 document of all HTTP routes, as JSON.

    For example: consent-gateway openapi > openapi.json
    """
    typer.echo(json.dumps(document(prefix), indent=1, ensure_ascii=False))
