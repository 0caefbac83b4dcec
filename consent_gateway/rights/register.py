"""The register of requests: one append-only file under `DATA_DIR/rights`, on the disk before an answer leaves.

An entry is what happened to a request, when and by whom; what a request is now is what its entries say together. The
file is the truth; table `rights_requests` is a copy of it, without the words that people wrote.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..record.ledger import File
from ..rule.errors import ConsentGatewayError
from . import deadlines


class Right(StrEnum):
    """What may be asked for (GDPR Art. 15 to 21, 7(3) and 77)."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    PORTABILITY = "portability"
    WITHDRAWAL = "withdrawal"
    COMPLAINT = "complaint"


class Step(StrEnum):
    """What an entry says."""

    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    EXTENDED = "extended"
    DONE = "done"  # what it asks for was done to the data
    LIFTED = "lifted"  # what was done by a restriction was taken back
    HELD = "held"  # the person's data are kept for a legal claim
    RELEASED = "released"
    REFUSED = "refused"
    CLOSED = "closed"  # the person has the answer


class RightsError(ConsentGatewayError):
    """A request can't be taken, or this can't be done to it now."""


@dataclass(frozen=True)
class Entry:
    """One line of the file. `words` are what was written by whoever did it; `proof` what was counted or counts."""

    number: int
    at: str
    step: Step
    by: str
    words: str = ""
    proof: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request as it stands. `person` is 0 when the mail names nobody whom we could find."""

    number: int
    right: Right
    site: str
    received: date
    source: str
    person: int = 0
    consent_id: str = ""
    note: str = ""
    extended: bool = False
    acknowledged: bool = False
    held: bool = False
    done: bool = False
    state: str = "open"  # open, done, refused, closed
    entries: tuple[Entry, ...] = ()

    @property
    def is_open(self) -> bool:
        """Does somebody still wait for an answer?"""
        return self.state in ("open", "done")

    @property
    def due(self) -> date:
        return self.limit if self.extended else deadlines.promised(self.received)

    @property
    def limit(self) -> date:
        return deadlines.limit(self.received, extended=self.extended)

    @property
    def acknowledge_by(self) -> date | None:
        """Of a complaint that was not acknowledged yet."""
        waits = self.right is Right.COMPLAINT and self.is_open and not self.acknowledged
        return deadlines.acknowledged_by(self.received) if waits else None

    def overdue(self, today: date) -> str:
        """What is late, in words; empty when nothing is."""
        if not self.is_open:
            return ""
        for what, day in (
            ("past the legal limit", self.limit),
            ("past the promise", self.due),
            ("not acknowledged", self.acknowledge_by),
        ):
            if day is not None and today > day:
                days = (today - day).days
                return f"{what} by {days} day{'s' if days != 1 else ''}"
        return ""

    def as_json(self, today: date) -> dict[str, Any]:
        return {
            "number": self.number,
            "right": self.right.value,
            "site": self.site,
            "state": self.state,
            "received": str(self.received),
            "due": str(self.due),
            "limit": str(self.limit),
            "extended": self.extended,
            "acknowledge_by": str(self.acknowledge_by or ""),
            "overdue": self.overdue(today),
            "source": self.source,
            "person": self.person,
            "consent_id": self.consent_id,
            "note": self.note,
            "held": self.held,
            "entries": [entry.__dict__ | {"step": entry.step.value} for entry in self.entries],
        }


class Register:
    """All requests of this host. Written by the back office only; times come in as aware datetimes."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "rights" / "register.jsonl"
        self._lock = threading.Lock()
        self._file: File | None = None
        self._requests: dict[int, Request] = {}
        self.load()

    def load(self) -> None:
        """Read the file anew, as after a restore."""
        with self._lock:
            self._requests = {}
            for line in _lines(self.path):
                self._take_in(line)

    def open(
        self,
        right: Right,
        now: datetime,
        *,
        site: str,
        by: str,
        source: str,
        received: date | None = None,
        person: int = 0,
        consent_id: str = "",
        note: str = "",
    ) -> Request:
        """Enter a request, and return it. `RightsError` when its day can't be."""
        day = received or now.date()
        if day > now.date():
            raise RightsError(f"received is {day}: allowed is today or earlier")
        with self._lock:
            number = max(self._requests, default=0) + 1
            about = {
                "right": right.value, "site": site, "received": str(day), "source": source, "person": person,
                "consent_id": consent_id, "note": note,
            }  # fmt: skip
            return self._write(Entry(number, _iso(now), Step.OPENED, by), about)

    def add(
        self, number: int, step: Step, now: datetime, *, by: str, words: str = "", proof: dict[str, Any] | None = None
    ) -> Request:
        """Enter what happened to a request. `RightsError` where that can't be."""
        with self._lock:
            _check(self._known(number), step, now.date(), words)
            return self._write(Entry(number, _iso(now), step, by, words, proof or {}), {})

    def get(self, number: int) -> Request:
        with self._lock:
            return self._known(number)

    def all(self) -> list[Request]:
        with self._lock:
            return [self._requests[number] for number in sorted(self._requests)]

    def of(self, person: int) -> list[Request]:
        """The requests about one person, oldest first."""
        return [request for request in self.all() if person and request.person == person]

    def overdue(self, today: date) -> list[Request]:
        return [request for request in self.all() if request.overdue(today)]

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _known(self, number: int) -> Request:
        request = self._requests.get(number)
        if request is None:
            raise RightsError(f"there is no request {number}: `consent-gateway rights list --all` shows them")
        return request

    def _write(self, entry: Entry, about: dict[str, Any]) -> Request:
        line = about | entry.__dict__ | {"step": entry.step.value}
        try:
            if self._file is None:
                self._file = File(self.path)
            self._file.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            self._file.sync()
        except OSError as error:
            raise RightsError(f"the register could not be written: {error.strerror}") from error
        return self._take_in(line)

    def _take_in(self, line: dict[str, Any]) -> Request:
        entry = Entry(
            line["number"], line["at"], Step(line["step"]), line["by"], line.get("words", ""), line.get("proof", {})
        )
        if entry.step is Step.OPENED:
            request = Request(
                entry.number, Right(line["right"]), line["site"], date.fromisoformat(line["received"]), line["source"],
                line.get("person", 0), line.get("consent_id", ""), line.get("note", ""), entries=(entry,),
            )  # fmt: skip
        else:
            request = _after(self._requests[entry.number], entry)
        self._requests[entry.number] = request
        return request


