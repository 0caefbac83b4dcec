"""The ledger: every choice, appended to one file a month and synced to disk before the answer leaves.

A record holds who (consent id), when (our clock), what was shown (the notice's hash) and what was chosen; no
address, no user agent, no page. Beside it lie the *stops*: persons whose consent ended, who objected or were erased,
so that every worker knows within one look at a file's size, queued events are judged again, and the store is
scrubbed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import threading
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from ..rule.errors import LedgerError

_STOP = struct.Struct("<QQB")  # person, milliseconds since 1970, why


class Ledger:
    """Appends records, for any number of processes at once."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "ledger"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._encode = msgspec.json.Encoder().encode

    def append(self, record: dict[str, Any], month: str) -> int:
        """Write one record and return a handle of its file, to be synced and closed. `month` is `2026-11`."""
        data = self._encode(record) + b"\n"
        try:
            handle = os.open(self.folder / f"{month}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                size = os.fstat(handle).st_size
                if os.write(handle, data) < len(data):
                    os.ftruncate(handle, size)
                    raise LedgerError("the choice could not be recorded: the disk is full")
                fcntl.flock(handle, fcntl.LOCK_UN)
            except BaseException:
                os.close(handle)
                raise
        except OSError as error:
            raise LedgerError(f"the choice could not be recorded: {error.strerror}") from error
        return handle


class Stop(IntEnum):
    """Why data about a person must no longer be used as it was collected."""

    WITHDRAWN = 1  # empties what was kept under `analytics`
    OBJECTED = 2  # empties what was kept under `measurement`
    ERASED = 3  # takes the rows away


class Stops:
    """Persons whose data must be treated anew, since when and why. Written by any process, seen by all at the next
    look.

    `seen` lists all of them in the order of the file, as (person, milliseconds, why).
    """

    def __init__(self, data_dir: Path) -> None:
        folder = data_dir / "ledger"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._handle = os.open(folder / "stops", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self._read = 0
        self.seen: list[tuple[int, int, Stop]] = []
        self._by_person: dict[int, list[tuple[int, Stop]]] = {}
        self.newest = 0

    def add(self, person: int, at: int, why: Stop) -> int:
        """Write a stop, and return the handle to sync."""
        if os.write(self._handle, _STOP.pack(person, at, why)) < _STOP.size:
            raise LedgerError("the end of a consent could not be recorded: the disk is full")
        return self._handle

    def of(self, person: int) -> list[tuple[int, Stop]]:
        """The stops of a person as (milliseconds, why), oldest first; empty for nearly everyone."""
        if os.fstat(self._handle).st_size > self._read:
            self.look()
        return self._by_person.get(person, [])

    def ended(self, person: int) -> bool:
        """Has this person's consent ended?"""
        return any(why is not Stop.OBJECTED for _, why in self.of(person))

    def look(self) -> None:
        """Take in what other processes wrote."""
        with self._lock:
            while len(data := os.pread(self._handle, _STOP.size * 4096, self._read)) >= _STOP.size:
                whole = len(data) - len(data) % _STOP.size
                for person, at, why in _STOP.iter_unpack(data[:whole]):
                    self.seen.append((person, at, Stop(why)))
                    self._by_person.setdefault(person, []).append((at, Stop(why)))
                    self.newest = max(self.newest, at)
                self._read += whole

    def close(self) -> None:
        os.close(self._handle)


class SharedSync:
    """One `fdatasync` for all that wait: a sync costs the same for one record and for a hundred."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._running = False

    async def wait(self, handle: int) -> None:
        """Return once what was written to this handle is on the disk. `OSError` when the disk refuses."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((handle, future))
        if not self._running:
            self._running = True
            task = loop.create_task(self._sync_all(loop))
            task.add_done_callback(lambda _: None)  # keeps it until it is done
        await future

    async def _sync_all(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            results = await loop.run_in_executor(None, _sync, [handle for handle, _ in batch])
            for handle, future in batch:
                error = results.get(handle)
                if future.done():
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
        self._running = False


def _sync(handles: list[int]) -> dict[int, OSError]:
    errors: dict[int, OSError] = {}
    for handle in set(handles):
        try:
            os.fdatasync(handle)
        except OSError as error:
            errors[handle] = error
    return errors
