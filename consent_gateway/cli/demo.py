"""`consent-gateway demo`: a small site with the gateway mounted, some days of traffic, and the dashboard."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
import uvicorn

from ..config.settings import ENV_PREFIX, Settings
from ..office_process import ensure_office, make_data_dir, running_office
from ..rule.errors import OfficeError
from .common import ask_office, console, fail, failing_in_one_line
from .replay import replay_files

_HOST = "127.0.0.1"
_SITE = "zevenspaak"
_SAMPLE = "sample-traffic"  # a marker in the data: the sample was brought in


def demo(
    port: Annotated[int, typer.Option(help="Port to listen on; a free one when it is taken.")] = 8000,
    days: Annotated[
        int, typer.Option(min=1, max=365, help="Days of sample traffic, brought in at the first run.")
    ] = 30,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data and keys.")] = Path(".run"),
) -> None:
    """Start a demo site with the gateway mounted, already holding some days of sample traffic.

    Open the pages, make a choice, and watch the visits turn into answers. Ctrl-C ends it; the data is kept.
    """
    if find_spec("jinja2") is None:  # before anything is made here
        fail("the demo needs more (jinja2): pip install '.[embedded,demo]' in the clone")
    listener = _listen(port)
    url = f"http://{_HOST}:{listener.getsockname()[1]}"
    with failing_in_one_line():
        settings = _settings(folder, url)
        make_data_dir(settings)
        with suppress(OfficeError):
            ensure_office(settings)  # it starts while we import the site
        _serve(settings, listener, url, days)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
    except OSError:
        listener.bind((_HOST, 0))
        console.print(f"Port {port} is taken; using {listener.getsockname()[1]}.")
    return listener


def _settings(folder: Path, url: str) -> Settings:
    """The environment's settings, with the demo's own folders and name where the environment is silent."""
    port = url.rpartition(":")[2]
    demo: dict[str, Any] = {
        "DATA_DIR": folder / "data",
        "KEYS_DIR": folder / "keys",
        "SITES": {url: _SITE, f"http://localhost:{port}": _SITE},
        "POLICY": Path(__file__).parent.parent / "demo" / "policy.toml",
    }
    return Settings(**{name: value for name, value in demo.items() if ENV_PREFIX + name not in os.environ})


def _serve(settings: Settings, listener: socket.socket, url: str, days: int) -> None:
    from ..demo.site import site

    with running_office(settings):
        if not (settings.DATA_DIR / _SAMPLE).exists():
            _bring_in_sample(settings, days, url)
        server = uvicorn.Server(
            uvicorn.Config(site(settings), log_level="warning", access_log=False, timeout_graceful_shutdown=3)
        )
        link = ask_office(settings, "POST", "/sign-in-link")["path"]
        threading.Thread(target=_announce, args=(server, settings, url, link), daemon=True).start()
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    console.print("Ended; the data is kept. The same command starts it again.")


def _bring_in_sample(settings: Settings, days: int, url: str) -> None:
    """Write an access log and replay it: the sample goes the same way as any log."""
    from ..demo.traffic import sample_log

    console.print(f"First run: making {days} days of sample traffic,")
    console.print("and reading it like any access log …")
    with TemporaryDirectory() as place:
        log = Path(place) / "access.log"
        with log.open("w") as file:
            file.writelines(f"{line}\n" for line in sample_log(days, datetime.now().astimezone(), origin=url))
        summary = replay_files(settings, [str(log)], _SITE)
    if summary.errors:
        fail(summary.errors[0])
    (settings.DATA_DIR / _SAMPLE).touch(mode=0o600)
    console.print(f"{summary.page_views:,} page views are in the store.\n")


def _announce(server: uvicorn.Server, settings: Settings, url: str, link: str) -> None:
    while not server.started:
        time.sleep(0.02)
    console.print("[bold]Consent Gateway, the demo[/bold]\n")
    rows = (
        ("The site", f"{url}/"),
        ("Its privacy page", f"{url}{settings.PREFIX}/privacy"),
        ("Members' page", f"{url}/members"),
        ("Dashboard", f"{url}{link}"),
    )
    for name, address in rows:
        console.print(f"  {name:<16} {address}", soft_wrap=True)
    console.print("\n  The dashboard's link signs you in once, within 15 minutes.")
    console.print("  Ctrl-C ends the demo. To ask in another terminal, in this folder:\n")
    command = _command()
    lines = [f"export {export}" for export in _exports(settings)]
    for line in (*lines, f"{command} stats pages", f"{command} sign-in --url {url}"):
        console.print(f"    {line}", soft_wrap=True, markup=False)
    console.print()


def _exports(settings: Settings) -> list[str]:
    """What makes another terminal speak of the same data."""
    values: dict[str, object] = {"DATA_DIR": settings.DATA_DIR, "KEYS_DIR": settings.KEYS_DIR}
    if len(settings.site_names) == 1:
        (values["SITE"],) = settings.site_names
    else:
        values["SITES"] = ",".join(f"{origin}={name}" for origin, name in settings.SITES.items())
    return [f"{ENV_PREFIX}{name}={value}" for name, value in values.items()]


def _command() -> str:
    """How to call this program again: by its name, or by the path with which it was started."""
    name = "consent-gateway"
    return sys.argv[0] if not shutil.which(name) and Path(sys.argv[0]).name == name else name
