"""The books: how many events were received, dropped (by reason) and accepted, for each site.

Counts are bumped in a memory-mapped file per process before the answer leaves, so `kill -9` loses none. What the store
confirmed is kept by the back office in one small file that is replaced whole, together with the batch it counted last.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
import threading
from collections import Counter
from pathlib import Path

_SLOT = 128
_SLOTS = 512
_COUNT = struct.Struct("<Q")
_KEY_BYTES = _SLOT - _COUNT.size

Key = tuple[str, str]  # site, term: `received`, `accepted`, `dropped.<reason>`


class Books:
    """One process's counts. A slot is a key, padded with zeros, and a number."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "books"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._slots: dict[Key, int] = {}
        path = self._folder / f".{os.urandom(6).hex()}"
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        os.posix_fallocate(self._handle, 0, _SLOT * _SLOTS)  # a full disk is told now, not by a signal at a count
        self._map = mmap.mmap(self._handle, _SLOT * _SLOTS)
        path.rename(self._folder / f"{path.name[1:]}.book")

    def count(self, site: str, term: str, by: int = 1) -> None:
        with self._lock:
            if os.getpid() != self._pid:
                self._open()
            at = self._slots.get((site, term))
            if at is None:
                at = self._new_slot(site, term)
            _COUNT.pack_into(self._map, at, _COUNT.unpack_from(self._map, at)[0] + by)

    def _new_slot(self, site: str, term: str) -> int:
        if len(self._slots) >= _SLOTS:
            raise RuntimeError("the books are full")
        at = len(self._slots) * _SLOT
        key = f"{site}\0{term}".encode()[:_KEY_BYTES]
        self._map[at + _COUNT.size : at + _COUNT.size + len(key)] = key
        self._slots[site, term] = at
        return at + 0

    def close(self) -> None:
        self._map.close()
        os.close(self._handle)


def read(path: Path) -> Counter[Key]:
    """The counts of one process's file, whether it lives or not."""
    data = path.read_bytes()
    counts: Counter[Key] = Counter()
    for at in range(0, len(data) - _SLOT + 1, _SLOT):
        key = data[at + _COUNT.size : at + _SLOT].rstrip(b"\0").decode(errors="replace")
        if key:
            site, _, term = key.partition("\0")
            counts[site, term] += _COUNT.unpack_from(data, at)[0]
    return counts


class Tally:
    """What the back office knows: counts of confirmed rows and of ended processes. One writer: the back office."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "books"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self._folder / "tally.json"
        self.counts: Counter[Key] = Counter()
        self.last: dict[str, str] = {}
        if self._path.exists():
            kept = json.loads(self._path.read_text())
            self.counts.update({(site, term): count for site, term, count in kept["counts"]})
            self.last = kept["last"]

    def add(self, lane: str, name: str, counts: Counter[Key]) -> None:
        """Count something that has a name (a batch, a book), once: again with the same name counts nothing."""
        if self.last.get(lane) == name:
            return
        self.counts.update(counts)
        self.last[lane] = name
        self._save()

    def fold(self) -> None:
        """Take over the counts of processes that have ended, and remove their files."""
        for path in self._folder.glob("*.book"):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                self.add("book", path.name, read(path))
                path.unlink()
            finally:
                os.close(handle)

    def total(self) -> Counter[Key]:
        """All counts of this host, those of living processes included."""
        total = Counter(self.counts)
        for path in self._folder.glob("*.book"):
            if self.last.get("book") != path.name:
                try:
                    total.update(read(path))
                except FileNotFoundError:
                    continue
        return total

    def _save(self) -> None:
        kept = {"counts": [[*key, count] for key, count in sorted(self.counts.items())], "last": self.last}
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps(kept))
        draft.replace(self._path)
