"""The forwarder: the one worker that brings each sealed segment into the store, exactly once.

A segment goes in by one insert: one block, one partition, with its name as deduplication token, so all of its rows
arrive or none. No answer is believed. The store is asked for the rows of the batch before it is sent, because an
earlier try may have arrived, or the segment came back from a backup; and after it was sent, because a token that was
logged while its rows were lost (the engine died in between) makes a later insert "successful" without rows. Then the
batch goes again under its next token. Tokens are the same at each try, so that rows of an insert that was given up and
arrive late find their token used.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from ..record.books import Tally
from ..record.ledger import Stops
from ..record.spool import Spool, write_segment
from ..rule.errors import ConsentGatewayError, StoreError
from .batch import Batch, read
from .client import Failure, first_line
from .days import Days
from .held import Holder, table_of
from .layout import SINGLE, Layout
from .lines import insert_lines
from .progress import Progress
from .scrub import Scrubber
from .sealer import Sealer

log = logging.getLogger("consent_gateway.forwarder")

_WRITING_SECONDS, _LOOK_SECONDS = 12.0, 0.1
_EVERY_SECONDS = 1.0
_LONGEST_PAUSE = 5.0
_SAY_SECONDS = 10.0
_END_SECONDS = 5.0
_SETTLE_SECONDS = 1.0  # before a token is given up: the engine logs it a moment before its rows can be seen
_TOKENS = 5  # of one batch, before we hold that the store swallows it
_REFUSALS = 3  # of one batch for its content, before it is set aside
# Codes with which ClickHouse says that the data, and not the moment, is wrong
_BAD_CONTENT = {6, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 128, 130, 131, 321, 349, 376, 441, 467, 469, 691}


class Swallowed(Exception):
    """The store takes a batch again and again, and never has its rows."""


class Forwarder:
    """Runs in a thread of the back office. `connect` gives a client of the store, with its tables in place."""

    def __init__(
        self,
        spool: Spool,
        stops: Stops,
        tally: Tally,
        scrubber: Scrubber,
        connect: Callable[[], Client],
        *,
        layout: Layout = SINGLE,
        hear_others: Callable[[], None] = lambda: None,
        keep_time: Callable[[Client], None] = lambda client: None,
        days: Days | None = None,
    ) -> None:
        self._days = days
        self._spool, self._tally, self._scrubber = spool, tally, scrubber
        self.progress = Progress()
        self.holder = Holder(stops, layout, scrubber.expect, days)
        self._sealer = Sealer(spool, stops, tally, self.progress)
        self._connect, self._layout, self._hear_others = connect, layout, hear_others
        self._keep_time = keep_time  # what is due by the clock, with a client that is there anyway
        self._client: Client | None = None
        self._wake = threading.Event()
        self._end = threading.Event()
        self._deadline = inf
        self._round = threading.Lock()
        spool.clear_drafts()

    def run(self) -> None:
        """Seal and forward until `stop`, a round a second; after rounds that achieve nothing with growing pauses."""
        pause = _EVERY_SECONDS
        while not self._end.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            before = self.progress.batches
            try:
                self.forward_all()
                pause = _EVERY_SECONDS
                continue
            except (ConsentGatewayError, OSError) as error:
                self.progress.fail(first_line(error))
            except Exception:  # a fault of one round must not end the forwarding
                self.progress.failures += 1
                log.exception("forwarding failed; trying again")
            pause = min(_LONGEST_PAUSE, pause * 2) if self.progress.batches == before else _EVERY_SECONDS

    def stop(self, within: float = _END_SECONDS) -> None:
        """End `run`. What is being sent, and one last round, may take so many seconds; the rest waits in the spool."""
        self._deadline = time.monotonic() + within
        self._end.set()
        self._wake.set()

    def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with suppress(*Failure):
                client.close()

    def forward_all(self) -> int:
        """One round: seal what is complete, send what is sealed, scrub what is due. Returns the sealed segments left.

        `StoreError` when the store is away.
        """
        with self._round:
            self._seal()
            self._tally.fold()
            self._empty_spool()
            if self.holder.due():
                self._in_store(self.holder.move)
            if self._scrubber.due():
                self._scrub()
            if self._client is not None:
                self._in_store(self._keep_time)
            return self.pending()

    def forward_now(self, within: float = _WRITING_SECONDS) -> int:
        """Everything that is in the spool now, also what a worker is still writing: it lets go within a second, or ten
        in a backlog. Returns the segments that are left of it."""
        until = time.monotonic() + within
        writing = set(self._spool.segments(self._spool.open))
        while True:
            left = self.forward_all()
            writing &= set(self._spool.segments(self._spool.open))
            if not writing or time.monotonic() > until:
                return left + len(writing)
            time.sleep(_LOOK_SECONDS)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is sealed, sent or scrubbed while the block runs."""
        with self._round:
            yield

    def pending(self) -> int:
        """Sealed segments that are not in the store yet."""
        return len(self._spool.segments(self._spool.sealed))

    def _seal(self) -> None:
        """Of several hosts, not before the others' stops are known: `StoreError` when they can't be."""
        if self._spool.segments(self._spool.open):
            self._hear_others()
        self._sealer.seal()

    def _empty_spool(self) -> None:
        """Oldest first, but every second what is fresh goes before, so an outage of a day does not delay the events of
        now. What the store refused goes last, the least tried first, so it is in nobody's way."""
        tries = self.progress.tries
        found = self._spool.segments(self._spool.sealed)
        backlog = deque(sorted(found, key=lambda path: tries.get(path.name, 0)))
        known = set(backlog)
        began = look = say = time.monotonic()
        total, sent = len(backlog), 0
        while backlog and time.monotonic() < self._deadline:
            self._send(backlog.popleft())
            sent += 1
            now = time.monotonic()
            if now - look >= _EVERY_SECONDS:
                look = now
                self._seal()
                fresh = [path for path in self._spool.segments(self._spool.sealed) if path not in known]
                known.update(fresh)
                for path in fresh:
                    self._send(path)
            if now - say >= _SAY_SECONDS or (not backlog and say != began):
                say = now
                left = (now - began) / sent * len(backlog)
                log.info("backlog: %d of %d segments sent, about %.0f s left", sent, total, left)

    def _send(self, path: Path) -> None:
        """Bring one segment into the store, or set it aside, or leave it for later. `StoreError` ends the round."""
        try:
            batch = read(path)
        except OSError as error:
            self.progress.name_trouble(path, f"can't be read: {error.strerror}")
            return
        client = self._ready()
        try:
            stored = self._stored_before(client, batch)
            if not stored and batch.broken:
                batch = self._without_broken(path, batch)
            if not stored and batch.whole:
                self._insert(client, batch)
            if self._layout.encrypted:
                os.sync()  # the folder of the new part, before its segment goes
            if self._days is not None:  # before it is confirmed: after a crash this comes again
                self._days.late(client, [(head.site, head.at) for head in batch.heads])
        except (ClickHouseError, OSError, Swallowed) as error:
            self._failed(path, batch, error)
            return
        counts = batch.sites("confirmed")
        counts.update(batch.broken_sites("confirmed"))  # they broke after the store had them
        try:
            counted = self._tally.confirm(batch.name, counts)
        except OSError:  # the disk is full: the segment's own room is enough
            path.unlink()
            counted = self._tally.confirm(batch.name, counts)
        path.unlink(missing_ok=True)
        self.progress.tries.pop(batch.name, None)
        self.progress.rows += counts.total() if counted else 0
        self.progress.batches += 1
        self.progress.last_error = ""

    def _stored_before(self, client: Client, batch: Batch) -> bool:
        """Has an earlier try arrived, or is this segment back from a backup? (Then the tally knows that it counted.)"""
        if batch.name in self._tally.sent:  # it may still be arriving
            kill = f"KILL QUERY{self._layout.on_cluster} WHERE query_id = {{id:String}} SYNC"
            client.command(kill, parameters={"id": batch.name})
        found = _count(client, batch, self._layout)
        expected = len(batch.whole) + len(batch.broken)
        if 0 < found < expected:
            log.warning("batch %s has %d of %d rows in the store: others were erased", batch.name, found, expected)
        if found and batch.name not in self._tally.sent:
            log.info("segment %s came back, its rows are in the store already", batch.name)
        return found > 0

    def _without_broken(self, path: Path, batch: Batch) -> Batch:
        """Lines that broke while the segment waited. None of it is in the store, so its bytes may change once more."""
        self._sealer.set_aside(batch, "damaged-sealed")
        write_segment(path, batch.whole)
        return read(path)

    def _insert(self, client: Client, batch: Batch) -> None:
        """Send a batch that the store does not have, until it has it."""
        with suppress(OSError):  # on a full disk the mark lives in memory only
            self._tally.begin(batch.name)
        self._scrubber.expect(batch.persons())
        self.holder.expect(batch.persons(), batch.name)
        table = self._layout.local(table_of(batch.name))
        data = b"".join(batch.whole)
        for number in range(_TOKENS):
            token = f"{batch.name}.{number}" if number else batch.name
            settings = self._layout.insert_settings | {"insert_deduplication_token": token}
            insert_lines(client, table, data, settings, batch.name)
            if _count(client, batch, self._layout):
                return
            log.warning("the store knows the token of batch %s and has no rows of it: sending it anew", batch.name)
            time.sleep(_SETTLE_SECONDS)
            if _count(client, batch, self._layout):
                return
        raise Swallowed(f"accepted {_TOKENS} times, and not one row is there")

    def _failed(self, path: Path, batch: Batch, error: Exception) -> None:
        """Content that the store refuses is set aside after a few tries; anything else waits for a better moment."""
        name, code = batch.name, getattr(error, "code", None)
        if isinstance(error, Swallowed) or (code is not None and not isinstance(error, OperationalError)):
            self.progress.tries[name] = self.progress.tries.get(name, 0) + 1
        if isinstance(error, Swallowed) or (code in _BAD_CONTENT and not isinstance(error, OperationalError)):
            if self.progress.tries[name] >= _REFUSALS:
                self._tally.add("aside", name, batch.sites("aside"))
                path.rename(self._spool.aside / name)
                self.progress.tries.pop(name)
                self.progress.aside += len(batch.whole)
                self.progress.name_trouble(path, f"is refused by the store, and set aside: {first_line(error)}")
            else:
                log.warning("the store refuses segment %s: %s", name, first_line(error))
            return
        self.close()
        raise StoreError(f"{first_line(error)} (segment {name})") from error

    def _ready(self) -> Client:
        if self._client is None:
            try:
                self._client = self._connect()
            except Failure as error:
                raise StoreError(first_line(error)) from error
        return self._client

    def _scrub(self) -> None:
        self._in_store(self._scrubber.scrub)

    def _in_store(self, work: Callable[[Client], object]) -> None:
        client = self._ready()
        try:
            work(client)
        except Failure as error:
            self.close()
            raise StoreError(first_line(error)) from error


def _count(client: Client, batch: Batch, layout: Layout) -> int:
    """The rows of a batch in the store. `at` lets the table's key leave out all other days."""
    sql = f"SELECT count() FROM {table_of(batch.name)} WHERE batch = {{batch:String}}"
    times = [head.at for head in batch.heads]
    parameters = {"batch": batch.name}
    if times:
        sql += " AND at BETWEEN {first:DateTime64(3, 'UTC')} AND {last:DateTime64(3, 'UTC')}"
        parameters |= {"first": min(times), "last": max(times)}
    return int(client.query(sql, parameters=parameters, settings=layout.count_settings).result_rows[0][0])
