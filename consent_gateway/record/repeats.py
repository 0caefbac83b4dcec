"""Event ids seen today, shared by the workers of a host: a repeat is known wherever it arrives.

A table of 64-bit ids in shared memory, eight to a bucket; a full bucket forgets one of its own. So it knows about the
last two million ids of a day, in 16 MB that never grow. Its file goes with the day.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path

_BUCKETS = 1 << 18
_WAYS = 8
_BUCKET = struct.Struct("<8Q")
_ID = struct.Struct("<Q")
_TAKEN_BUCKETS = 1 << 17
_TAKEN = struct.Struct("<16Q")  # eight ids, and the segments that have them


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

    def place(self, event_id: int) -> int | None:
        """Where an id is to be remembered; `None` when it came before."""
        place = (event_id & (_BUCKETS - 1)) * _WAYS
        bucket = _BUCKET.unpack_from(self._map, place * _ID.size)
        if event_id in bucket:
            return None
        return place + (bucket.index(0) if 0 in bucket else event_id >> 61)

    def add(self, places: Mapping[int, int]) -> None:
        """Remember ids, each at its place. Two workers may write one bucket at once, or two new ids of one request may
        be given one place; the worst is that one id is forgotten."""
        for event_id, place in places.items():
            _ID.pack_into(self._map, place * _ID.size, event_id)

    def close(self) -> None:
        self._map.close()


class Taken:
    """Ids of the lines that were sealed, each with its segment, in one file for the one sealer of a host.

    The edge knows a repeat by what it has finished writing. When a worker dies, or is stopped, between writing an
    event and remembering its id, and the event is sent again, two segments have it: here the second is known. The
    file, 16 MB for the last million ids, survives `kill -9`; a segment that is judged again keeps its own lines.
    """

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, _TAKEN_BUCKETS * _TAKEN.size)
            self._map = mmap.mmap(handle, _TAKEN_BUCKETS * _TAKEN.size)
        finally:
            os.close(handle)

    def is_elsewhere(self, event_id: int, segment: int) -> bool:
        """Has another segment this id? If not, it is this segment's from now on."""
        place = (event_id & (_TAKEN_BUCKETS - 1)) * _TAKEN.size
        bucket = _TAKEN.unpack_from(self._map, place)
        ids, segments = bucket[:_WAYS], bucket[_WAYS:]
        if event_id in ids:
            return int(segments[ids.index(event_id)]) != segment
        slot = ids.index(0) if 0 in ids else event_id >> 61
        # the segment first: killed in between, the id is still not there, and nothing is dropped that nobody has
        _ID.pack_into(self._map, place + (_WAYS + slot) * _ID.size, segment)
        _ID.pack_into(self._map, place + slot * _ID.size, event_id)
        return False
