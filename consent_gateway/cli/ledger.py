"""`consent-gateway ledger`: is the ledger as it was written, and its records for others to read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config.notices import Notices
from ..config.policy_file import load
from ..config.settings import Settings
from ..record import chain, seals
from ..record.receipt import document
from ..record.seals import Seal
from ..rule.errors import ConsentGatewayError
from ..worker import make_keys, now_ms
from .common import ask_office, console, fail, failing_in_one_line, is_running, need_installation, read_settings

ledger_app = typer.Typer(
    help="The ledger of choices: check that no record was changed, removed, inserted or cut off; export it.",
    no_args_is_help=True,
)


@ledger_app.command()
def verify() -> None:
    """Check the whole ledger against its chain, its seals, and the seals in the store of a running site.

    Ends with 1 when something is not as it was written, and says where and since when.
    """
    settings = read_settings()
    need_installation(settings)
    if not settings.KEYS_DIR.is_dir():
        fail(f"there are no keys in {settings.KEYS_DIR}: set CONSENT_GATEWAY_KEYS_DIR as the site has it")
    with failing_in_one_line():
        stored, compared = _stored(settings)
        with console.status("Reading the ledger …"):
            report = seals.verify(settings.DATA_DIR / "ledger", make_keys(settings).public_keys, stored)
    for fault in report.faults:
        since = f" (in order until {fault.since})" if fault.since else ""
        console.print(f"[bold red]wrong[/]  {fault.place}: {fault.why}{since}", soft_wrap=True)
    console.print(
        f"{report.records:,} records, {report.sealed:,} of them sealed by {report.seals:,} seals"
        + (f", the last at {report.last_seal}." if report.last_seal else "."),
        soft_wrap=True,
    )
    console.print(compared, soft_wrap=True)
    if report.faults:
        fail(f"the ledger is not as it was written: {len(report.faults)} faults")
    console.print("Every record is as it was written." if report.records else "There is no record yet.")


@ledger_app.command()
def export(
    consent: Annotated[str, typer.Option(help="Only the records of this consent id.")] = "",
    first: Annotated[str, typer.Option("--from", help="First day, like 2026-11-01.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day, included.")] = "",
    output: Annotated[Path | None, typer.Option(help="A file to write; standard output unless given.")] = None,
) -> None:
    """Print records as JSON-LD after ISO/IEC TS 27560, one a line.

    For example: consent-gateway ledger export --from 2026-11-01 --to 2026-11-30 --output choices.jsonl
    """
    settings = read_settings()
    need_installation(settings)
    with failing_in_one_line():
        notices = Notices(load(settings.POLICY), settings.DATA_DIR, now_ms)
    file = sys.stdout if output is None else _open(output)
    known: dict[str, Any] = {}
    count = 0
    try:
        for line in chain.lines(settings.DATA_DIR / "ledger"):
            record = line.record
            if record is None or not _wanted(record, consent, first, last):
                continue
            digest = str(record.get("notice", ""))
            if digest not in known:
                text = notices.text(digest)
                known[digest] = json.loads(text) if text else {}
            exported = document(record, known[digest], settings.PREFIX, receipt=False)
            file.write(json.dumps(exported, ensure_ascii=False) + "\n")
            count += 1
    finally:
        if output is not None:
            file.close()
    if output is not None:
        console.print(f"{count:,} records are in {output}.", soft_wrap=True, markup=False)


def _wanted(record: dict[str, Any], consent: str, first: str, last: str) -> bool:
    day = str(record.get("at", ""))[:10]
    whose = (record.get("consent_id"), record.get("supersedes"))
    return (not consent or consent in whose) and (not first or day >= first) and (not last or day <= last)


def _open(path: Path) -> Any:
    try:
        return path.open("x", encoding="utf-8")
    except OSError as error:
        fail(f"{path} can't be written: {error.strerror}")


def _stored(settings: Settings) -> tuple[list[Seal], str]:
    """The seals that the store has, and a sentence on whether they could be asked for."""
    if not is_running(settings):
        return [], "No site is running: the seals in the store were not compared."
    try:
        found: list[Seal] = ask_office(settings, "GET", "/ledger/seals")
    except ConsentGatewayError as error:
        return [], f"The seals in the store were not compared: {error}."
    return found, f"Compared with {len(found):,} seals in the store."
