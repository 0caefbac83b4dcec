"""Group commit: one thread does what many hand in; what comes while the disk is busy is done together, the next time.

So a write that takes 100 ms, or a sync, costs its time once for a hundred callers, and the event loop never waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Overloaded(Exception):
    """More is waiting than may wait, or the group is closed."""


class Group(Generic[Item]):
    """`work` gets a lot of items in order, and gives an error, or `None`, for each of them.

    At most `most` may wait or be in work, counted by the size that each is handed in with.
    """

    def __init__(self, name: str, work: Callable[[list[Item]], Sequence[Exception | None]], most: int) -> None:
        self._name, self._work, self._most = name, work, most
        self._waiting: deque[tuple[Item, Future[None]]] = deque()
        self._size = 0
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        return self._size > 0

    @property
    def full(self) -> float:
        """The share of what may wait that does."""
        return self._size / self._most

    def put(self, item: Item, size: int = 1) -> Future[None]:
        """Hand in, and return at once what tells when it is done. `Overloaded` when too much waits already."""
        with self._change:
            if self._closed or self._size + size > self._most:
                raise Overloaded
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            done: Future[None] = Future()
            self._size += size
            self._waiting.append((item, done))
            self._change.notify()
        return done

    def close(self, seconds: float) -> bool:
        """Take no more, and finish what waits. False when that took longer than it may."""
        with self._change:
            self._closed = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._waiting:
                    if self._closed:
                        return
                    self._change.wait()
                lot, size = list(self._waiting), self._size
                self._waiting.clear()
            waited = [done.set_running_or_notify_cancel() for _, done in lot]
            errors: Sequence[Exception | None]
            try:
                errors = self._work([item for item, _ in lot])
            except Exception as failure:
                errors = [failure] * len(lot)
            with self._change:
                self._size -= size
            for (_, done), wanted, error in zip(lot, waited, errors, strict=True):
                if not wanted:  # its caller was cancelled; what it handed in was done all the same
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
