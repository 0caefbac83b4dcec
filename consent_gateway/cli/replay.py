"""`consent-gateway replay`: access logs become page views, through the same rule as live requests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from threading import Event as Ending
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..config.policy_file import load
from ..config.settings import Settings
from ..office_process import ensure_office, make_data_dir, running_office
from ..record.books import Books
from ..record.salts import RunSalts, memory_dir
from ..record.shared_salts import make_salts
from ..record.spool import Spool
from ..replay.follow import Follower, FollowSalts
from ..replay.journal import unsent
from ..replay.progress import Display
from ..replay.run import Run, Summary
from ..replay.source import STDIN, LogError, check
from ..rule.columns import RETENTION_DAYS
from ..rule.errors import ConsentGatewayError
from ..rule.event import DropReason
from ..rule.purposes import MEASUREMENT
from ..worker import make_keys, make_rule
from .common import ask_office, console, fail, failing_in_one_line, is_running, read_settings

_LOOK_SECONDS = 0.1
_OFFICE_SECONDS = 10.0  # between two looks whether there is a back office
_PATIENCE_SECONDS = 90.0  # how long nothing may reach the store before we stop waiting; its longest pause is 5

_WHY = {
    DropReason.NOT_A_PAGE: "no page: a picture, a script, a redirect, a form that was posted",
    DropReason.EXPIRED: f"older than the {RETENTION_DAYS[MEASUREMENT]} days of retention; --keep-expired keeps them",
    DropReason.FUTURE: "dated more than a day after now",
    DropReason.UNPARSABLE: "not a line of an access log",
    DropReason.NO_ADDRESS: "no address: the client is written as a name",
    DropReason.FAULT: "something inside the gateway failed; a message above says what",
}


def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Access logs, plain or gzip; - is a pipe.")],
    site: Annotated[str, typer.Option(help="The site that wrote them; needed where there are several.")] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Read from the start what was read before; its lines count twice.")
    ] = False,
    keep_expired: Annotated[
        bool,
        typer.Option(
            "--keep-expired",
            help="Keep lines older than the retention; it counts from now then. What was read before is not read "
            "again; with --again it is, and the other lines count twice.",
        ),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as they grow and are rotated, until Ctrl-C.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Don't wait until all is in the store.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Read access logs, in common or combined format, by the same rule as live requests, each at its own time.

    Each line is read once: a log that was interrupted, has grown or was rotated to .gz goes on where it stopped.
    For example: consent-gateway replay /var/log/nginx/access.log.2.gz /var/log/nginx/access.log
    """
    settings = read_settings()
    is_running(settings)
    site = _site(settings, site)
    if follow and (again or STDIN in files):
        fail("--follow reads files, each line once: it goes neither with --again nor with -", 2)
    with failing_in_one_line():
        if follow:
            summary = follow_files(settings, files, site, keep_expired=keep_expired, office=not no_wait, quiet=quiet)
            if not quiet:
                _print(summary, site)
            return
        summary = replay_files(
            settings, files, site, again=again, keep_expired=keep_expired, wait=not no_wait, quiet=quiet
        )
        if not quiet:
            _print(summary, site)
            if no_wait and (left := unsent(Spool(settings.DATA_DIR).sealed)):
                console.print(
                    f"{left:,} segments are on their way to the store; `consent-gateway forward` brings them."
                )
        if summary.errors:
            raise LogError("; ".join(summary.errors))


def replay_files(
    settings: Settings,
    files: list[str],
    site: str,
    *,
    again: bool = False,
    keep_expired: bool = False,
    wait: bool = True,
    quiet: bool = False,
) -> Summary:
    """Replay logs with a progress bar, and wait until all is in the store. Errors of one log stand in the summary."""
    for name in files:
        check(name)
    with ExitStack() as stack:
        data_dir = make_data_dir(settings)
        keys, spool, books = make_keys(settings), Spool(data_dir), Books(data_dir)
        stack.callback(books.close)
        salts = RunSalts(memory_dir(data_dir), settings.zone)
        if wait:
            stack.enter_context(running_office(settings))
        display = None if quiet else Display(_size(files))
        run = Run(
            data_dir,
            site=site,
            rule=make_rule(settings, keys, salts.of, load(settings.POLICY)),
            salts=salts,
            spool=spool,
            books=books,
            key=keys.person,
            again=again,
            keep_expired=keep_expired,
            limit=settings.SPOOL_LIMIT,
            emptied=wait,
            progress=display,
        )
        try:
            with display or ExitStack():
                run.read(files)
            if wait:
                _wait(settings, spool, quiet)
        except KeyboardInterrupt:
            fail(f"interrupted after {run.summary.lines:,} lines; the same command goes on from there")
        return run.summary


