"""The books: how many events were received, dropped (by reason) and accepted, for each site.

Counts are bumped in a memory-mapped file per process before the answer leaves, so `kill -9` loses none; what it
received and did not get to answer is counted as `unanswered` once it has ended. What the store
confirmed is kept by the back office in one small file that is replaced whole, together with the batches it counted
last.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import process

_SLOT = 128
_SLOTS = 4096  # a site needs about a dozen
_COUNT = struct.Struct("<Q")
_KEY_BYTES = _SLOT - _COUNT.size
_RESERVE = 256 * 1024  # bytes
_REMEMBERED = 100  # names in a lane: what was counted when we died is found again among these, in whatever order

Key = tuple[str, str]  # site, term: `received`, `accepted`, `dropped.<reason>`, `unanswered`


COOKIE = "cookie."  # begins the terms of the cookie firewall: `cookie.<verdict>.<name>`, which are no events
CHOICE = "choice."  # begins what is counted of choices, which are no events either
UNWRITTEN = f"{CHOICE}unwritten"  # beyond what one network or site may: their cookies are set, their lines left out
# how long things take, counted in the same files: upper limits in seconds, and what is timed
LATENCIES = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)
TIMED = {"event": "From the arrival of a post of events to its answer."}
_TERM_OF = [f"le.{limit}" for limit in (*LATENCIES, float("inf"))]


def is_event(site: str, term: str) -> bool:
    """Does this count of the books speak of events, and not of times, cookies or choices?"""
    return site not in TIMED and not term.startswith((COOKIE, CHOICE))


class Books:
    """One process's counts. A slot is a key, padded with zeros, and a number."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "books"
        self._lock = threading.RLock()
        self._closed = False
        self._open()

    def _open(self) -> None:
        self._pid = process.pid
        self._slots: dict[Key, int] = {}
        self._handle: int | None = None
        self._use(mmap.mmap(-1, _SLOT * _SLOTS))
        self.keep()

    def _use(self, map_: mmap.mmap) -> None:
        self._map, self._counts = map_, memoryview(map_).cast("Q")

    def keep(self) -> None:
        """Have the counts in a file. While the disk refuses they are in memory only; called again, this tries again."""
        if self._handle is not None or self._closed:
            return
        path = self._folder / f".{os.urandom(6).hex()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.posix_fallocate(handle, 0, _SLOT * _SLOTS)  # a full disk is told now, not by a signal at a count
            kept = mmap.mmap(handle, _SLOT * _SLOTS)
            path.rename(self._folder / f"{path.name[1:]}.book")
        except OSError:
            os.close(handle)
            with suppress(OSError):
                path.unlink()
            return
        with self._lock:
            kept[:] = self._map[:]
            self._handle = handle
            self._use(kept)

    def count(self, site: str, term: str, by: int = 1) -> None:
        with self._lock:
            if process.pid != self._pid:
                self._open()
            at = self._slots.get((site, term))
            if at is None:
                at = self._new_slot(site, term)
            self._counts[at] += by

    def time(self, what: str, seconds: float) -> None:
        """Count how long something of `TIMED` took."""
        with self._lock:
            if process.pid != self._pid:
                self._open()
            slots, counts, bucket = self._slots, self._counts, _TERM_OF[bisect_left(LATENCIES, seconds)]
            at, sum_at = slots.get((what, bucket)), slots.get((what, "microseconds"))
            counts[self._new_slot(what, bucket) if at is None else at] += 1
            counts[self._new_slot(what, "microseconds") if sum_at is None else sum_at] += int(seconds * 1_000_000)

    def _new_slot(self, site: str, term: str) -> int:
        """A place for a key, as the number of its count in `_counts`; the books of hundreds of sites may be full, and
        then it shares that of no site, or the last one, which no key names."""
        if len(self._slots) >= _SLOTS - 1:
            return self._slots.get(("-", term), (_SLOTS - 1) * _SLOT // _COUNT.size)
        at = len(self._slots) * _SLOT
        key = f"{site}\0{term}".encode()[:_KEY_BYTES]
        self._map[at + _COUNT.size : at + _COUNT.size + len(key)] = key
        self._slots[site, term] = at // _COUNT.size
        return at // _COUNT.size

    def close(self) -> None:
        """Let the file go. What is counted after this is in memory only."""
        with self._lock:
            self._closed = True
            self._counts.release()
            self._map.close()
            self._use(mmap.mmap(-1, _SLOT * _SLOTS))
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None


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


def unanswered(counts: Counter[Key]) -> Counter[Key]:
    """What a process that has ended received and neither dropped nor accepted: it was in flight then."""
    open_ = Counter({(site, "unanswered"): count for (site, term), count in counts.items() if term == "received"})
    for (site, term), count in counts.items():
        if term == "accepted" or term.startswith("dropped."):
            open_[site, "unanswered"] -= count
    return +open_


class Tally:
    """What the back office knows: counts of confirmed rows and of ended processes. One writer: the back office.

    `sent` are the batches that may be in the store and are not counted yet.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "books"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self._folder / "tally.json"
        self._reserve = self._folder / "reserve"
        self.counts: Counter[Key] = Counter()
        self.last: dict[str, list[str]] = {}
        self.sent: set[str] = set()
        if self._path.exists():
            kept = json.loads(self._path.read_text())
            self.counts.update({(site, term): count for site, term, count in kept["counts"]})
            self.last = kept["last"]
            self.sent = set(kept.get("sent", ()))

    def begin(self, batch: str) -> None:
        """From now on this batch may be in the store."""
        if batch not in self.sent:
            with self._unless_refused():
                self.sent.add(batch)

    def confirm(self, batch: str, counts: Counter[Key]) -> bool:
        """The store has this batch: count it, unless that was done (a segment may come back from a backup)."""
        if batch not in self.sent:
            return False
        with self._unless_refused():
            self.counts.update(counts)
            self.sent.discard(batch)
        return True

    def add(self, lane: str, name: str, counts: Counter[Key]) -> None:
        """Count something that has a name (a batch, a book), once: again with the same name counts nothing."""
        names = self.last.get(lane, [])
        if name in names:
            return
        with self._unless_refused():
            self.counts.update(counts)
            self.last[lane] = [*names[1 - _REMEMBERED :], name]
            self.sent.discard(name)

    @contextmanager
    def _unless_refused(self) -> Iterator[None]:
        """Save what the block changes. When the disk refuses, nothing has changed: it is done again later, and what
        the file does not say must not be held for counted."""
        before = Counter(self.counts), dict(self.last), set(self.sent)
        yield
        try:
            self._save()
        except OSError:
            self.counts, self.last, self.sent = before
            raise

    def fold(self) -> None:
        """Take over the counts of processes that have ended, and remove their files."""
        self._put_room_by()
        for path in self._folder.glob("*.book"):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                counts = read(path)
                self.add("book", path.name, counts + unanswered(counts))
                path.unlink()
            finally:
                os.close(handle)

    def total(self) -> Counter[Key]:
        """All counts of this host, those of living processes included."""
        total = Counter(self.counts)
        for path in self._folder.glob("*.book"):
            if path.name not in self.last.get("book", ()):
                try:
                    total.update(read(path))
                except FileNotFoundError:
                    continue
        return total

    def _save(self) -> None:
        """Write it anew; on a full disk into the room that was put by for this, or what the store has would be counted
        by nobody when we are killed."""
        try:
            self._write()
        except OSError:
            if not self._reserve.exists():
                raise
            self._reserve.unlink()
            self._write()

    def _put_room_by(self) -> None:
        if not self._reserve.exists():
            with suppress(OSError), self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE)

    def _write(self) -> None:
        counts = [[*key, count] for key, count in sorted(self.counts.items())]
        draft = self._path.with_suffix(".tmp")
        with draft.open("w") as file:
            json.dump({"counts": counts, "last": self.last, "sent": sorted(self.sent)}, file)
            file.flush()
            os.fdatasync(file.fileno())  # or a power cut may leave an empty file of this name
        draft.replace(self._path)