def _after(request: Request, entry: Entry) -> Request:
    """The request after one more entry."""
    entries = (*request.entries, entry)
    match entry.step:
        case Step.ACKNOWLEDGED:
            return replace(request, acknowledged=True, entries=entries)
        case Step.EXTENDED:
            return replace(request, extended=True, entries=entries)
        case Step.DONE:
            return replace(request, done=True, state="done" if request.is_open else request.state, entries=entries)
        case Step.REFUSED:
            return replace(request, state="refused", entries=entries)
        case Step.CLOSED:
            return replace(request, state="closed", entries=entries)
        case Step.HELD | Step.RELEASED:
            return replace(request, held=entry.step is Step.HELD, entries=entries)
        case _:
            return replace(request, entries=entries)


def _check(request: Request, step: Step, today: date, words: str) -> None:
    """Refuse what would make the register say something that can't be."""
    number = request.number
    if step in (Step.EXTENDED, Step.REFUSED, Step.HELD) and not words.strip():
        raise RightsError(f"a reason is needed, which the person is told: request {number} stays as it is")
    if step in (Step.EXTENDED, Step.REFUSED, Step.CLOSED, Step.ACKNOWLEDGED) and not request.is_open:
        raise RightsError(f"request {number} is {request.state} already")
    if step is Step.EXTENDED:
        if request.extended:
            raise RightsError(f"request {number} was extended already; three months are the most (GDPR Art. 12(3))")
        if today > request.limit:
            raise RightsError(
                f"request {number} can't be extended any more: the person had to be told by {request.limit}"
            )
    if step is Step.LIFTED and not (request.right is Right.RESTRICTION and request.done):
        raise RightsError(f"request {number} restricts nothing")
    if step is Step.RELEASED and not request.held:
        raise RightsError(f"request {number} holds nothing")


def _iso(now: datetime) -> str:
    return now.isoformat(timespec="seconds")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The entries; a last line that a power cut left unfinished was answered to nobody."""
    if not path.exists():
        return
    for text in path.read_bytes().splitlines(keepends=True):
        if text.endswith(b"\n"):
            yield json.loads(text)
