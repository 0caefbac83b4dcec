"""`serve`, `forward` and `sign-in`: the back office by hand."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from ..beside import run as serve_beside
from ..beside import where
from ..office import run
from ..office_process import make_data_dir, running_office
from .common import ask_office, console, fail, failing_in_one_line, is_running, need_installation, read_settings

log = logging.getLogger("consent_gateway")

_URL = "http://127.0.0.1:8000"


def serve(
    listen: Annotated[
        str,
        typer.Option(help="Serve the gateway's routes here, for the proxy of any site: HOST:PORT or unix:PATH."),
    ] = "",
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes do so.")] = 1,
) -> None:
    """Run the back office in the foreground, under your own supervisor; with --listen, the gateway beside a site.

    Without --listen, set CONSENT_GATEWAY_BACK_OFFICE=external for the site, so that its workers start none. With it
    nothing is mounted anywhere: a proxy passes /_cg/ here, and a back office is started as for a mounted gateway.
    For example: consent-gateway serve --listen 127.0.0.1:8700
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = read_settings()
    with failing_in_one_line():
        make_data_dir(settings)
        if listen:
            where(listen)
            if not settings.TRUSTED_PROXIES:
                log.warning("TRUSTED_PROXIES is empty: every visitor is taken for the proxy; name its network")
            serve_beside(listen, workers)
            return
        if not run(settings, until_workers_end=False):
            fail(f"another back office runs on {settings.DATA_DIR}; only one may")


def forward() -> None:
    """Bring everything that is in the spool into the store now, and say what is left."""
    settings = read_settings()
    need_installation(settings)
    with failing_in_one_line(), running_office(settings):
        pending = ask_office(settings, "POST", "/forward")["pending"]
    waiting = "1 segment is" if pending == 1 else f"{pending} segments are"
    console.print(f"{waiting} still in the spool." if pending else "Everything is in the store.")


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
