"""`consent-gateway rights`: the register of requests that come by mail, and what they do to the data."""

from __future__ import annotations

import csv
import getpass
import io
import json
import os
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ..office_process import running_office
from ..rights.held_data import as_csv
from ..rights.register import Right
from .common import ask_office, console, fail, failing_in_one_line, need_installation, read_settings

app = typer.Typer(
    name="rights",
    help=(
        "The register of requests (GDPR Art. 15 to 22), and what they do to the data.\n\n"
        "What comes by mail is opened here; what visitors ask on the privacy page stands here too. An answer is "
        "promised within 14 days, due by law within one month, and within three with a reason that the person is told. "
        "A complaint is acknowledged within 3 working days.\n\n"
        "A person is found by the consent on their receipt, never by a name or an address: events hold neither. From "
        "letter to answer:\n\n"
        "  consent-gateway rights open access --receipt receipt.json --note 'letter of 20 November'\n\n"
        "  consent-gateway rights run 1 --out answer.json\n\n"
        "  consent-gateway rights close 1 --words 'sent by post'"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

Number = Annotated[int, typer.Argument(help="The request's number, as `rights list` shows it.")]
By = Annotated[str, typer.Option("--by", help="Who does this; your user name unless given.")]
Because = Annotated[str, typer.Option("--because", help="The reason, as the person is told it.")]


@app.command("open")
def open_(
    right: Annotated[Right, typer.Argument(help="What is asked for.")],
    receipt: Annotated[Path | None, typer.Option(help="The person's receipt: a JSON file.")] = None,
    consent_id: Annotated[str, typer.Option(help="Or the consent id that stands on it.")] = "",
    received: Annotated[str, typer.Option(help="The day it came, as 2026-11-20; today unless given.")] = "",
    site: Annotated[str, typer.Option(help="Which site, when there are several.")] = "",
    note: Annotated[str, typer.Option(help="What was asked, in words; for a rectification what is right.")] = "",
    by: By = "",
) -> None:
    """Enter a request that came by mail, and say until when it has to be answered.

    Without a receipt or a consent id no row can be found for the person (GDPR Art. 11): it is entered all the same, to
    be answered, and to be refused with that reason.
    """
    if received:
        try:
            date.fromisoformat(received)
        except ValueError:
            fail(f"--received is {received!r}: allowed is a day as 2026-11-20", 2)
    values = {"right": right.value, "site": site, "received": received, "note": note}
    values["consent_id"] = _consent_of(receipt) if receipt else consent_id
    request = _ask("POST", "/rights", values | {"by": by or _user()})
    console.print(f"Request {request['number']} ({right.value}) is open.")
    if request["acknowledge_by"]:
        console.print(f"  acknowledge it by {request['acknowledge_by']}: consent-gateway rights acknowledge")
    console.print(f"  answer promised by {request['due']}, due by law on {request['limit']}")
    if request["person"]:
        console.print(f"  next: consent-gateway rights run {request['number']}", highlight=False)
    else:
        console.print("  it names no consent, so no row can be found for it: ask the person for the receipt")


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those that were answered, too.")] = False,
) -> None:
    """Show the requests that wait for an answer, and what is still in force; what is late comes first, in red.

    Ends with 1 when something is late, so that a monitor can run it.
    """
    found = _ask("GET", "/rights", {"all": "yes" if every else "no"})
    if not found:
        console.print("No request is open." + ("" if every else " (--all shows those that were answered)"))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("no", "right", "site", "state", "received", "promised", "by law", ""):
        table.add_column(name, justify="right" if name == "no" else "left", no_wrap=name in ("no", "right"))
    for one in found:
        table.add_row(
            str(one["number"]), one["right"], one["site"], _state(one), one["received"], one["due"], one["limit"],
            f"[bold red]LATE: {one['overdue']}[/]" if one["overdue"] else "",
        )  # fmt: skip
    console.print(table)
    if late := sum(1 for one in found if one["overdue"]):
        fail(f"{late} request{'s are' if late > 1 else ' is'} late")


@app.command()
def show(number: Number) -> None:
    """Show all that the register knows of one request: who did what, when, why, and what was counted as proof."""
    request = _ask("GET", f"/rights/{number}")
    console.print_json(json.dumps(request, ensure_ascii=False))


@app.command()
def run(
    number: Number,
    out: Annotated[
        Path | None, typer.Option(help="For access and portability: the file for the person, .json or .csv.")
    ] = None,
    by: By = "",
) -> None:
    """Do to the data what a request asks for, and write down what was counted.

    Access and portability write a file for the person. Erasure takes the rows away wherever they are, and counts what
    is left: nothing. Restriction keeps them aside, in no report and without expiry, until `rights lift`. Objection and
    withdrawal count from now on. Rectification puts the note beside the data. The person still has to be answered:
    `rights close` says that this was done.
    """
    before = _ask("GET", f"/rights/{number}")
    if before["right"] in ("access", "portability"):
        if out is None or out.suffix not in (".json", ".csv"):
            fail(f"request {number} gives the person a file: --out answer.json, or --out answer.csv", 2)
        elif out.exists():
            fail(f"{out} exists already; nothing is overwritten")
    request = _ask("POST", f"/rights/{number}/run", {"by": by or _user()})
    if out is not None and "export" in request:
        about = request.pop("export")
        csv_rows = [*about["rows"], *about["on_the_way"]]
        text = as_csv(csv_rows) if out.suffix == ".csv" else json.dumps(about, indent=1, ensure_ascii=False)
        _write(out, text)
        console.print(f"{len(csv_rows):,} rows are in {out}.", highlight=False)
    if request["state"] == "refused":
        console.print(f"Request {number} is refused: {request['entries'][-1]['words']}. Tell the person so.")
        return
    if request["state"] == "open":
        fail(f"request {number} is under way and not finished; the back office goes on with it")
    proof: dict[str, Any] = next((entry["proof"] for entry in reversed(request["entries"]) if entry["proof"]), {})
    counted = ", ".join(f"{place.replace('_', ' ')}: {value}" for place, value in proof.items())
    console.print(f"Request {number} is done." + (f" {counted}" if counted else ""))
    if request["state"] == "done":
        console.print(f"  answer the person by {request['due']}, then: consent-gateway rights close {number}")


@app.command()
def acknowledge(number: Number, by: By = "") -> None:
    """Note that the person was told that the request, or the complaint, has come."""
    request = _step(number, "acknowledge", by, "")
    console.print(f"Request {number} is acknowledged; the answer is promised by {request['due']}.")


@app.command()
def extend(number: Number, because: Because, by: By = "") -> None:
    """Take three months instead of one, for a reason that the person must be told within the first (Art. 12(3))."""
    request = _step(number, "extend", by, because)
    console.print(f"Request {number} has until {request['limit']}. Tell the person by then why: {because}")


@app.command()
def refuse(number: Number, because: Because, by: By = "") -> None:
    """Refuse a request, for a reason that the person is told, with the right to complain (Art. 12(4))."""
    _step(number, "refuse", by, because)
    console.print(f"Request {number} is refused. Tell the person why, and that a complaint can be made: {because}")


@app.command()
def close(
    number: Number, words: Annotated[str, typer.Option(help="What the person was answered, and how.")] = "", by: By = ""
) -> None:
    """Note that the person has the answer. From then on nothing is due."""
    _step(number, "close", by, words)
    console.print(f"Request {number} is closed.")


@app.command()
def hold(
    number: Number,
    because: Because = "",
    release: Annotated[bool, typer.Option("--release", help="The claim has ended: let the data go.")] = False,
    by: By = "",
) -> None:
    """Keep the data of a request's person for a legal claim (Art. 17(3)(e)): neither erased nor expired, in no report.

    The person is told so on the privacy page and in every export. With --release retention counts again, and an
    erasure that was refused because of the claim is carried out.
    """
    _step(number, "release" if release else "hold", by, because)
    console.print(f"The data of request {number} are {'free again' if release else 'kept for a legal claim'}.")


@app.command()
def lift(number: Number, by: By = "") -> None:
    """End a restriction: the rows come back, and their retention counts again. Tell the person before (Art. 18(3))."""
    _step(number, "lift", by, "")
    console.print(f"The restriction of request {number} is lifted.")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The file to write, .json or .csv.")],
) -> None:
    """Write the whole register to a file, for the authority or for your own files."""
    if out.suffix not in (".json", ".csv"):
        fail(f"--out is {out}: allowed are .json and .csv", 2)
    if out.exists():
        fail(f"{out} exists already; nothing is overwritten")
    found = _ask("GET", "/rights", {"all": "yes"})
    found.sort(key=lambda one: one["number"])
    if out.suffix == ".json":
        _write(out, json.dumps(found, indent=1, ensure_ascii=False))
    else:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["number", "right", "site", "state", "received", "due", "limit", "at", "step", "by", "words"])
        for one in found:
            about = [one[name] for name in ("number", "right", "site", "state", "received", "due", "limit")]
            for entry in one["entries"]:
                writer.writerow([*about, *(entry[name] for name in ("at", "step", "by", "words"))])
        _write(out, text.getvalue())
    console.print(f"{len(found):,} requests are in {out}.", highlight=False)


