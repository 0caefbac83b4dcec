"""The spool: events on their way to the store, as the very bytes that the store takes.

A segment is a file of JSON lines with one writer and one UTC month, named `202611-<writer>-<number>`; the name is also
the batch of its rows and its deduplication token. A line starts with the batch and ends in a check sum (`crc`) that the
store skips. Three folders: in `open` a segment is written by the process that holds its lock; a free lock means that
it is complete, whether its writer let go or died; in `sealed` its bytes never change again; `aside` holds what the
store or the check sums refused.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from ..rule.errors import SpoolFull
from . import process

ROWS_A_SEGMENT = 10_000
SECONDS_A_SEGMENT = 1.0
# A segment costs the store 36 ms whatever its size. While the store is away, fewer and larger ones make the way back
# ten times shorter: a day of one worker in five minutes instead of an hour.
_BACKLOG = 100
_SECONDS_IN_BACKLOG = 10.0
_FOR_HELD = "-held"  # ends the name of a segment whose rows are kept aside
_NAME = re.compile(rf"\d{{6}}-[0-9a-z]{{4,40}}-\d{{6,}}(-\d+)?({_FOR_HELD})?")
_TAIL = len(b',"crc":"00000000"}')
_MARK = len(b',"id":"0123456789abcdef"')
_DRAFT_SECONDS = 60.0  # a draft that is older was left by a process that died
_REST = 20  # measuring what the spool holds may take this part of the time: a day's backlog has many files


def line(batch: bytes, event: bytes, event_id: str | None = None) -> bytes:
    """One line of a segment out of an event's JSON object. `event_id` helps to know repeats; the store skips it."""
    mark = b',"id":"%b"' % event_id.encode() if event_id else b""
    body = b'{"batch":"%b",%b%b' % (batch, event[1:-1], mark)
    return b'%b,"crc":"%08x"}\n' % (body, crc32(body))


def for_held(batch: str) -> str:
    """The name of the segment that takes those rows of a batch which are kept aside."""
    return batch + _FOR_HELD


def is_for_held(batch: str) -> bool:
    """Is this a batch of rows that are kept aside?"""
    return batch.endswith(_FOR_HELD)


def is_whole(text: bytes) -> bool:
    """Is this line (without its line feed) as it was written?"""
    body, tail = text[:-_TAIL], text[-_TAIL:]
    return tail[:8] == b',"crc":"' and tail[8:16] == b"%08x" % crc32(body) and tail[16:] == b'"}'


def id_of(text: bytes) -> int:
    """The event's id, of a whole line with its line feed; 0 when it has none (or this one)."""
    mark = text[-_TAIL - _MARK - 1 : -_TAIL - 1]
    return int(mark[7:-1], 16) if mark[:7] == b',"id":"' else 0


class Spool:
    """The three folders, as every process of the host sees them."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "spool"
        self.open, self.sealed, self.aside = (self.root / name for name in ("open", "sealed", "aside"))
        with suppress(OSError):  # the disk refuses now: the site starts all the same, and the first writer tries again
            self.make()

    def make(self) -> None:
        for folder in (self.open, self.sealed, self.aside):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def segments(self, folder: Path) -> list[Path]:
        """The segments in a folder, oldest first."""
        found = [
            (entry.stat().st_mtime_ns, entry.name)
            for entry in _entries(folder)
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        ]
        return [folder / name for _, name in sorted(found)]

    def complete(self) -> Iterator[Path]:
        """Open segments whose writer has let go, or is dead. Each is locked by us while the caller looks at it."""
        self._tidy()
        for path in self.segments(self.open):
            try:
                handle = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path
            except BlockingIOError:
                continue
            finally:
                os.close(handle)

    def _tidy(self) -> None:
        """Remove the drafts of processes that died before they could name them. There was nothing in them yet."""
        for entry in _entries(self.open):
            if entry.name.startswith(".") and time.time() - entry.stat().st_mtime > _DRAFT_SECONDS:
                Path(entry.path).unlink(missing_ok=True)

    def strangers(self) -> list[Path]:
        """What lies among the segments and is neither one nor the draft of one."""
        return [
            Path(entry.path)
            for folder in (self.open, self.sealed)
            for entry in _entries(folder)
            if not (_NAME.fullmatch(entry.name.removeprefix(".")) and entry.is_file(follow_symlinks=False))
        ]

    def clear_drafts(self) -> None:
        """Remove what the sealer left half written when it died; it does that work again. Only for the back office."""
        for folder in (self.sealed, self.aside):
            for entry in _entries(folder):
                if _NAME.match(entry.name[1:]) and entry.name[0] == ".":
                    Path(entry.path).unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes in all three folders."""
        return sum(
            entry.stat().st_size for folder in (self.open, self.sealed, self.aside) for entry in _entries(folder)
        )


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        found = os.scandir(folder)
    except FileNotFoundError:
        return
    with found as entries:
        for entry in entries:
            try:
                entry.stat()  # kept by the entry; a segment may leave while we look
            except FileNotFoundError:
                continue
            yield entry


def read_lines(path: Path) -> tuple[list[bytes], list[bytes]]:
    """The whole lines of a segment and the broken ones, each with its line feed."""
    whole: list[bytes] = []
    broken: list[bytes] = []
    for text in path.read_bytes().splitlines(keepends=True):
        (whole if text.endswith(b"\n") and is_whole(text[:-1]) else broken).append(text)
    return whole, broken


def write_segment(path: Path, lines: Iterable[bytes]) -> None:
    """Put a whole segment in its place at once, on the disk before its name is."""
    draft = path.with_name(f".{path.name}")
    with open(draft, "wb", opener=_private) as file:
        file.writelines(lines)
        file.flush()
        os.fdatasync(file.fileno())
    draft.replace(path)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