def follow_files(
    settings: Settings, files: list[str], site: str, *, keep_expired: bool, office: bool, quiet: bool
) -> Summary:
    """Read logs as they grow, until SIGINT or SIGTERM; what was begun is ended then."""
    for name in files:
        check(name)
    ending = Ending()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    with ExitStack() as stack:
        data_dir = make_data_dir(settings)
        keys, spool, books = make_keys(settings), Spool(data_dir), Books(data_dir)
        stack.callback(books.close)
        memory = memory_dir(data_dir)
        backlog, today = RunSalts(memory, settings.zone), make_salts(settings, memory)
        salts = FollowSalts(today.of, backlog)
        if office:
            stack.enter_context(running_office(settings))
        run = Run(
            data_dir,
            site=site,
            rule=make_rule(settings, keys, salts.of, load(settings.POLICY)),
            salts=backlog,
            spool=spool,
            books=books,
            key=keys.person,
            keep_expired=keep_expired,
            limit=settings.SPOOL_LIMIT,
        )
        say: Callable[[str], None] | None = None
        if not quiet:
            console.print(f"following {escape(', '.join(files))}; Ctrl-C ends it", soft_wrap=True)
            if console.is_terminal:
                say = stack.enter_context(console.status("")).update
        next_look = time.monotonic() + _OFFICE_SECONDS

        def tell(summary: Summary) -> None:
            nonlocal next_look
            if say is not None:
                say(f"{summary.lines:,} lines, {summary.page_views:,} page views")
            books.keep()
            with suppress(ConsentGatewayError):  # a Redis that is away is told elsewhere; then there are no visitors
                today.keep()
            if office and settings.BACK_OFFICE == "auto" and time.monotonic() >= next_look:
                next_look = time.monotonic() + _OFFICE_SECONDS
                ensure_office(settings)

        return Follower(run, files, salts, spool).follow(ending, tell)


def _site(settings: Settings, site: str) -> str:
    known = ", ".join(sorted(settings.site_names))
    if site and site not in settings.site_names:
        fail(f"--site is {site!r}: allowed are {known}", 2)
    if not site and len(settings.site_names) > 1:
        fail(f"several sites are set up: name the one that wrote these logs with --site, out of {known}", 2)
    return site or known


def _size(files: list[str]) -> int:
    if STDIN in files or not all(os.path.isfile(name) for name in files):
        return 0
    return sum(os.path.getsize(name) for name in files)


def _wait(settings: Settings, spool: Spool, quiet: bool) -> None:
    """Until the segments of all replays have left the spool. The office sends them by itself."""
    least = left = unsent(spool.sealed)
    until = time.monotonic() + _PATIENCE_SECONDS
    with ExitStack() as stack:
        say: Callable[[str], None] | None = None
        if left and not quiet and console.is_terminal:
            say = stack.enter_context(console.status("")).update
        while left:
            if say is not None:
                say(f"waiting for the store: {left:,} segments to go")
            if left < least:
                least, until = left, time.monotonic() + _PATIENCE_SECONDS
            if time.monotonic() > until:
                error = ask_office(settings, "GET", "/health")["last_error"] or "it does not say why"
                raise ConsentGatewayError(
                    f"{left:,} segments wait for the store ({error}). Nothing is lost: they go when it answers again"
                )
            time.sleep(_LOOK_SECONDS)
            left = unsent(spool.sealed)
    if refused := unsent(spool.aside):
        raise ConsentGatewayError(f"the store refused {refused:,} segments; they are set aside in {spool.aside}")


def _print(summary: Summary, site: str) -> None:
    for name in summary.empty:
        console.print(f"{escape(name)}: it is empty.", soft_wrap=True)
    for name, line in summary.continued.items():
        console.print(f"{escape(name)}: went on after line {line:,}, where it stopped before.", soft_wrap=True)
    for name in summary.known:
        console.print(
            f"{escape(name)}: nothing new, it was read before. (--again reads it anew and counts it twice.)",
            soft_wrap=True,
        )
    for name in summary.waiting:
        console.print(f"{escape(name)}: its last line has no end yet and is left for the next time.", soft_wrap=True)
    if not summary.lines:
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    table.add_row("lines read", f"{summary.lines:,}", "", style="bold")
    table.add_row("page views", f"{summary.page_views:,}", f"kept, for {escape(site)}")
    table.add_row("page errors", f"{summary.page_errors:,}", "kept: pages answered with 4xx or 5xx")
    for reason, number in summary.dropped.most_common():
        table.add_row(reason.replace("_", " "), f"{number:,}", f"dropped: {_WHY.get(DropReason(reason), reason)}")
    console.print(table)
    if summary.dropped[DropReason.EXPIRED]:
        console.print(
            "\nTo keep the expired lines of what was read now: --again --keep-expired. Without --again it is not read "
            "again; with it, lines that were kept count twice.",
            soft_wrap=True,
        )
    if summary.examples:
        console.print("\nThe first lines that could not be read, addresses masked:")
    for example in summary.examples:
        console.print(f"  {escape(example.name)}, line {example.number:,}: {escape(example.text)}", soft_wrap=True)
