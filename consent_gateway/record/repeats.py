"""Event ids seen today, shared by the workers of a host: a repeat is known wherever it arrives.

A table of 64-bit ids in shared memory, eight to a bucket; a full bucket forgets one of its own. So it knows about the
last two million ids of a day, in 16 MB that never grow. Its file goes with the day.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

_BUCKETS = 1 << 18
_WAYS = 8
_BUCKET = struct.Struct("<8Q")
_ID = struct.Struct("<Q")


class Repeats:
    """The ids of one day. `day` is any name of it, such as `2026-11-22`."""

    def __init__(self, directory: Path, day: str) -> None:
        self._path = directory / f"seen-{day}"
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, _BUCKETS * _BUCKET.size)  # no room is told now, not by a signal at an id
            self._map = mmap.mmap(handle, _BUCKETS * _BUCKET.size)
        finally:
            os.close(handle)
        for other in directory.glob("seen-*"):
            if other < self._path:
                other.unlink(missing_ok=True)

    def __contains__(self, event_id: int) -> bool:
        return event_id in _BUCKET.unpack_from(self._map, _place(event_id))

    def add(self, event_id: int) -> None:
        """Remember an id. Two workers may write one bucket at once; the worst is that one id is forgotten."""
        place = _place(event_id)
        bucket = _BUCKET.unpack_from(self._map, place)
        if event_id not in bucket:
            slot = bucket.index(0) if 0 in bucket else event_id >> 61
            _ID.pack_into(self._map, place + slot * _ID.size, event_id)

    def close(self) -> None:
        self._map.close()


def _place(event_id: int) -> int:
    return (event_id & (_BUCKETS - 1)) * _BUCKET.size
