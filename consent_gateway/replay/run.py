"""One run over some logs: every line is judged by the rule at its own time, every event goes to the spool once."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..record.books import Books
from ..record.office import Lock
from ..record.salts import RunSalts, destroy
from ..record.spool import ROWS_A_SEGMENT, Spool, line
from ..rule.columns import RETENTION_DAYS
from ..rule.errors import SpoolFull
from ..rule.event import DropReason, Event, Observation, Sender
from ..rule.privacy import Rule
from ..rule.purposes import MEASUREMENT
from .accesslog import page_type, parse_line, show
from .journal import Chunk, Journal, Journals
from .source import LogError, Source

log = logging.getLogger("consent_gateway")

_CHUNK_LINES = ROWS_A_SEGMENT
_CHUNK_BYTES = 4 << 20
_EXAMPLES = 3
_DAY_SECONDS = 86_400
_ROOM_SECONDS = 60.0  # how long a full spool may stay as full

Progress = Callable[[Source, int], None]  # the log being read, and the lines read of all logs; called for each chunk


class Example(NamedTuple):
    """An unparsable line, without addresses."""

    name: str
    number: int
    text: str


@dataclass(slots=True)
class Summary:
    """What a run did. `lines` = `page_views` + `page_errors` + all of `dropped`."""

    lines: int = 0
    page_views: int = 0
    page_errors: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)
    continued: dict[str, int] = field(default_factory=dict)  # log, and after how many lines
    known: list[str] = field(default_factory=list)  # logs without anything new
    waiting: list[str] = field(default_factory=list)  # logs whose last line has no end yet
    empty: list[str] = field(default_factory=list)  # logs with nothing in them
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Judged:
    """A chunk's events as JSON by UTC month, and its lines by what became of them: a type of event or a drop reason."""

    events: dict[str, list[bytes]] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


