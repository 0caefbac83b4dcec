"""Which process this is, for the price of a look: `os.getpid` is a system call, and each event would make six."""

from __future__ import annotations

import os

pid = os.getpid()


def _forked() -> None:
    global pid
    pid = os.getpid()


os.register_at_fork(after_in_child=_forked)
