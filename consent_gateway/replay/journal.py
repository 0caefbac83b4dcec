"""How far each log was read: what makes a killed, grown or rotated one continue exactly.

A journal is a file in `DATA_DIR/replay`, named by a keyed hash of the log's first line with addresses masked. Its first
entry describes the log's beginning; each other one a chunk: from where to where, the segments that carry its events,
what was counted. A chunk is committed by its entry:

1. its segments are written beside the journal, as drafts, and synced;
2. the entry is appended and synced;
3. the books count, and a mark says so;
4. the drafts move into the spool.

`recover` ends what a kill left between these steps: a draft that an entry names moves, any other is removed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import msgspec

from ..record.books import Books
from ..record.spool import Spool, write_segment
from .accesslog import mask
from .source import WINDOW, LogError, Source

_NAME = re.compile(r"[0-9]{6}-([0-9a-f]{16})-[0-9]+-[0-9]+")


class Beginning(msgspec.Struct, tag="log"):
    """The first entry. `ends` are the line ends in the log's first bytes, each with the hash of what stands before."""

    site: str
    ends: list[tuple[int, str]]


class Chunk(msgspec.Struct, tag="chunk"):
    """Lines whose events were committed together.

    `to` is the place after them, `tail` the hash of what stands before it, `line_to` the number of the last line.
    """

    start: int
    to: int
    line_to: int
    segments: list[str]
    tail: str
    counts: dict[str, int]


class Counted(msgspec.Struct, tag="counted"):
    """The books have the chunk before this."""


Entry = Beginning | Chunk | Counted
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class Journal:
    """One log's journal. It exists as a file from the first chunk on; `name` stands in the segments' names."""

    def __init__(self, folder: Path, name: str, beginning: Beginning | None = None) -> None:
        self.name = name
        self.path = folder / f"{name}.journal"
        self.chunks: list[Chunk] = []
        self.counted = True
        self._size = 0
        self._read()
        self.beginning = self._found or beginning or Beginning("", [])

    def _read(self) -> None:
        self._found: Beginning | None = None
        if not self.path.exists():
            return
        for text in self.path.read_bytes().splitlines(keepends=True):
            try:
                entry = _decode(text)
            except msgspec.DecodeError:  # the end of what a power cut left; nothing after it was ever committed
                break
            if not text.endswith(b"\n"):
                break
            self._size += len(text)
            if isinstance(entry, Beginning):
                self._found = entry
            elif isinstance(entry, Chunk):
                self.chunks.append(entry)
            self.counted = not isinstance(entry, Chunk)

    @property
    def to(self) -> int:
        return self.chunks[-1].to if self.chunks else 0

    @property
    def line_to(self) -> int:
        return self.chunks[-1].line_to if self.chunks else 0

    def stage(self, segment: str, lines: Iterable[bytes]) -> None:
        """Write a draft. It is no draft of the spool, which nobody but us may clear away."""
        write_segment(self.path.with_name(segment), lines)

    def commit(self, chunk: Chunk) -> None:
        """From here on the chunk's drafts are events and its lines are read."""
        _sync(self.path.parent)
        entries: list[Entry] = [chunk] if self._size else [self.beginning, chunk]
        self._append(entries, sync=True)
        self.chunks.append(chunk)
        self.counted = False

    def count(self, books: Books) -> None:
        """Tell the books of the last chunk, unless they know. (A kill within these microseconds tells them twice.)"""
        if not self.counted:
            for term, number in self.chunks[-1].counts.items():
                books.count(self.beginning.site, term, number)
            self._append([Counted()], sync=False)
            self.counted = True

    def publish(self, spool: Spool) -> None:
        """Move the last chunk's drafts into the spool."""
        for name in self.chunks[-1].segments if self.chunks else []:
            draft = self.path.with_name(name)
            if draft.exists():
                draft.rename(spool.sealed / name)

    def forget(self) -> None:
        """A pipe can't be known again."""
        self.path.unlink(missing_ok=True)

    def _append(self, entries: list[Entry], *, sync: bool) -> None:
        text = b"".join(_encode(entry) + b"\n" for entry in entries)
        new = not self.path.exists()
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, self._size)
            if os.pwrite(handle, text, self._size) < len(text):
                raise OSError(28, "No space left on device")
            if sync:
                os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            _sync(self.path.parent)
        self._size += len(text)


class Journals:
    """All journals of an installation. `key` keeps the hashes from telling anything to whoever reads the folder."""

    def __init__(self, data_dir: Path, key: bytes) -> None:
        self.folder = data_dir / "replay"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = key

    def hash(self, *parts: bytes) -> str:
        state = blake2b(key=self._key, digest_size=16, person=b"replayed log")
        for part in parts:
            state.update(b"%d:%b" % (len(part), part))
        return state.hexdigest()

    def tail(self, before: bytes) -> str:
        """The hash of what stands before a place: the last line there, without addresses."""
        return self.hash(_masked(before[-WINDOW:].removesuffix(b"\n").rpartition(b"\n")[2]))

    def of(self, log: Source, site: str, *, again: bool) -> Journal:
        """The journal of a log: the one that knows it, or a new one. `LogError` when the log was changed."""
        if log.is_pipe:
            return Journal(self.folder, os.urandom(8).hex(), Beginning(site, []))
        names: list[str] = []
        while not names or (self.folder / f"{names[-1]}.journal").exists():
            names.append(self.hash(site.encode(), _masked(log.first_line or b""), b"%d" % len(names))[:16])
        for name in [] if again else reversed(names[:-1]):
            journal = Journal(self.folder, name)
            if self._begins(log, journal):
                self._compare(log, journal)
                return journal
        ends = [place + 1 for place, byte in enumerate(log.head) if byte == 0x0A]
        beginning = Beginning(site, [(end, self.tail(log.head[:end])) for end in ends])
        return Journal(self.folder, names[-1], beginning)

    def goes_on(self, log: Source, journal: Journal) -> bool:
        """Does a log that was read a moment ago still have, before its place, what it had?"""
        window = log.window(journal.to) if journal.chunks else None
        return window is not None and self.tail(window) == journal.chunks[-1].tail

    def _begins(self, log: Source, journal: Journal) -> bool:
        return all(self.tail(log.head[:end]) == tail for end, tail in journal.beginning.ends if end <= len(log.head))

    def _compare(self, log: Source, journal: Journal) -> None:
        for chunk in journal.chunks:
            window = log.window(chunk.to)
            if window is None:
                return  # an older copy: nothing in it is new
            if self.tail(window) != chunk.tail:
                raise LogError(
                    f"{log.name} begins like a log that was read before, but differs from it at or before line "
                    f"{chunk.line_to}: it is another log, or was changed; --again reads all of it"
                )

    def recover(self, spool: Spool, books: Books) -> None:
        """End what a killed run left. Only one run is on at a time, so that is one chunk of the newest journal."""
        drafts = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name.removeprefix("."))]
        found = sorted(self.folder.glob("*.journal"), key=lambda path: path.stat().st_mtime_ns)
        names = {found[-1].stem} if found else set[str]()
        names |= {match[1] for path in drafts if (match := _NAME.fullmatch(path.name))}
        for name in names:
            journal = Journal(self.folder, name)
            journal.count(books)
            journal.publish(spool)
        for path in drafts:
            path.unlink(missing_ok=True)


def unsent(folder: Path) -> int:
    """How many segments of replays are in a folder of the spool."""
    return sum(1 for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _masked(line: bytes) -> bytes:
    return mask(line.decode("latin-1")).encode("latin-1")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
