"""`serve`, `forward` and `sign-in`: the back office by hand."""

from __future__ import annotations

import logging

import typer

from ..app import make_data_dir, running_office
from ..office import run
from .common import ask_office, console, fail, failing_in_one_line, is_running, need_installation, read_settings

_URL = "http://127.0.0.1:8000"


def serve() -> None:
    """Run the back office in the foreground, under your own supervisor.

    Set CONSENT_GATEWAY_BACK_OFFICE=external for the site then, so that its workers start none.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = read_settings()
    with failing_in_one_line():
        make_data_dir(settings)
        if not run(settings, until_workers_end=False):
            fail(f"another back office runs on {settings.DATA_DIR}; only one may")


def forward() -> None:
    """Bring everything that is in the spool into the store now, and say what is left."""
    settings = read_settings()
    need_installation(settings)
    with failing_in_one_line(), running_office(settings):
        pending = ask_office(settings, "POST", "/forward")["pending"]
    console.print("Everything is in the store." if not pending else f"{pending} segments are still in the spool.")


def sign_in(
    url: str = typer.Option("", help=f"The site's address, as you open it in a browser; {_URL} unless given."),
) -> None:
    """Print a link that opens the dashboard once, within a quarter of an hour. The site has to be running."""
    settings = read_settings()
    need_installation(settings)
    if not is_running(settings):
        fail(f"no site is running on {settings.DATA_DIR}: start it, then ask again")
    with failing_in_one_line():
        path = ask_office(settings, "POST", "/sign-in-link")["path"]
    console.print(f"{(url or _URL).rstrip('/')}{path}", soft_wrap=True, markup=False)
    if not url:
        console.print("(for another address: --url https://…)")
