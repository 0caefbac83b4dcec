"""`backup` and `restore`: done by the back office, also beside a running site, while this shows how far it is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ..config.settings import Settings
from ..office_process import running_office
from ..rule.errors import ConsentGatewayError
from .common import ask_office, console, fail, failing_in_one_line, need_installation, read_settings

_LOOK_SECONDS = 0.2


def backup(file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")]) -> None:
    """Write store, ledger and notices into one file, also beside a running site.

    Not in it: the salts (they must not outlive their day), the keys (keep those elsewhere: without them the addresses
    in the backup stay encrypted), and events that are still in the spool.
    """
    settings = read_settings()
    need_installation(settings)
    with failing_in_one_line(), running_office(settings):
        done = _run(settings, "backup", {"path": str(file.absolute())})
    console.print(f"{file}: {done['rows']:,} rows and the ledger, {done['bytes']:,} bytes.", soft_wrap=True)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Empty the store first, if it is not empty.")] = False,
) -> None:
    """Put a backup back, into a store of either kind, after checking all of it.

    The ledger of this host stays and gains what the backup has more; withdrawals and erasures since the backup are
    applied to what comes back. Of several hosts, stop the others' back offices first.
    """
    settings = read_settings()
    with failing_in_one_line(), running_office(settings):
        done = _run(settings, "restore", {"path": str(file.absolute()), "replace": "yes" if replace else "no"})
    console.print(f"{done['rows']:,} rows are back, as of {done['made_at']}.", soft_wrap=True)
    if done["scrubbed"]:
        console.print(f"Withdrawals and erasures of {done['scrubbed']:,} persons were applied to them.", soft_wrap=True)
    for path in done["beside"]:
        console.print(f"The ledger here and the backup's went on differently; the backup's is {path}.", soft_wrap=True)


def _run(settings: Settings, name: str, params: dict[str, str]) -> dict[str, Any]:
    ask_office(settings, "POST", f"/{name}", params)
    words = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    errors = Console(stderr=True, highlight=False)
    with Progress(*words, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        try:
            while (job := ask_office(settings, "GET", "/job"))["running"]:
                bar.update(task, description=job["words"], completed=job["done"], total=job["total"] or None)
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            ask_office(settings, "DELETE", "/job")
            left = "; the store is not whole: restore again, with --replace" if name == "restore" else ""
            fail(f"interrupted{left}")
    if job["error"]:
        raise ConsentGatewayError(job["error"])
    result: dict[str, Any] = job["result"]
    return result
