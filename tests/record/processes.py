"""Other processes, for tests of what survives them: forked, so that they start in a millisecond."""

from __future__ import annotations

import os
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Work = Callable[[], object]


def start(work: Work) -> int:
    """Run this in a child and return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a fork copies no threads
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def end(pid: int) -> int:
    """Wait for a child; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(*works: Work) -> None:
    """Run all of these at once, each in a child of its own, to their good end."""
    assert [end(pid) for pid in [start(work) for work in works]] == [0] * len(works)


def run_killed(work: Work) -> None:
    """Run this in a child that `kill -9` ends right behind it."""

    def doomed() -> None:
        work()
        kill_9()

    assert end(start(doomed)) == -signal.SIGKILL


def kill_9() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """While this lasts, no file of this process grows beyond so many bytes: a write takes a part, then none."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
