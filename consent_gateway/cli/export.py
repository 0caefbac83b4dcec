"""`consent-gateway export`: whole ranges into a file, through the back office, also beside a running site."""

from __future__ import annotations

import getpass
import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ..answers.export import head, to_csv, to_lines
from ..answers.ranges import RANGES
from ..answers.reports import ALL
from ..answers.whole import MOST_REPORT_ROWS
from ..config.settings import Settings
from ..office_process import running_office
from ..rule.errors import ConsentGatewayError
from .common import ask_office, call_office, fail, failing_in_one_line, is_running, need_installation, read_settings

Params = list[tuple[str, str]]


class Form(StrEnum):
    csv = "csv"
    jsonl = "jsonl"


_WHAT = (
    "events (as they are stored), visits (each with its pages in order), or a report of `stats`, with all of its rows."
)


def export(
    what: Annotated[str, typer.Argument(help=_WHAT)],
    site: Annotated[str, typer.Option(help="The site's name; the first one unless given.")] = "",
    first: Annotated[str, typer.Option("--from", help="First day, like 2026-01-01; 30 days ago unless given.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day, included; today unless given.")] = "",
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="As in `stats`: --filter country=BE --filter path^/blog")
    ] = None,
    interval: Annotated[str, typer.Option(help="Of a report over time: minute, hour, day, week or month.")] = "",
    steps: Annotated[list[str] | None, typer.Option("--step", help="Of the report funnel or goals.")] = None,
    bots: Annotated[bool, typer.Option("--bots", help="Programs too.")] = False,
    consented: Annotated[
        bool, typer.Option("--with-consented", help="Also person and city, which were kept on consent.")
    ] = False,
    form: Annotated[Form, typer.Option("--format", help="csv, or jsonl: a JSON object a line.")] = Form.csv,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; FILE.gz is compressed. Else standard output.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over the file if it is there.")] = False,
) -> None:
    """Write events, visits or a report of a whole range into a file, as CSV or JSON lines.

    For example: consent-gateway export events --from 2026-01-01 --to 2026-03-31 --format jsonl --output q1.jsonl.gz

    The file is there when all of it is, never half. Addresses are never in it, and what was kept on consent only with
    --with-consented. Times are UTC; days are those of TIMEZONE. A CSV cell that a spreadsheet would take for a formula
    has an apostrophe in front. Who exported what is in the audit log: consent-gateway users audit
    """
    if what not in RANGES and what not in ALL:
        fail(f"{what!r} can't be exported: allowed are {', '.join([*RANGES, *ALL])}", 2)
    if consented and what not in RANGES:
        fail("--with-consented is for events and visits; a report has the columns that it has", 2)
    settings = read_settings()
    need_installation(settings)
    is_running(settings)
    one = {"site": site, "from": first, "to": last, "interval": interval, "bots": "yes" if bots else ""}
    params = [(name, value) for name, value in one.items() if value]
    params += [("filter", text) for text in filters or ()] + [("step", text) for text in steps or ()]
    own = [("format", form.value), ("consented", "yes" if consented else "no"), ("by", _who())]
    with failing_in_one_line(), running_office(settings):
        about = ask_office(settings, "POST", f"/export/{what}", [*params, *own])
        with _written(output, replace=replace) as file:
            if what in RANGES:
                params = [pair for pair in params if pair[0] not in ("from", "to")]
                rows = _range(settings, what, about, params, own, file)
            else:
                rows = _report(settings, what, params, form, file)
    words = f"{what} of {about['site']}, {about['from']} to {about['to']}: {rows:,} row{'s' * (rows != 1)}"
    print(f"{words} in {output}" if output else words, file=sys.stderr)
    if what not in RANGES and rows == MOST_REPORT_ROWS:
        fail(f"the report has more rows than {MOST_REPORT_ROWS:,}; the others are not in it: choose fewer days")


def _range(settings: Settings, what: str, about: dict[str, str], params: Params, own: Params, file: BinaryIO) -> int:
    """Day by day, and of each day slice by slice."""
    start, end = date.fromisoformat(about["from"]), date.fromisoformat(about["to"])
    days, done = (end - start).days + 1, 0
    if dict(own)["format"] == Form.csv:
        file.write(head(RANGES[what].names(consented=dict(own)["consented"] == "yes")).encode())
    with _bar(file) as bar:
        task = bar.add_task(what, total=days)
        for number in range(days):
            day = str(start + timedelta(days=number))
            asked = [*params, ("from", day), ("to", day)]
            cut = ask_office(settings, "GET", f"/export/{what}/slices", asked)["slices"]
            for place, (since, until, rows) in enumerate(cut, 1):
                span = [("start", str(since)), ("end", str(until))]
                file.write(call_office(settings, "GET", f"/export/{what}/rows", [*asked, *own, *span]))
                done += rows
                bar.update(task, completed=number + place / len(cut), description=f"{what}: {done:,} rows")
            bar.update(task, completed=number + 1)
    return done


def _report(settings: Settings, name: str, params: Params, form: Form, file: BinaryIO) -> int:
    with _bar(file) as bar:
        bar.add_task(name, total=None)
        rows: list[dict[str, Any]] = ask_office(settings, "GET", f"/export/{name}", params)["rows"]
    file.write((to_csv if form is Form.csv else to_lines)(ALL[name], rows).encode())
    return len(rows)


def _bar(file: BinaryIO) -> Progress:
    """On a terminal that the rows don't go to."""
    errors = Console(stderr=True, highlight=False)
    words = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*words, console=errors, transient=True, disable=not errors.is_terminal or file.isatty())


@contextmanager
def _written(output: Path | None, *, replace: bool) -> Iterator[BinaryIO]:
    """The file, for its owner's eyes, under its name when it is whole; or standard output, whose reader may end
    early."""
    if output is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has what it wanted
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit from None
        except KeyboardInterrupt:
            fail("interrupted")
        return
    if output.exists() and not replace:
        raise ConsentGatewayError(f"{output} is there already: name another file, or write over it with --replace")
    draft = output.with_name(f"{output.name}.part")
    try:
        with open(draft, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            if output.suffix == ".gz":
                with gzip.GzipFile(output.stem, "wb", 6, file) as packed:
                    yield packed  # type: ignore[misc]
            else:
                yield file
        draft.replace(output)
    except OSError as error:
        raise ConsentGatewayError(f"{output} can't be written: {error.strerror or error}") from error
    except KeyboardInterrupt:
        fail(f"interrupted; {output} is not written")
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _who() -> str:
    """Whose terminal it is, for the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