class Run:
    """`read` may be called once. After an interruption `summary` tells what is done; the next run goes on from there.

    `salts` are those that `rule` asks; they end with the run. `key` is a secret of the installation. A spool that holds
    `limit` bytes is waited for when it is being `emptied`, else it is `SpoolFull`. `now` is in milliseconds, UTC.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        site: str,
        rule: Rule,
        salts: RunSalts,
        spool: Spool,
        books: Books,
        key: bytes,
        again: bool = False,
        keep_expired: bool = False,
        limit: int = 0,
        emptied: bool = False,
        progress: Progress | None = None,
        now: int | None = None,
    ) -> None:
        self.summary = Summary()
        self._data_dir = data_dir
        self.site, self._salts, self._spool, self._books = site, salts, spool, books
        self._keep_ms = rule.keep_ms or RETENTION_DAYS[MEASUREMENT] * _DAY_SECONDS * 1000
        self._judge = replace(rule, keep_ms=0).judge  # a line's age counts from now, not from when it was received
        self._key, self._again, self._keep_expired = key, again, keep_expired
        self._limit, self._emptied = limit, emptied
        self._progress = progress
        self.now = int(time.time() * 1000) if now is None else now
        self._encode = msgspec.json.Encoder().encode
        self._faults: set[str] = set()

    def read(self, names: Sequence[str]) -> Summary:
        """Read logs, by path; `-` is standard input. `LogError` when another run is on; errors of one log are told in
        the summary."""
        with self.reading() as journals:
            for name in names:
                try:
                    self.read_log(Source(name), journals)
                except LogError as error:
                    self.summary.errors.append(str(error))
            self._salts.end()
        return self.summary

    @contextmanager
    def reading(self) -> Iterator[Journals]:
        """Be the one run that is on, with the journals as a killed one left them. `SpoolFull` when the disk refuses."""
        lock = Lock(self._data_dir, "replay")
        if not lock.take():
            raise LogError("another replay is running on this data: wait for its end")
        try:
            self._forget_old_salts()
            journals = Journals(self._data_dir, self._key)
            self.recover(journals)
            yield journals
        except OSError as error:
            raise SpoolFull(f"the data can't be written: {error.strerror}") from error
        finally:
            lock.free()

    def recover(self, journals: Journals) -> None:
        """End what was begun: by a killed run, or by this one before the disk refused."""
        journals.recover(self._spool, self._books)

    def read_log(self, source: Source, journals: Journals, journal: Journal | None = None) -> None:
        """Read what is new in a log, by its journal where the caller knows that."""
        try:
            if source.first_line is not None:
                journal = journal or journals.of(source, self.site, again=self._again)
                self._read_from(source, journal, journals)
                if source.is_pipe:
                    journal.forget()
            elif source.head and not source.damage:
                self.summary.waiting.append(source.name)
            elif not source.damage:
                self.summary.empty.append(source.name)
        finally:
            source.close()
        if source.damage:
            raise LogError(source.damage)

    def _read_from(self, source: Source, journal: Journal, journals: Journals) -> None:
        before, start = self.summary.lines, journal.line_to
        unparsable = self.summary.dropped[DropReason.UNPARSABLE]
        self._tell(source)
        for texts, size in _chunks(source.lines(journal.to)):
            judged = self._judge_lines(source.name, journal.line_to, texts)
            self._wait_for_room()
            tail = journals.tail(texts[-1] if source.unfed else texts[-1] + b"\n")
            self._keep(journal, judged, journal.line_to + len(texts), journal.to + size, tail)
            self._sum_up(judged, len(texts))
            self._tell(source)
        lines = self.summary.lines - before
        if lines and start:
            self.summary.continued[source.name] = start
        elif lines and self.summary.dropped[DropReason.UNPARSABLE] - unparsable == lines:
            self.summary.errors.append(f"{source.name}: not one line of it is of an access log")
        if source.waiting:
            self.summary.waiting.append(source.name)
        elif not lines and not source.damage:
            self.summary.known.append(source.name)

    def _judge_lines(self, name: str, before: int, texts: Iterable[bytes]) -> _Judged:
        """`before` is the number of the line before the first."""
        judged = _Judged()
        for number, raw in enumerate(texts, before + 1):
            text = raw.decode("utf-8", "replace")
            event = self._judge_line(text)
            if isinstance(event, DropReason):
                judged.dropped[event.value] += 1
                if event is DropReason.UNPARSABLE and len(self.summary.examples) < _EXAMPLES:
                    self.summary.examples.append(Example(name, number, show(text)))
            else:
                judged.types[event.type] += 1
                judged.events.setdefault(event.at[:4] + event.at[5:7], []).append(self._encode(event))
        return judged

    def _judge_line(self, text: str) -> Event | DropReason:
        said = parse_line(text)
        if said is None:
            return DropReason.UNPARSABLE
        if not self._keep_expired and self.now - said.at > self._keep_ms:
            return DropReason.EXPIRED
        if said.at - self.now > _DAY_SECONDS * 1000:
            return DropReason.FUTURE
        kind = page_type(said)
        if kind is None:
            return DropReason.NOT_A_PAGE
        try:
            received_at = self.now if self._keep_expired else min(said.at, self.now)
            sender = Sender(self.site, received_at, address=said.address, user_agent=said.user_agent)
            return self._judge(
                Observation(
                    sender,
                    kind,
                    said.at,
                    said.target,
                    said.referrer,
                    view_id=int.from_bytes(os.urandom(8), "big") or 1,
                    http_status=said.status,
                )
            )
        except Exception as error:  # one line must not end the run; its text may hold an address, so it is never logged
            kind = type(error).__name__
            if kind not in self._faults:
                self._faults.add(kind)
                log.error("a line could not be judged (%s) and is counted as a fault; said once a run", kind)
            return DropReason.FAULT

    def _keep(self, journal: Journal, judged: _Judged, line_to: int, to: int, tail: str) -> None:
        """Commit a chunk: see `journal` for the steps."""
        segments: list[str] = []
        for month, events in judged.events.items():
            segment = f"{month}-{journal.name}-{journal.to:012d}-{to:012d}"
            batch = segment.encode()
            journal.stage(segment, (line(batch, event) for event in events))
            segments.append(segment)
        counts = {
            "received": line_to - journal.line_to,
            "accepted": judged.types.total(),
            **{f"dropped.{reason}": number for reason, number in judged.dropped.items()},
        }
        journal.commit(Chunk(journal.to, to, line_to, segments, tail, counts))
        journal.count(self._books)
        journal.publish(self._spool)

    def _sum_up(self, judged: _Judged, lines: int) -> None:
        self.summary.lines += lines
        self.summary.page_views += judged.types["page_view"]
        self.summary.page_errors += judged.types["page_error"]
        self.summary.dropped.update(judged.dropped)

    def _tell(self, source: Source) -> None:
        if self._progress is not None:
            self._progress(source, self.summary.lines)

    def _wait_for_room(self) -> None:
        least, until = 0, 0.0
        while self._limit and (size := self._spool.size()) >= self._limit:
            if not least or size < least:
                least, until = size, time.monotonic() + _ROOM_SECONDS
            if not self._emptied or time.monotonic() > until:
                raise SpoolFull(f"the spool holds {size} bytes, its limit is {self._limit}, and nobody empties it")
            time.sleep(0.2)

    def _forget_old_salts(self) -> None:
        """A run that was interrupted leaves its salts for the one that continues it, but not for longer than a day."""
        for path in self._salts.directory.glob("salt-*"):
            if time.time() - path.stat().st_mtime > _DAY_SECONDS:
                destroy(path)


def _chunks(lines: Iterable[tuple[bytes, int]]) -> Iterator[tuple[list[bytes], int]]:
    """Lines in pieces, and how many bytes each takes."""
    texts: list[bytes] = []
    taken = 0
    for text, size in lines:
        texts.append(text)
        taken += size
        if len(texts) >= _CHUNK_LINES or taken >= _CHUNK_BYTES:
            yield texts, taken
            texts, taken = [], 0
    if texts:
        yield texts, taken
