"""The forwarder: the one worker that seals segments and brings each of them into the store exactly once.

A segment goes in by one insert: one block, one partition, with its name as deduplication token. After any failure, and
at start, the store is asked how many rows of the batch it has before anything is sent again; a token that was logged
while its rows were lost (the engine died in between) shows as a "successful" insert without rows, and the batch goes
again under a new token.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from ..record.books import Key, Tally
from ..record.ledger import Stop, Stops
from ..record.spool import Spool, line, read_lines, write_segment
from ..rule.errors import ConsentGatewayError, StoreError
from ..rule.privacy import when, without_purpose
from ..rule.purposes import ANALYTICS, MEASUREMENT
from .client import Failure, first_line
from .scrub import Scrubber

log = logging.getLogger("consent_gateway.forwarder")

_EVERY_SECONDS = 1.0
_LONGEST_PAUSE = 30.0
_SAY_SECONDS = 10.0
_REFUSALS = 3  # of one batch for its content, before it is set aside
_SITE = re.compile(rb'"site":"([^"\\]*)"')
_PERSON = re.compile(rb'"person":(\d+)')
_RECEIVED = re.compile(rb'"received_at":"([^"]*)"')
# Codes with which ClickHouse says that the data, and not the moment, is wrong
_BAD_CONTENT = {6, 26, 27, 33, 41, 53, 69, 70, 72, 117, 131, 321, 349, 441, 467, 691}

_INSERT_SETTINGS = {
    "input_format_skip_unknown_fields": 1,  # the check sum and the event's id
    "input_format_parallel_parsing": 0,  # one block, so one part: all rows or none
    "max_insert_block_size": 1_000_000,
    "min_insert_block_size_rows": 1_000_000,
}


@dataclass
class Progress:
    """What the forwarder has done since it started, for health and for the log."""

    rows: int = 0
    batches: int = 0
    failures: int = 0
    aside: int = 0
    last_error: str = ""
    tries: dict[str, int] = field(default_factory=dict)


class Forwarder:
    """Runs in a thread of the back office. `connect` gives a client of the store, with its tables in place."""

    def __init__(
        self, spool: Spool, stops: Stops, tally: Tally, scrubber: Scrubber, connect: Callable[[], Client]
    ) -> None:
        self._spool, self._stops, self._tally, self._scrubber = spool, stops, tally, scrubber
        self._connect = connect
        self._client: Client | None = None
        self._wake = threading.Event()
        self._end = threading.Event()
        self._round = threading.Lock()
        self.progress = Progress()
        # whatever is found sealed may have been sent before we died
        self._suspect = {path.name for path in spool.segments(spool.sealed)}

    def run(self) -> None:
        """Seal and forward until `stop`, a round a second; after a failure with growing pauses."""
        pause = _EVERY_SECONDS
        while not self._end.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self.forward_all()
                pause = _EVERY_SECONDS
            except StoreError as error:
                pause = min(_LONGEST_PAUSE, pause * 2)
                self._note(f"the store can't take events now, the spool keeps them: {error}")
            except Exception:  # a fault of one round must not end the forwarding
                pause = min(_LONGEST_PAUSE, pause * 2)
                self.progress.failures += 1
                log.exception("forwarding failed; trying again in %.0f s", pause)

    def stop(self) -> None:
        self._end.set()
        self._wake.set()

    def forward_all(self) -> int:
        """One round: seal what is complete, send what is sealed, scrub what is due. Returns the sealed segments left.

        The backlog goes oldest first, but every second what is fresh goes before it, so an outage of a day does not
        delay the events of now.
        """
        with self._round:
            self.seal()
            self._tally.fold()
            backlog = deque(self._spool.segments(self._spool.sealed))
            known = set(backlog)
            began = look = say = time.monotonic()
            sent, total = 0, len(backlog)
            while backlog:
                self._send(backlog.popleft())
                sent += 1
                now = time.monotonic()
                if now - look >= _EVERY_SECONDS:
                    look = now
                    self.seal()
                    fresh = [path for path in self._spool.segments(self._spool.sealed) if path not in known]
                    known.update(fresh)
                    for path in fresh:
                        self._send(path)
                if now - say >= _SAY_SECONDS:
                    say = now
                    left = (now - began) / sent * len(backlog)
                    log.info("backlog: %d of %d segments sent, about %.0f s left", sent, total, left)
            if self._scrub_is_worth_it():
                self._scrubber.scrub(self._ready())
            return self.pending()

    def _scrub_is_worth_it(self) -> bool:
        """Don't connect to a store only to learn that nothing is due."""
        return self._client is not None or bool(self._stops.seen)

    def pending(self) -> int:
        """Sealed segments that are not in the store yet."""
        return len(self._spool.segments(self._spool.sealed))

    def seal(self) -> None:
        """Judge each complete segment once more, and fix its bytes."""
        for path in self._spool.complete():
            target = self._spool.sealed / path.name
            if target.exists():  # we died between the two steps below
                path.unlink()
                continue
            whole, broken = read_lines(path)
            if broken:
                self._set_aside_damaged(broken, path.name)
            judged = self._judge_again(path.name, whole)
            if judged is not whole or broken:
                if judged:
                    write_segment(target, judged)
                path.unlink()
            elif whole:
                path.rename(target)
            else:
                path.unlink()

    def _judge_again(self, name: str, lines: list[bytes]) -> list[bytes]:
        """The lines as they may be stored after the withdrawals since; the same list when none touches it."""
        self._stops.look()
        oldest = _RECEIVED.search(lines[0]) if lines else None
        if not self._stops.newest or (oldest and oldest[1].decode() > when(self._stops.newest)):
            return lines
        judged: list[bytes] = []
        gone: Counter[Key] = Counter()
        for text in lines:
            row = msgspec.json.decode(text)
            stops = self._stops.of(row["person"]) if row.get("person") else []
            kept = row
            for at, why in stops:
                if why is Stop.ERASED or kept is None:
                    kept = None
                elif why is Stop.WITHDRAWN:
                    kept = without_purpose(kept, ANALYTICS)
                elif row["at"] >= when(at):
                    kept = without_purpose(kept, MEASUREMENT)
            if kept is None:
                gone[row["site"], "erased"] += 1
                continue
            if stops and kept is not row:
                kept.pop("batch")
                text = line(name.encode(), msgspec.json.encode(kept), row.get("id", ""))
            judged.append(text)
        if gone:
            self._tally.add("seal", name, gone)
        return lines if judged == lines else judged

    def _set_aside_damaged(self, lines: list[bytes], name: str) -> None:
        """Lines that are not as they were written. A torn last line was never acknowledged; a flipped one was."""
        write_segment(self._spool.aside / f"{name}-damaged", lines)
        self._tally.add("damage", name, _by_site(b"".join(text for text in lines if text.endswith(b"\n")), "aside"))
        self.progress.aside += len(lines)
        log.error("%d damaged lines of segment %s are set aside in %s", len(lines), name, self._spool.aside)

    def _send(self, path: Path) -> None:
        data = path.read_bytes()
        rows, name = data.count(b"\n"), path.name
        try:
            client = self._ready()
            if name not in self._suspect:
                self._suspect.add(name)
                self._insert(client, name, name, data)
            else:
                self._resolve(client, name, rows, data)
        except (ClickHouseError, OSError, StoreError) as error:
            self._failed(path, error)
            return
        self._suspect.discard(name)
        self.progress.tries.pop(name, None)
        self._watch_for_late(data)
        self._tally.add("forward", name, _by_site(data, "confirmed"))
        path.unlink()
        self.progress.rows += rows
        self.progress.batches += 1
        self.progress.last_error = ""

    def _watch_for_late(self, data: bytes) -> None:
        """Rows of somebody who withdrew or was erased after the segment was sealed, or before it came back from a
        backup, are in the store now: have them scrubbed."""
        self._stops.look()
        if self._stops.newest:
            for person in {int(found) for found in _PERSON.findall(data)}:
                for _, why in self._stops.of(person):
                    self._scrubber.came_late(person, why)

    def _resolve(self, client: Client, name: str, rows: int, data: bytes) -> None:
        """A batch that may be in the store, in whole or not at all: ask, and send it only when it is not."""
        client.command("KILL QUERY WHERE query_id = {id:String} SYNC", parameters={"id": name})
        found = self._rows(client, name)
        token = name
        while found == 0:
            self._insert(client, name, token, data)
            found = self._rows(client, name)
            token = f"{name}.{time.time_ns()}"  # the old one was logged, yet its rows are not there
        if found != rows:
            log.warning("batch %s has %d of %d rows in the store: others expired or were erased", name, found, rows)

    @staticmethod
    def _insert(client: Client, name: str, token: str, data: bytes) -> None:
        settings = _INSERT_SETTINGS | {"insert_deduplication_token": token, "query_id": name}
        client.raw_insert("events", insert_block=data, fmt="JSONEachRow", settings=settings)

    @staticmethod
    def _rows(client: Client, name: str) -> int:
        answer = client.query(
            "SELECT count() FROM events WHERE batch = {batch:String} AND toYYYYMM(at) = {month:UInt32}",
            parameters={"batch": name, "month": int(name[:6])},
        )
        return int(answer.result_rows[0][0])

    def _ready(self) -> Client:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _failed(self, path: Path, error: Exception) -> None:
        """Content that the store refuses is set aside after a few tries; anything else waits for a better moment."""
        code = getattr(error, "code", None)
        if isinstance(error, ClickHouseError) and not isinstance(error, OperationalError) and code in _BAD_CONTENT:
            tries = self.progress.tries[path.name] = self.progress.tries.get(path.name, 0) + 1
            if tries < _REFUSALS:
                return
            data = path.read_bytes()
            self._tally.add("forward", path.name, _by_site(data, "aside"))
            path.rename(self._spool.aside / path.name)
            self.progress.aside += data.count(b"\n")
            log.error("the store refuses segment %s, it is set aside: %s", path.name, first_line(error))
            return
        if isinstance(error, Failure) and self._client is not None:
            client, self._client = self._client, None
            client.close()
        raise error if isinstance(error, ConsentGatewayError) else StoreError(first_line(error)) from error

    def _note(self, text: str) -> None:
        self.progress.failures += 1
        if text != self.progress.last_error:
            log.warning("%s", text)
        self.progress.last_error = text


def _by_site(data: bytes, term: str) -> Counter[Key]:
    return Counter({(site.decode(), term): count for site, count in Counter(_SITE.findall(data)).items()})