def _ask(method: str, path: str, params: dict[str, str] | None = None) -> Any:
    settings = read_settings()
    need_installation(settings)
    with failing_in_one_line(), running_office(settings):
        return ask_office(settings, method, path, params)


def _step(number: int, step: str, by: str, words: str) -> Any:
    return _ask("POST", f"/rights/{number}/{step}", {"by": by or _user(), "words": words})


def _state(one: dict[str, Any]) -> str:
    if one["held"]:
        return f"{one['state']}, held"
    return str(one["state"]) + (", extended" if one["extended"] else "")


def _consent_of(receipt: Path) -> str:
    """The consent that a receipt speaks of. The ledger says whether there is one; the person wrote from wherever."""
    try:
        document = json.loads(receipt.read_text())
    except (OSError, ValueError) as error:
        fail(f"{receipt} is no receipt: {error}")
        raise
    found = _find(document, ("pii_principal_id", "consent_id"))
    if not found:
        fail(f"{receipt} names no consent: is it the receipt of a refusal?")
    return found


def _find(value: Any, names: tuple[str, ...]) -> str:
    if isinstance(value, dict):
        own = next((value[name] for name in names if isinstance(value.get(name), str) and value[name]), "")
        return own or next((found for part in value.values() if (found := _find(part, names))), "")
    if isinstance(value, list):
        return next((found for part in value if (found := _find(part, names))), "")
    return ""


def _write(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        fail(f"{path} can't be written: {error.strerror}")
        raise
    with open(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
