"""The ledger: every choice, appended to one file a month and synced to disk before the answer leaves.

A record holds who (consent id), when (our clock), what was shown (the notice's hash) and what was chosen; no
address, no user agent, no page; and the hash of the record before it (`chain`). Beside it lie the *stops*: persons
whose consent ended, who objected or were erased, so that every worker knows within one look at a file's size, queued
events are judged again, and the store is scrubbed.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from ..rule.errors import LedgerError
from . import chain
from .group import Group, Overloaded
from .spool import sync_folder

_MOST_WAITING = 1000  # choices that may wait for the disk at once

# person, milliseconds since 1970, why; 32 bytes never lie across two blocks, so a full disk takes all of it or none
_STOP = struct.Struct("<QQB15x")


class File:
    """A file that any number of processes append to, and what it takes to have it on the disk.

    `OSError` where the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = path.parent
        self._named = False
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, data: bytes) -> None:
        """All of it or nothing."""
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        try:
            size = os.fstat(self.handle).st_size
            if os.write(self.handle, data) < len(data):
                os.ftruncate(self.handle, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            fcntl.flock(self.handle, fcntl.LOCK_UN)

    def sync(self) -> None:
        """Wait until what was appended is on the disk, at the first time the file's name too."""
        os.fdatasync(self.handle)
        if not self._named:
            sync_folder(self._folder)
            self._named = True

    def close(self) -> None:
        os.close(self.handle)


class Ledger:
    """Appends records, for any number of processes at once."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "ledger"
        self._encode = msgspec.json.Encoder().encode
        self._months: dict[str, File] = {}  # an old month's is not closed: its sync may be under way
        self._lock: int | None = None
        self._known = ("", 0, "")  # file, its size, and the hash of its last line, when we wrote last

    def append(self, record: dict[str, Any], month: str) -> File:
        """Chain one record to the last, write it, and return its file, to be synced. `month` is `2026-11`; one that is
        late for its month goes behind the last record all the same. By one thread at a time."""
        try:
            with self._locked():
                newest = chain.months(self.folder)
                name = max([f"{month}.jsonl", *(path.name for path in newest[-1:])])
                file = self._months.get(name)
                if file is None:
                    file = self._months[name] = File(self.folder / name)
                size = os.fstat(file.handle).st_size
                before = self._known[2] if self._known[:2] == (name, size) else chain.head(self.folder, file.handle)
                line = self._encode({"before": before} | record)
                file.append(line + b"\n")
                self._known = (name, os.fstat(file.handle).st_size, chain.digest(line))
        except OSError as error:
            raise LedgerError(f"the choice could not be recorded: {error.strerror}") from error
        return file

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One chain for all processes of the host. The kernel frees the lock of one that dies."""
        if self._lock is None:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def history(self, consent_id: str) -> list[dict[str, Any]]:
        """The records of one consent, oldest first: those that it stood in, and those that ended it."""
        if not consent_id:
            return []
        found = (line.record for line in chain.lines(self.folder, holding=consent_id.encode()))
        return [
            {name: value for name, value in record.items() if name != "before"}
            for record in found
            if record and consent_id in (record.get("consent_id"), record.get("supersedes"))
        ]

    def close(self) -> None:
        while self._months:
            self._months.popitem()[1].close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class Stop(IntEnum):
    """Why data about a person must no longer be used as it was collected."""

    WITHDRAWN = 1  # empties what was kept under `analytics`
    OBJECTED = 2  # empties what was kept under `measurement`
    ERASED = 3  # takes the rows away
    RESTRICTED = 4  # keeps the rows aside, used for nothing (GDPR Art. 18), until
    LIFTED = 5
    CLAIMED = 6  # keeps them aside for a legal claim (Art. 17(3)(e)), also from erasure, until
    RELEASED = 7
    OBJECTS = 8  # objected by mail, where no cookie could say it: later rows are kept without `measurement`, until
    UNOBJECTED = 9


_ENDS = {Stop.WITHDRAWN, Stop.ERASED}


class Stops:
    """Persons whose data must be treated anew, since when and why. Written by any process, seen by all at the next
    look.

    `seen` lists all of them in the order of the file, as (person, milliseconds, why).
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "ledger" / "stops"
        self._file: File | None = None
        self._handle: int | None = None  # to read: a disk that takes nothing can still be read
        with suppress(OSError):  # made empty, so that a look costs one call and not a search for the file
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = os.open(self._path, os.O_RDONLY | os.O_CREAT, 0o600)
        self._lock = threading.Lock()
        self._read = 0
        self.seen: list[tuple[int, int, Stop]] = []
        self._by_person: dict[int, list[tuple[int, Stop]]] = {}
        self.newest = 0

    def add(self, person: int, at: int, why: Stop) -> File:
        """Write a stop, and return the file to sync. By one thread at a time."""
        try:
            if self._file is None:
                self._file = File(self._path)
            self._file.append(_STOP.pack(person, at, why))
        except OSError as error:
            raise LedgerError(f"the end of a consent could not be recorded: {error.strerror}") from error
        return self._file

    def of(self, person: int) -> list[tuple[int, Stop]]:
        """The stops of a person as (milliseconds, why), oldest first; empty for nearly everyone."""
        if self._handle is None or os.fstat(self._handle).st_size > self._read:
            self.look()
        return self._by_person.get(person, [])

    def ended(self, person: int) -> bool:
        """Has this person's consent ended?"""
        return any(why in _ENDS for _, why in self.of(person))

    def restricted(self, person: int) -> bool:
        """Did this person ask that the rows be kept aside, and not take it back?"""
        return self._last(person, Stop.RESTRICTED, Stop.LIFTED)

    def claimed(self, person: int) -> bool:
        """Are this person's rows kept for a legal claim?"""
        return self._last(person, Stop.CLAIMED, Stop.RELEASED)

    def objects(self, person: int) -> bool:
        """Did this person object by mail, and not take it back?"""
        return self._last(person, Stop.OBJECTS, Stop.UNOBJECTED)

    def held(self, person: int) -> bool:
        """Do this person's rows belong into the table `held`?"""
        return self.restricted(person) or self.claimed(person)

    def _last(self, person: int, begins: Stop, ends: Stop) -> bool:
        """Is the latest of the two the first kind? By their own time: other hosts' come in any order."""
        found = [(at, why) for at, why in self.of(person) if why in (begins, ends)]
        return bool(found) and max(found)[1] is begins

    def look(self) -> None:
        """Take in what other processes wrote."""
        with self._lock:
            if self._handle is None:
                try:
                    self._handle = os.open(self._path, os.O_RDONLY)
                except FileNotFoundError:
                    return  # nobody has stopped yet
            while len(data := os.pread(self._handle, _STOP.size * 4096, self._read)) >= _STOP.size:
                whole = len(data) - len(data) % _STOP.size
                for person, at, why in _STOP.iter_unpack(data[:whole]):
                    self.seen.append((person, at, Stop(why)))
                    self._by_person.setdefault(person, []).append((at, Stop(why)))
                    self.newest = max(self.newest, at)
                self._read += whole

    def close(self) -> None:
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
            if self._file is not None:
                self._file.close()
                self._file = None


class SharedSync:
    """Writes in a thread, then one `fdatasync` for all that wait: a hundred records cost as much as one."""

    def __init__(self) -> None:
        self._group = Group("consent-gateway-sync", _write_and_sync, _MOST_WAITING)

    async def wait(self, write: Callable[[], File]) -> None:
        """Return once what `write` wrote is on the disk. `LedgerError` or `OSError` when the disk refuses."""
        await asyncio.wrap_future(self.start(write))

    def start(self, write: Callable[[], File]) -> Future[None]:
        """The same for a caller outside the event loop, or one that does not wait."""
        try:
            return self._group.put(write)
        except Overloaded:
            raise LedgerError("the choice could not be recorded: too many wait for the disk") from None

    def close(self, seconds: float) -> bool:
        """Finish within that time, or say that it did not: then the files are still in use."""
        return self._group.close(seconds)


def _write_and_sync(writes: list[Callable[[], File]]) -> list[Exception | None]:
    errors: list[Exception | None] = []
    files: list[File | None] = []
    for write in writes:
        try:
            files.append(write())
            errors.append(None)
        except Exception as error:
            files.append(None)
            errors.append(error)
    for file in {file for file in files if file is not None}:
        try:
            file.sync()
        except OSError as error:
            errors = [error if file is other else before for other, before in zip(files, errors, strict=True)]
    return errors
