"""The writes of choices: on the disk before the answer leaves, or later where it refuses or a flood comes.

A grant that can't be written does not count. What refuses, withdraws or objects always does: it waits here, in bounded
memory, and no number of choices without an identifier pushes out one that ends a consent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..record.ledger import File, SharedSync, Stop, Stops
from ..rule.errors import LedgerError
from .recorder import Faults

Write = Callable[[], File]

_MOST_WAITING = 1000  # writes without an identifier; a record has about 2 kB
_MOST_ENDING = 10_000  # and with one: each needed a grant, and those are limited
_MOST_OBJECTING = 1000


@dataclass(frozen=True, slots=True)
class Lot:
    """What one choice writes, in order, and the persons whose consent it ends."""

    writes: list[Write]
    ends: frozenset[int] = frozenset()


class Late:
    """Writes lots. `record` is called now and then, from outside the event loop."""

    def __init__(self, sync: SharedSync, stops: Stops, faults: Faults) -> None:
        self._sync, self._stops, self._faults = sync, stops, faults
        self._waiting: deque[tuple[Write, frozenset[int]]] = deque()
        self._ending: set[int] = set()
        self._objecting: dict[int, int] = {}

    def has_ended(self, person: int) -> bool:
        """Is the end of this person's consent written down, or waiting to be?"""
        return person in self._ending or self._stops.ended(person)

    async def write(self, lot: Lot, *, grants: bool) -> bool:
        """Each on the disk, in order. What the disk refuses is written later, unless it would be a grant."""
        left = deque(lot.writes)
        try:
            while left:
                await self._sync.wait(left[0])
                left.popleft()
        except (LedgerError, OSError) as error:
            self._faults.say(error)
            if grants:
                return False
            if len(self._waiting) < (_MOST_ENDING if lot.ends else _MOST_WAITING):
                self._waiting.extend((write, lot.ends) for write in left)
                self._ending |= lot.ends
        return True

    def object(self, person: int, at: int) -> bool:
        """Have an objection written soon, several of one person once. False when too many wait for that."""
        if person not in self._objecting and len(self._objecting) >= _MOST_OBJECTING:
            return False
        self._objecting[person] = at
        return True

    def record(self, seconds: float) -> None:
        """Write what waits, as long as the disk takes it."""
        try:
            while self._waiting:
                write, ends = self._waiting[0]
                self._sync.start(write).result(seconds)
                self._waiting.popleft()
                if not self._waiting or self._waiting[0][1] != ends:
                    self._ending -= ends
            for person, at in list(self._objecting.items()):
                self._sync.start(partial(self._stops.add, person, at, Stop.OBJECTED)).result(seconds)
                if self._objecting.get(person) == at:
                    del self._objecting[person]
        except (LedgerError, OSError):  # a timeout is one
            return