class Writer:
    """One process's end of the spool. `append` puts events in the kernel before it returns: `kill -9` can't take them.

    Safe to call from several threads; a forked child gets segments of its own. Who owns it calls `let_go` now and then.
    """

    def __init__(self, spool: Spool, limit: int) -> None:
        self._spool = spool
        self._limit = limit
        self._lock = threading.Lock()
        self._open: dict[str, _Segment] = {}
        self._done: list[_Segment] = []
        self._number = 0
        self._pid = process.pid
        self._name = os.urandom(6).hex()
        self._size = spool.size()
        self._measure_at = 0.0
        self._patience = SECONDS_A_SEGMENT

    @property
    def full(self) -> float:
        """The share of its limit that the spool holds."""
        return self._size / self._limit

    def append(self, month: str, events: Iterable[tuple[bytes, str | None]], *, sync: bool = False) -> None:
        """Write events (JSON, id) of one UTC month (`202611`) all or none; with `sync`, on the disk when it returns.

        `SpoolFull` when the limit is reached or the disk takes no more.
        """
        with self._lock:  # held through a sync: a segment that another thread let go of meanwhile would be closed
            self._disown()
            if self._size >= self._limit:
                raise SpoolFull(f"the spool holds {self._size} bytes, its limit is {self._limit}")
            segment = self._open.get(month)
            if segment is None or segment.rows >= ROWS_A_SEGMENT:
                segment = self._next(month)
            lines = [line(segment.batch, event, event_id) for event, event_id in events]
            try:
                self._size += segment.write(lines)
                if sync:
                    segment.sync()
            except SpoolFull:
                if segment.torn:
                    self._done.append(self._open.pop(month))
                raise

    def let_go(self, *, everything: bool = False) -> None:
        """Complete the segments that are old enough (or all): from now on they are the sealer's."""
        with self._lock:
            self._disown()
            for month, segment in list(self._open.items()):
                if everything or time.monotonic() - segment.born >= self._patience:
                    self._done.append(self._open.pop(month))
            done, self._done = self._done, []
        for segment in done:
            segment.close()

    def measure(self) -> None:
        """Look how much the spool holds: `append` compares it with the limit, `let_go` waits longer in a backlog. For a
        large one that takes a second."""
        began = time.monotonic()
        if began >= self._measure_at:
            size, waiting = self._spool.size(), len(os.listdir(self._spool.sealed))
            with self._lock:
                self._size = size
                self._patience = _SECONDS_IN_BACKLOG if waiting >= _BACKLOG else SECONDS_A_SEGMENT
            now = time.monotonic()
            self._measure_at = now + (now - began) * _REST

    def _disown(self) -> None:
        """In a forked child: the parent's segments are not ours to write, nor to let go."""
        if process.pid == self._pid:
            return
        for segment in (*self._open.values(), *self._done):
            os.close(segment.handle)
        self._pid, self._name, self._open, self._done = process.pid, os.urandom(6).hex(), {}, []

    def _next(self, month: str) -> _Segment:
        old = self._open.pop(month, None)
        if old is not None:
            self._done.append(old)  # `let_go` closes it, off the event loop
        self._number += 1
        name = f"{month}-{self._name}-{self._number:06d}"
        try:
            segment = _Segment(self._spool.open, name)
        except FileNotFoundError:
            self._make_folders()
            segment = _Segment(self._spool.open, name)
        self._open[month] = segment
        return segment

    def _make_folders(self) -> None:
        try:
            self._spool.make()
        except OSError as error:
            raise SpoolFull(f"no spool: {error.strerror}") from error


class _Segment:
    """A segment being written, under a lock that ends with its writer."""

    def __init__(self, folder: Path, name: str) -> None:
        self.batch = name.encode()
        self.rows = self._bytes = 0
        self.torn = self._named = False
        self.born = time.monotonic()
        self._folder = folder
        draft = folder / f".{name}"
        try:
            self.handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SpoolFull(f"no new segment: {error.strerror}") from error
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX)
            draft.rename(folder / name)  # it gets its name only once it is locked, or the sealer would take it
        except OSError as error:
            os.close(self.handle)
            with suppress(OSError):
                draft.unlink()
            raise SpoolFull(f"no new segment: {error.strerror}") from error

    def write(self, lines: list[bytes]) -> int:
        data = b"".join(lines)
        try:
            written = os.write(self.handle, data)
        except OSError as error:
            raise SpoolFull(f"the disk takes no more: {error.strerror}") from error
        if written < len(data):  # a nearly full disk takes a part: take it back, so that none counts
            try:
                os.ftruncate(self.handle, self._bytes)
            except OSError:
                self.torn = True  # what came behind it would be a part of a broken line
            raise SpoolFull("the disk is full")
        self._bytes += written
        self.rows += len(lines)
        return written

    def sync(self) -> None:
        """Wait until what was written is on the disk, at the first time its name too."""
        try:
            os.fdatasync(self.handle)
            if not self._named:
                sync_folder(self._folder)
                self._named = True
        except OSError as error:
            self.torn = True  # the kernel tells of a failed sync once; a later one would look like a success
            raise SpoolFull(f"the disk did not confirm: {error.strerror}") from error

    def close(self) -> None:
        fcntl.flock(self.handle, fcntl.LOCK_UN)  # a forked child may hold a copy of the handle, and with it the lock
        os.close(self.handle)


def sync_folder(folder: Path) -> None:
    """Have the names of new files in a folder on the disk too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
