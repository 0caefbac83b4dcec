"""What the commands share: settings, one-line failures, and the question to the back office."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from ..config.settings import Settings
from ..record import office
from ..rule.errors import ConfigError, ConsentGatewayError, OfficeError

console = Console(highlight=False)


@contextmanager
def failing_in_one_line() -> Iterator[None]:
    """What we raise on purpose ends the command with one line and exit code 1."""
    try:
        yield
    except ConsentGatewayError as error:
        fail(str(error))


def fail(text: str, code: int = 1) -> None:
    """End the command with one line on standard error."""
    print(f"consent-gateway: {text}", file=sys.stderr)
    raise typer.Exit(code)


def read_settings() -> Settings:
    """The settings of the environment; a wrong one is wrong usage."""
    try:
        return Settings()
    except ConfigError as error:
        fail(str(error), 2)
        raise


def no_installation(settings: Settings) -> str:
    """Why a command that only reads can't: it never makes an installation. Empty when there is one."""
    return "" if settings.DATA_DIR.is_dir() else f"there is no installation in {settings.DATA_DIR}"


def need_installation(settings: Settings) -> None:
    """End the command where there is no installation."""
    if words := no_installation(settings):
        fail(f"{words}: start the site first, or set CONSENT_GATEWAY_DATA_DIR")


def is_running(settings: Settings) -> bool:
    """Does a back office answer that we did not start? One of other sites than our settings' is refused."""
    try:
        status, _, body = office.call(settings.DATA_DIR, "GET", "/health")
    except (OfficeError, OSError):
        return False
    if status == 200 and (theirs := json.loads(body).get("sites")) is not None and set(theirs) != settings.site_names:
        ours = ", ".join(sorted(settings.site_names))
        fail(
            f"the running site knows {', '.join(theirs)}; this command's settings know {ours}: "
            "set CONSENT_GATEWAY_SITE (or SITES) as the site has it",
            2,
        )
    return True


def ask_office(settings: Settings, method: str, path: str, params: office.Params = None) -> Any:
    """The back office's answer, decoded when it is JSON; its refusal as our error."""
    kind, body = _call(settings, method, path, params)
    return json.loads(body) if "json" in kind else body.decode()


def call_office(settings: Settings, method: str, path: str, params: office.Params = None) -> bytes:
    """The same as it came."""
    return _call(settings, method, path, params)[1]


def _call(settings: Settings, method: str, path: str, params: office.Params) -> tuple[str, bytes]:
    status, headers, body = office.call(settings.DATA_DIR, method, path, params)
    kind = headers.get("content-type", "")
    if status >= 400:
        said = json.loads(body)["title"] if "json" in kind else f"the back office answered {status}"
        raise ConsentGatewayError(said)
    return kind, body
