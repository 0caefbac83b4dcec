"""Keeps the ledger: seals it every hour, copies it into the store, and purges months whose time is over.

A thread of the back office. Sealing needs no store; copying waits for it, and nothing else waits for either.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..record import seals
from ..record.seals import Seal, Seals
from ..rule.errors import ConsentGatewayError, StoreError
from . import consents
from .client import Failure, first_line
from .consents import LedgerCopy
from .layout import SINGLE, Layout

log = logging.getLogger("consent_gateway.ledger")

_EVERY_SECONDS = 2.0
_LONGEST_PAUSE = 30.0


class LedgerKeeper:
    """`days` is how long records are kept, `clock` gives milliseconds, UTC."""

    def __init__(
        self,
        data_dir: Path,
        key: Ed25519PrivateKey,
        host: str,
        connect: Callable[[], Client],
        *,
        days: int,
        layout: Layout = SINGLE,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self.seals = Seals(data_dir, key)
        self._copy = LedgerCopy(data_dir, host, layout)
        self._connect, self._layout, self._days, self._clock = connect, layout, days, clock
        self._client: Client | None = None
        self._working = threading.Lock()
        self._end = threading.Event()
        self._said = ""

    def run(self) -> None:
        """Until `stop`: a round every two seconds, with growing pauses while something stands in the way."""
        pause = _EVERY_SECONDS
        while not self._end.wait(pause):
            try:
                self.keep()
                self._said, pause = "", _EVERY_SECONDS
            except (ConsentGatewayError, OSError) as error:
                pause = min(_LONGEST_PAUSE, pause * 2)
                if str(error) != self._said:
                    self._said = str(error)
                    log.warning("the ledger can't be kept now, it is tried again: %s", first_line(error))
            except Exception:
                pause = _LONGEST_PAUSE
                log.exception("a fault while the ledger was kept; trying again")

    def stop(self) -> None:
        self._end.set()

    def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with suppress(*Failure):
                client.close()

    def keep(self) -> int:
        """One round: seal if it is time, purge, and copy what is new. How many records were copied.

        `StoreError` when the store is away; the seals are made all the same.
        """
        with self._working:
            now = self._clock()
            if self.seals.due(now):
                self.seals.seal(now)
                oldest = datetime.fromtimestamp(now / 1000, UTC) - timedelta(days=self._days)
                for name in self.seals.purge(f"{oldest:%Y-%m}", now):
                    log.info("the ledger's %s was purged whole, behind its seal", name)
            try:
                return self._copy.copy(self._ready())
            except Failure as error:
                self.close()
                raise StoreError(f"the ledger can't be copied: {first_line(error)}") from error

    def copy_again(self) -> None:
        """All of it, at the next round: the tables came back from elsewhere."""
        self._copy.again()

    def stored_seals(self) -> list[Seal]:
        """What the store has of this host. `StoreError` when it is away."""
        with self._working:
            try:
                return self._copy.stored_seals(self._ready())
            except Failure as error:
                self.close()
                raise StoreError(f"the store's seals can't be read: {first_line(error)}") from error

    def state(self, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
        """Count, head, last seal and faults, for doctor and dashboard. Reads all of the ledger."""
        stored, away = [], ""
        try:
            stored = self.stored_seals()
        except StoreError as error:
            away = str(error)
        return asdict(seals.verify(self.seals.folder, keys, stored)) | {"stored": len(stored), "store_error": away}

    def _ready(self) -> Client:
        if self._client is None:
            client = self._connect()
            for statement in consents.statements(self._layout, days=self._days):
                client.command(statement)
            self._client = client
        return self._client
