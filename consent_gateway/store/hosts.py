"""Several hosts on one store: each tells the others of the withdrawals, objections and erasures that it knows of.

They pass through the table `stops`, and end up in each host's own file of stops, where its workers and its sealer look.
A stop is known by what it says (person, moment, why): so it is written once however often it is read, what came from
another host is never told back, and no place in a file has to survive a crash. All is compared anew at each start and
each hour, so a table that was lost fills again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from clickhouse_connect.driver.client import Client

from ..record.keys import write_once
from ..record.ledger import Stop, Stops
from ..rule.errors import ConsentGatewayError, StoreError
from ..rule.privacy import when
from .client import Failure, first_line
from .layout import Layout
from .schema import STOP_DAYS

log = logging.getLogger("consent_gateway.hosts")

EVERY_SECONDS = 10.0
_ANEW_SECONDS = 3600.0
_OVERLAP_MS = 600_000  # an insert shows up late on a cluster, and its servers' clocks differ
_AT_ONCE = 50_000
_QUERY = (
    "SELECT person, toUnixTimestamp64Milli(at), toInt8(why), toUnixTimestamp64Milli(received) FROM stops "
    "WHERE received >= fromUnixTimestamp64Milli({since:Int64})"
)

_Known = tuple[int, int, Stop]


class Hosts:
    """This host's end. `exchange` is called before each sealing, and by `run` every 10 s; it fails when the others'
    stops can't be read: then nothing is sealed, and the spool keeps it."""

    def __init__(self, data_dir: Path, stops: Stops, connect: Callable[[], Client], layout: Layout) -> None:
        self._stops, self._connect, self._layout = stops, connect, layout
        self._name = host_name(data_dir)
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._last = 0.0
        self._said = ""
        self._begin_anew()

    def run(self) -> None:
        """Keep up with the others also while nothing is sealed, until `stop`."""
        while not self._end.wait(min(EVERY_SECONDS, max(0.1, self._last + EVERY_SECONDS - time.monotonic()))):
            if time.monotonic() - self._last < EVERY_SECONDS:
                continue
            try:
                self.exchange()
                self._said = ""
            except ConsentGatewayError as error:
                self._last = time.monotonic()
                if str(error) != self._said:
                    self._said = str(error)
                    log.warning("%s", error)
            except Exception:
                self._last = time.monotonic()
                log.exception("a fault while the hosts' stops were exchanged; trying again")

    def stop(self) -> None:
        self._end.set()

    def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with suppress(*Failure):
                client.close()

    def exchange(self, *, anew: bool = False) -> None:
        """Take in what the others published, and publish what this host has new (or compare all, `anew`).

        `StoreError` when the store is away, `LedgerError` when our disk can't take a stop.
        """
        with self._lock:
            if anew or time.monotonic() >= self._anew:
                self._begin_anew()
            try:
                if self._client is None:
                    self._client = self._connect()
                told = self._read(self._client)
                self._publish(self._client, told)
            except Failure as error:
                self.close()
                raise StoreError(f"the other hosts' stops can't be read: {first_line(error)}") from error
            self._last = time.monotonic()

    def _begin_anew(self) -> None:
        """Compare everything at the next exchange."""
        self._since = self._upto = 0
        self._anew = time.monotonic() + _ANEW_SECONDS

    def _read(self, client: Client) -> set[_Known]:
        """What was told lately (at first: ever), written down here where it was not known."""
        answer = client.query(_QUERY, parameters={"since": self._since}, settings=self._layout.count_settings)
        told: set[_Known] = set()
        file = None
        latest = 0
        for person, at, why, received in answer.result_rows:
            stop = (int(person), int(at), Stop(why))
            latest = max(latest, int(received))
            if stop not in told and stop[1:] not in self._stops.of(stop[0]):
                file = self._stops.add(*stop)
            told.add(stop)
        if file is not None:
            file.sync()
        self._since = max(self._since, latest - _OVERLAP_MS)
        return told

    def _publish(self, client: Client, told: set[_Known]) -> None:
        self._stops.look()
        upto = len(self._stops.seen)
        oldest = int(time.time() * 1000) - STOP_DAYS * 86_400_000
        fresh = [stop for stop in self._stops.seen[self._upto : upto] if stop not in told and stop[1] > oldest]
        for start in range(0, len(fresh), _AT_ONCE):
            lines = [
                msgspec.json.encode({"person": person, "at": when(at), "why": why.name.lower(), "host": self._name})
                for person, at, why in fresh[start : start + _AT_ONCE]
            ]
            settings = self._layout.insert_settings | {"insert_deduplicate": 0}
            client.raw_insert(
                self._layout.local("stops"), insert_block=b"\n".join(lines), fmt="JSONEachRow", settings=settings
            )
        self._upto = upto


def host_name(data_dir: Path) -> str:
    """By which the others know this host: random, made once, with the data."""
    path = data_dir / "host"
    write_once(path, os.urandom(8).hex().encode())
    return path.read_text()
