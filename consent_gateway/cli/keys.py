"""`consent-gateway keys`: which keys there are; a new one in a key's place; a month's addresses made unreadable."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from ..config.settings import Settings
from ..record import key_ring
from ..rule.errors import ConfigError
from ..worker import now_ms
from .common import console, fail, failing_in_one_line, read_settings

keys_app = typer.Typer(
    help="The keys: list them, rotate one, destroy a month's so that its addresses can be read nowhere.",
    no_args_is_help=True,
)


@keys_app.command("list")
def list_keys() -> None:
    """List the keys in KEYS_DIR: what each is for, and since when. Never the keys themselves."""
    settings = read_settings()
    with failing_in_one_line():
        found = key_ring.entries(settings.KEYS_DIR)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("key", "made", "what it is for"):
        table.add_column(name, overflow="fold")
    for entry in found:
        table.add_row(entry.name, f"{entry.made:%Y-%m-%d %H:%M} UTC", entry.use)
    console.print(table)
    for month in key_ring.destroyed_months(settings.KEYS_DIR):
        console.print(f"The addresses of {month} were made unreadable.")
    if settings.SECRET:
        console.print("\nCookies are signed with CONSENT_GATEWAY_SECRET: rotate it there, the newest last.")


@keys_app.command()
def rotate(
    name: Annotated[str, typer.Argument(help="secret (cookies, sessions) or receipt (receipts, seals).")],
) -> None:
    """Put a new key in a key's place. What the old one signed stays valid; nobody has to choose again.

    For example: consent-gateway keys rotate secret
    """
    settings = read_settings()
    if name not in key_ring.ROTATED:
        fail(f"{name!r} is not rotated: allowed are {' and '.join(key_ring.ROTATED)}", 2)
    if name == "secret" and settings.SECRET:
        fail("cookies are signed with CONSENT_GATEWAY_SECRET: put a new one behind the others there, and restart", 2)
    with failing_in_one_line():
        earlier = key_ring.rotate(settings.KEYS_DIR, name, now_ms())
    console.print(f"There is a new {name}; the old one is {earlier} and still verifies. Running sites take it up.")
    console.print("Back KEYS_DIR up again.")


@keys_app.command()
def destroy(
    month: Annotated[str, typer.Argument(help="A month that is over, like 2026-10.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Destroy the key of a month's addresses: they can be read nowhere any more, nor in a backup. There is no way back.

    For example: consent-gateway keys destroy 2026-10
    """
    settings = read_settings()
    if not yes and not _sure(settings, month):
        fail("nothing was destroyed")
    try:
        key_ring.destroy_month(settings.KEYS_DIR, month, now_ms())
    except ConfigError as error:
        fail(str(error))
    console.print(f"The addresses of {month} can't be read any more.")
    console.print("A copy of KEYS_DIR elsewhere may still hold the key.")


def _sure(settings: Settings, month: str) -> bool:
    return typer.confirm(f"Make the addresses of {month} unreadable for ever, with the key in {settings.KEYS_DIR}?")
