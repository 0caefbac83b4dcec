"""`consent-gateway doctor`: is this installation sound, and what to do where it isn't."""

from __future__ import annotations

import asyncio
import logging
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table
from starlette.responses import HTMLResponse
from starlette.types import Message, Receive, Scope, Send

from ..app import ConsentGateway
from ..config.conditions import Finding as State
from ..config.conditions import check
from ..config.policy_file import load
from ..config.settings import Settings
from ..office_process import running_office
from ..record.key_ring import destroyed_months
from ..record.salts import memory_dir
from ..rule.errors import ConfigError, ConsentGatewayError
from ..rule.purposes import MEASUREMENT
from ..worker import now_ms
from . import soundness
from .common import ask_office, console, is_running, no_installation, read_settings
from .soundness import Finding

_CANARY = "203.0.113.77"  # RFC 5737: nobody's
_BEYOND = ("confirmed", "aside", "erased", "repeated")  # what became of an accepted event; others are in the spool
_LOW_DISK = 1_000_000_000
_OLD_SECONDS = 60.0
_MARK = {"good": "[green]✓[/]", "note": "[yellow]![/]", "bad": "[red]✗[/]"}


def doctor() -> None:
    """Check this installation: settings, disk, keys, proxies, store, spool, books, and a canary address.

    Each line says what to do. Ends with 1 when something is wrong, so that a monitor can run it.
    """
    settings = read_settings()
    now = soundness.now_seconds()
    newest = soundness.newest_choice(settings.DATA_DIR)
    page = {
        "Settings and policy": [*_policy(settings), *soundness.reach(settings)],
        "This host": [*_files(settings), *soundness.clock(newest, now, soundness.is_synchronised())],
    }
    books: list[list[Any]] = []
    if not no_installation(settings):
        page["Store, spool and ledger"] = found = []
        try:
            alive = is_running(settings)
            with running_office(settings):
                whose = "is a site's" if alive else "was started for this look: no site runs, or its workers are away"
                found.append(Finding("good" if alive else "note", f"the back office answers, and {whose}"))
                state = ask_office(settings, "GET", "/store")
                found += _store(state)
                if not state["error"]:
                    kept = load(settings.POLICY).as_of(now_ms()).retention_days(MEASUREMENT)
                    found += soundness.retention(state, kept, now)
                found += _spool(ask_office(settings, "GET", "/health"))
                found += soundness.ledger(ask_office(settings, "GET", "/ledger"), now)
                found += soundness.backups(settings.DATA_DIR, now)
                found += _rights(ask_office(settings, "GET", "/rights", {"all": "no"}))
                books = ask_office(settings, "GET", "/books")
                found += _balance(books)
        except ConsentGatewayError as error:
            found.append(Finding("bad", f"the back office: {error}", "its log says more; is another one running?"))
    page["The promise"] = list(_canary(settings))
    _show(page)
    if books:
        console.print("\nThe books of this host", style="bold")
        console.print(_books_table(books))
    findings = [finding for found in page.values() for finding in found]
    bad, notes = (sum(finding.grade == grade for finding in findings) for grade in ("bad", "note"))
    told = f"{notes} to think about" if notes else "nothing to think about"
    console.print(f"\n[red]{bad} wrong[/], {told}." if bad else f"\n[green]Nothing is wrong[/], {told}.")
    if bad:
        raise typer.Exit(1)


def _show(page: dict[str, list[Finding]]) -> None:
    for title, findings in page.items():
        console.print(f"\n{title}", style="bold")
        for grade, words, advice in findings:
            more = f"\n    → {escape(advice)}" if advice else ""
            console.print(f"{_MARK[grade]} {escape(words)}{more}", soft_wrap=True)


