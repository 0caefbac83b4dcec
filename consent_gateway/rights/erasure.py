"""Erasure that reaches everything, and then counts what is left.

The stop is on the disk first: from then on the sealer lets nothing of the person pass, and a batch that was sealed
before, or comes back from a backup, is erased when it has gone in. Then the spool, the table `events` with what is
derived from it, and the table `held`. What the ledger keeps is the proof of a choice (Art. 17(3)(b) and (e)): it stays.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from clickhouse_connect.driver.client import Client

from ..record.books import Tally
from ..record.spool import Spool, write_segment
from ..rule.errors import StoreError
from ..store.batch import read
from ..store.forwarder import Forwarder
from ..store.layout import Layout
from ..store.scrub import Scrubber
from .held_data import count, waiting

_SETTLE_SECONDS = 15.0  # a segment that a worker writes is complete within ten
_LOOK_SECONDS = 0.2


class Eraser:
    """Takes the rows away of persons whose stop is written. `now` gives aware times."""

    def __init__(
        self,
        spool: Spool,
        tally: Tally,
        forwarder: Forwarder,
        scrubber: Scrubber,
        layout: Layout,
        now: Callable[[], datetime],
    ) -> None:
        self._spool, self._tally, self._forwarder, self._scrubber = spool, tally, forwarder, scrubber
        self._layout, self._now = layout, now

    def erase(self, client: Client, persons: dict[int, int]) -> dict[int, dict[str, Any]]:
        """Erase persons (each with the number of its request), and return what was counted of each, before and after.
        `StoreError` when the store is away; then all of it is done again later."""
        before = {person: self.counted(client, person) for person in persons}
        until = time.monotonic() + _SETTLE_SECONDS
        while True:
            with suppress(StoreError):  # what it could not send is looked through below
                self._forwarder.forward_all()
            with self._forwarder.paused():
                for person, number in persons.items():
                    self._clean_spool(person, number)
                self._scrubber.scrub(client, now=True)
            after = {person: self.counted(client, person) for person in persons}
            if not any(any(counts.values()) for counts in after.values()) or time.monotonic() > until:
                return {
                    person: {"counted_at": self._now().isoformat(timespec="seconds")}
                    | {f"{place}_before": number for place, number in before[person].items()}
                    | after[person]
                    for person in persons
                }
            time.sleep(_LOOK_SECONDS)

    def counted(self, client: Client, person: int) -> dict[str, int]:
        """The rows of a person, wherever this host can have any."""
        return count(client, person, self._layout) | {"spool": sum(1 for _ in waiting(self._spool, person))}

    def _clean_spool(self, person: int, number: int) -> None:
        """Rewrite what no writer holds and nobody has begun to send. The rest goes in, and is erased after it."""
        for path in {path for path, _ in waiting(self._spool, person)}:
            if path.parent == self._spool.open or path.name in self._tally.sent:
                continue
            theirs = {line for found, line in waiting(self._spool, person) if found == path}
            left = [line for line in path.read_bytes().splitlines(keepends=True) if line not in theirs]
            if path.parent == self._spool.sealed:
                batch = read(path)
                sites = [head.site for line, head in zip(batch.whole, batch.heads, strict=True) if line in theirs]
                self._tally.add("erasure", f"{path.name}/{number}", Counter((site, "erased") for site in sites))
            if left:
                write_segment(path, left)
            else:
                path.unlink()
