"""`consent-gateway users` and `tokens`: who may read the answers, and what they read."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from ..access.audit import Audit
from ..access.people import People, Role, Scope
from ..config.settings import Settings
from ..rule.errors import ConfigError
from .common import console, fail, failing_in_one_line, read_settings

users_app = typer.Typer(
    help="Who may read the dashboard: owners see everything, viewers the reports. A password is asked for, never given "
    "on the command line.",
    no_args_is_help=True,
)
tokens_app = typer.Typer(
    help="Keys for programs: stats reads reports, metrics reads metrics and health. Shown once, kept as a hash.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The user's name.")]
RoleOption = Annotated[Role, typer.Option("--role", help="owner or viewer.")]
_MOST_DAYS = 731


@users_app.command("add")
def add(name: Name, role: RoleOption = Role.VIEWER) -> None:
    """Add a user. The password is asked for (or read as one line from a pipe): at least 12 characters.

    For example: consent-gateway users add ann --role owner
    """
    people = _people()
    password = _ask_password()
    with failing_in_one_line():
        people.add(name, role, password)
    console.print(f"{name} may sign in as {role}.", markup=False)


@users_app.command("list")
def list_users() -> None:
    """Show the users: name, role, since when, and whether they may sign in."""
    users = _people().read().users
    rows = (
        [name, user.role, _day(user.made), "disabled" if user.disabled else ""] for name, user in sorted(users.items())
    )
    _show(["name", "role", "since", ""], rows, "There are no users yet: consent-gateway users add NAME --role owner")


@users_app.command("role")
def role(name: Name, role: Annotated[Role, typer.Argument(help="owner or viewer.")]) -> None:
    """Give a user another role; it counts at once, also for who is signed in."""
    people = _people()
    with failing_in_one_line():
        people.set_role(name, role)
    console.print(f"{name} is {role} now.", markup=False)


@users_app.command("password")
def password(name: Name) -> None:
    """Set a new password, which is asked for. It ends the user's sessions, also those that somebody took over."""
    people = _people()
    with failing_in_one_line():
        if name not in people.read().users:
            raise ConfigError(f"there is no user {name[:80]!r}: `consent-gateway users list` shows them")
    text = _ask_password()
    with failing_in_one_line():
        people.set_password(name, text)
    console.print(f"{name} has another password; all sessions of {name} have ended.", markup=False)


@users_app.command("disable")
def disable(
    name: Name, back: Annotated[bool, typer.Option("--back", help="Let the user sign in again.")] = False
) -> None:
    """Keep a user out, and end their sessions, without forgetting them."""
    people = _people()
    with failing_in_one_line():
        people.disable(name, disabled=not back)
    console.print(f"{name} may sign in again." if back else f"{name} is out; all sessions have ended.", markup=False)


@users_app.command("remove")
def remove(name: Name) -> None:
    """Remove a user, and end their sessions."""
    people = _people()
    with failing_in_one_line():
        people.remove(name)
    console.print(f"{name} is removed; all sessions have ended.", markup=False)


@users_app.command("end-links")
def end_links() -> None:
    """End all sessions that one-time links (`sign-in`) opened."""
    people = _people()
    with failing_in_one_line():
        people.end_links()
    console.print("All sessions that links opened have ended.")


@users_app.command("audit")
def audit(last: Annotated[int, typer.Option(min=1, help="How many lines, the newest last.")] = 100) -> None:
    """Show who signed in, read or exported what, and when (UTC)."""
    lines = list(Audit(_settings().DATA_DIR).read())[-last:]
    rows = (
        [line["at"][:19].replace("T", " "), line["who"] or line["how"], line["role"], line["did"], line["what"]]
        for line in lines
    )
    _show(["when", "who", "role", "did", "what"], rows, "Nothing was read yet.")


@tokens_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for, as you want to see it in the list.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do; may be given several times.")],
    days: Annotated[int, typer.Option(min=1, max=_MOST_DAYS, help="How long it is good.")] = 90,
) -> None:
    """Make a token and print it, once: send it as `Authorization: Bearer …`.

    For example: consent-gateway tokens create nightly-export --scope stats --days 30
    """
    people = _people()
    with failing_in_one_line():
        text = people.make_token(name[:64], scope, days)
    print(text)
    print("It is not shown again.", file=sys.stderr)


@tokens_app.command("list")
def list_tokens() -> None:
    """Show the tokens, without their secrets: id, name, scopes, until when."""
    now = datetime.now(UTC).timestamp()
    rows = (
        [key, token.name, " ".join(token.scopes), _day(token.until) + (" (over)" if token.until <= now else "")]
        for key, token in sorted(_people().read().tokens.items(), key=lambda item: item[1].until)
    )
    _show(
        ["id", "name", "scopes", "until"], rows, "There are no tokens: consent-gateway tokens create NAME --scope stats"
    )


@tokens_app.command("revoke")
def revoke(key: Annotated[str, typer.Argument(help="The token's id, as the list shows it.")]) -> None:
    """End a token at once."""
    people = _people()
    with failing_in_one_line():
        people.revoke(key)
    console.print(f"{key} is revoked.", markup=False)


def _settings() -> Settings:
    return read_settings()


def _people() -> People:
    return People(_settings().KEYS_DIR)


def _ask_password() -> str:
    """Typed twice and unseen; from a pipe its one line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    text: str = typer.prompt("Password", hide_input=True)
    if typer.prompt("Once more", hide_input=True) != text:
        fail("the two are not the same")
    return text


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _show(head: list[str], rows: Iterable[list[str]], empty: str) -> None:
    table = Table(*head, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(_plain(text) for text in row))
    console.print(table if table.row_count else empty, markup=False)


def _plain(text: str) -> str:
    """Without what a terminal would take for a command."""
    return "".join(char if char.isprintable() else "?" for char in text)