def _files(settings: Settings) -> Iterator[Finding]:
    yield Finding("good", f"settings: {len(settings.site_names)} site(s), days end at midnight in {settings.TIMEZONE}")
    if words := no_installation(settings):
        yield Finding("bad", words, "start the site first, or set CONSENT_GATEWAY_DATA_DIR")
    for name, folder in (("DATA_DIR", settings.DATA_DIR), ("KEYS_DIR", settings.KEYS_DIR)):
        if not folder.exists():
            if name == "KEYS_DIR":
                yield Finding("note", f"{name} {folder} is not there yet", "it is made at the first start")
            continue
        wide = [path for path in (folder, *folder.glob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077]
        if wide and (name == "KEYS_DIR" or wide[0] == folder):
            grade = "bad" if name == "KEYS_DIR" else "note"
            yield Finding(grade, f"others may read {wide[0]}", f"chmod -R go= {folder}")
        else:
            yield Finding("good", f"{name} is {folder}" + (", for this user only" if name == "KEYS_DIR" else ""))
    for month in destroyed_months(settings.KEYS_DIR):
        yield Finding("note", f"the addresses of {month} were made unreadable: their key is destroyed")
    yield Finding("good", "encrypted: addresses (AES-256-GCM, a key a month); pseudonyms are keyed hashes")
    if settings.embedded:
        if settings.ENCRYPT_STORE:
            yield Finding("good", "encrypted: the rows of the embedded store (AES-256); not the spool, nor the ledger")
        else:
            advice = "set CONSENT_GATEWAY_ENCRYPT_STORE for a new one, or encrypt the host's disk"
            yield Finding("note", "not encrypted: the embedded store but for addresses, the spool, the ledger", advice)
    data = settings.DATA_DIR.absolute()
    free = shutil.disk_usage(next(path for path in (data, *data.parents) if path.exists())).free
    advice = "" if free > _LOW_DISK else "make room: on a full disk page views are dropped, and senders told 503"
    yield Finding("bad" if advice else "good", f"{free / 1e9:,.1f} GB free on the disk of the data", advice)
    if settings.SALTS == "memory-file" and settings.DATA_DIR.exists():
        memory = memory_dir(settings.DATA_DIR)
        if memory.is_relative_to(settings.DATA_DIR.absolute()):
            yield Finding(
                "note", f"salts lie on the disk in {memory}", "give this host a memory file system at /dev/shm"
            )
        else:
            yield Finding("good", f"salts lie in memory, in {memory}")
    if free < settings.SPOOL_LIMIT:
        words = f"SPOOL_LIMIT is {settings.SPOOL_LIMIT / 1e9:,.1f} GB, more than is free"
        yield Finding("note", words, "make room, or lower it: senders are told 503 before the disk is full")


def _policy(settings: Settings) -> Iterator[Finding]:
    try:
        policy = load(settings.POLICY)
    except ConfigError as error:
        yield Finding("bad", f"the policy: {error}", "no site starts with it")
        return
    found = check(policy.as_of(now_ms()), settings.PREFIXES)
    unmet = [one.words for one in found if one.finding is State.UNMET]
    name = settings.POLICY or f"the preset {policy.preset}"
    if unmet:
        words = f"the policy ({name}) leaves open: {unmet[0][0].lower()}{unmet[0][1:]}"
        more = f"; and {len(unmet) - 1} more" if len(unmet) > 1 else ""
        yield Finding("note", words + more, "consent-gateway policy check says all of it")
    else:
        yield Finding("good", f"the policy ({name}), version {policy.in_force(now_ms()).version} is in force")


def _store(found: dict[str, Any]) -> Iterator[Finding]:
    if found["error"]:
        yield Finding("bad", f"the store: {found['error']}", "the spool keeps the events until it answers again")
        return
    words = f"the store answers: ClickHouse {found['version']}, {found['rows']:,} events, tables of version"
    yield Finding("good", f"{words} {found['tables']}")
    for drift in found["drift"]:
        advice = "consent-gateway schema apply shows what is left; bring it back, or restore a backup"
        yield Finding("bad", f"the table differs from the register: {drift}", advice)
    for part in found["detached"]:
        yield Finding("bad", f"the engine set a damaged part aside: {part}", "restore it from a backup")


def _spool(health: dict[str, Any]) -> Iterator[Finding]:
    if health["oldest_seconds"] > _OLD_SECONDS:
        words = f"{health['pending']} segments wait for the store, the oldest for {health['oldest_seconds']:,.0f} s"
        yield Finding("bad", words, health["last_error"] or "see the back office's log")
    else:
        yield Finding("good", f"the spool is empty or fresh ({health['pending']} segments)")
    for name in health["trouble"]:
        yield Finding("bad", f"{name} in the spool can't be used", "look at it and move it away; nothing waits for it")


def _rights(requests: list[dict[str, Any]]) -> Iterator[Finding]:
    for one in (request for request in requests if request["overdue"]):
        words = f"request {one['number']} ({one['right']}) is {one['overdue']}"
        yield Finding("bad", words, f"answer it: consent-gateway rights show {one['number']}")
    waiting = sum(1 for one in requests if one["state"] in ("open", "done"))
    if not any(one["overdue"] for one in requests):
        yield Finding("good", f"no request of a person is late ({waiting} open)")


def _balance(books: list[list[Any]]) -> Iterator[Finding]:
    for site, counts in _by_site(books).items():
        dropped = sum(count for term, count in counts.items() if term.startswith("dropped."))
        missing = counts["received"] - counts["accepted"] - dropped - counts["unanswered"]
        beyond = sum(counts[term] for term in _BEYOND) - counts["accepted"] - counts["unanswered"]
        if missing < 0 or beyond > 0:
            words = f"the books of {site} don't balance, by {max(-missing, beyond):,}"
            yield Finding("bad", words, "report this: it must not be")
        else:
            yield Finding("good", f"the books of {site} balance")


def _by_site(books: list[list[Any]]) -> dict[str, Counter[str]]:
    sites: dict[str, Counter[str]] = {}
    for site, term, count in books:
        sites.setdefault(site, Counter())[term] += count
    return sites


def _books_table(books: list[list[Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    sites = _by_site(books)
    table.add_column("")
    for site in sites:
        table.add_column("no site" if site == "-" else site, justify="right")
    for term in sorted({term for counts in sites.values() for term in counts}, key=_order):
        name = term.replace("dropped.", "dropped: ").replace("_", " ")
        table.add_row(name, *(f"{counts[term]:,}" for counts in sites.values()))
    return table


def _order(term: str) -> tuple[int, str]:
    first = ("received", "dropped", "unanswered", "accepted", "aside", "erased", "repeated", "confirmed")
    name = term.partition(".")[0]
    return (first.index(name) if name in first else len(first), term)


def _canary(settings: Settings) -> Iterator[Finding]:
    """Send an address through the real stack, in a folder of its own, and look for it in every byte written."""
    with TemporaryDirectory(prefix="consent-gateway-doctor-") as place:
        folder = Path(place)
        own = {
            "DATA_DIR": folder / "data",
            "KEYS_DIR": folder / "keys",
            "BACK_OFFICE": "external",
            "SALTS": "memory-file",
        }
        log = logging.getLogger("consent_gateway")
        level = log.level
        log.setLevel(logging.ERROR)  # that it made a secret in this folder is no news
        try:
            seen = asyncio.run(_send_canary(settings.model_copy(update=own)))
        finally:
            log.setLevel(level)
        files = [path for path in folder.rglob("*") if path.is_file()]
        shutil.rmtree(memory_dir(folder / "data"), ignore_errors=True)
        written = b"".join(path.read_bytes() for path in files)
    if _CANARY.encode() in written:
        yield Finding("bad", "a canary address came through to the disk", "report this: it must not be")
    elif settings.SCRUB_SCOPE and _CANARY in seen:
        yield Finding("bad", "a canary address came through to the site", "is another middleware around the gateway?")
    else:
        network = "203.0.113.0/24" if settings.ADDRESS_MODE == "truncate" and settings.PREFIXES.v4 == 24 else ""
        there = "" if network.encode() in written else ", but its event is not there either"
        words = "an address sent through the gateway was found in no file"
        words += " and not by the site" if settings.SCRUB_SCOPE else ""
        yield Finding("note" if there else "good", f"{words}{there}")


async def _send_canary(settings: Settings) -> str:
    """One page view from the canary address; what the site saw of it."""
    seen: list[str] = []

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(repr((scope["client"], scope["headers"])))
        await HTMLResponse("<p>a page</p>")(scope, receive, send)

    async def nothing() -> Message:
        return {"type": "http.request"}

    async def away(message: Message) -> None:
        return None

    host = next(iter(settings.hosts), "localhost").encode()
    scope: Scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": "http", "root_path": "",
        "client": (_CANARY, 4711), "server": ("localhost", 80),
        "headers": [(b"host", host), (b"x-real-ip", _CANARY.encode()), (b"user-agent", b"Mozilla/5.0 Firefox/140.0")],
    }  # fmt: skip
    gateway = ConsentGateway(site, settings)
    try:
        await gateway(scope, nothing, away)
    finally:
        gateway.close()
    return "".join(seen)
