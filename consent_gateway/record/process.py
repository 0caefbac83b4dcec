"""Which process this is, and random bytes, for less than a system call each: an event would make eight of them."""

from __future__ import annotations

import os
import threading

pid = os.getpid()
_FETCHED = 4096
_lock = threading.Lock()
_fetched, _used = b"", 0


def random_bytes(count: int) -> bytes:
    """So many of the kernel's random bytes, each given out once. At most 64."""
    global _fetched, _used
    with _lock:
        if _used + count > len(_fetched):
            _fetched, _used = os.urandom(_FETCHED), 0
        _used += count
        return _fetched[_used - count : _used]


def _forked() -> None:
    """A child must not give out what its parent does, nor wait for a lock that a thread of the parent held."""
    global pid, _fetched, _used, _lock
    pid, _fetched, _used, _lock = os.getpid(), b"", 0, threading.Lock()


os.register_at_fork(after_in_child=_forked)
