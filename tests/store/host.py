"""Equipment: one host's spool, books, stops and forwarder on a store, without a web site in front of it.

    with Host(tmp_path, dsn) as host:
        host.accept(event(1), event(2, person=7))
        host.forward()
        assert host.stored() == [1, 2] and host.balance() == {}

An event's `view_id` is its identity: `stored()` lists each as often as the table has it. `python -m tests.store.host`
is the same in a process of its own, to be killed: see `main`.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
from clickhouse_connect.driver.client import Client

from consent_gateway.record.books import Books, Key, Tally
from consent_gateway.record.ledger import Stop, Stops
from consent_gateway.record.spool import Spool, Writer
from consent_gateway.rule.event import Event
from consent_gateway.rule.privacy import when
from consent_gateway.store import client as store
from consent_gateway.store import schema
from consent_gateway.store.batch import read
from consent_gateway.store.forwarder import Forwarder
from consent_gateway.store.scrub import Scrubber

ROOT = Path(__file__).parent.parent.parent
_encode = msgspec.json.Encoder().encode


class Accepted(NamedTuple):
    month: str
    site: str
    row: bytes
    id: str = ""


by_month = attrgetter("month")


def event(number: int, *, site: str = "shop", at: int | None = None, person: int = 0, **more: Any) -> Accepted:
    """An event as the rule makes it, now unless told when (milliseconds)."""
    moment = when(int(time.time() * 1000) if at is None else at)
    purposes = ("measurement", "analytics") if person else ("measurement",)
    values = {
        "site": site, "type": "page_view", "at": moment, "received_at": moment, "consent": "given", "path": "/cart",
        "purposes": purposes, "policy_version": "1", "view_id": number, "visitor": number % 97 + 1, "person": person,
        "city": "Gent" if person else "",
    }  # fmt: skip
    return Accepted(moment[:4] + moment[5:7], site, _encode(Event(**values | more)), f"{number:016x}")


class Host:
    """`forwarder` is made anew by `restart`, as by a new back office."""

    def __init__(self, data_dir: Path, dsn: str = "", *, gather: float = 3600, timeout: float = 30) -> None:
        self.data_dir, self.dsn = data_dir, dsn or f"chdb://{data_dir}/store"
        self._gather, self._timeout = gather, timeout
        self._reader: Client | None = None
        data_dir.mkdir(parents=True, exist_ok=True)
        self.spool = Spool(data_dir)
        self.stops = Stops(data_dir)
        self.books = Books(data_dir)
        self._start()

    def restart(self) -> None:
        self.forwarder.close()
        self._start()

    def _start(self) -> None:
        self.tally = Tally(self.data_dir)
        self.scrubber = Scrubber(self.data_dir, self.stops, gather=self._gather)
        self.forwarder = Forwarder(self.spool, self.stops, self.tally, self.scrubber, self.connect)

    def connect(self) -> Client:
        client = store.connect(self.dsn, timeout=self._timeout)
        schema.apply(client)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forwarder.close()
        if self._reader is not None:
            self._reader.close()
        self.books.close()
        self.stops.close()

    # what workers do

    def accept(self, *events: Accepted) -> None:
        """As one worker's writer, which lets go at once: one segment a month."""
        writer = Writer(self.spool, 1 << 30)
        for month, group in itertools.groupby(sorted(events, key=by_month), key=by_month):
            kept = list(group)
            writer.append(month, [(one.row, one.id) for one in kept])
            for one in kept:
                self.books.count(one.site, "accepted")
        writer.let_go(everything=True)

    def stop(self, person: int, why: Stop, at: int | None = None) -> None:
        self.stops.add(person, int(time.time() * 1000) if at is None else at, why)

    # what the back office does

    def forward(self) -> int:
        return self.forwarder.forward_all()

    def segments(self, folder: str = "sealed") -> list[Path]:
        return self.spool.segments(self.spool.root / folder)

    # what must hold

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if self._reader is None:
            self._reader = self.connect()
        return [tuple(row) for row in self._reader.query(sql).result_rows]

    def stored(self) -> list[int]:
        return [int(number) for (number,) in self.query("SELECT view_id FROM events ORDER BY view_id")]

    def balance(self) -> dict[str, int]:
        """Per site: accepted - (spooled + set aside + confirmed + erased + repeated). Empty when the books balance."""
        total = self.tally.total()
        spooled: Counter[Key] = Counter()
        for path in [*self.segments("open"), *self.segments()]:
            batch = read(path)
            spooled += batch.sites("spooled") + batch.broken_sites("spooled")
        total += spooled
        terms = ("spooled", "aside", "confirmed", "erased", "repeated")
        sites = {site for site, _ in total}
        sums = {site: total[site, "accepted"] - sum(total[site, term] for term in terms) for site in sites}
        return {site: left for site, left in sums.items() if left}


def until(what: str, true: Callable[[], Any], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def run(*arguments: str | Path, strace: Iterable[str] = (), check: bool = True) -> subprocess.CompletedProcess[str]:
    """`main` in a process of its own."""
    command = [*strace, sys.executable, "-m", "tests.store.host", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or not check, done.stderr
    return done


def main(command: str, data_dir: str, dsn: str, *rest: str) -> None:
    """`forward`: one round. `plain`: what a sender without our remedy does: insert each segment again under its token,
    and believe the answer. Without a DSN (`-`) the store is embedded. The others: see `_kills`."""
    path = Path(data_dir)
    if command in SCENES:
        print(json.dumps(_kills(path, dsn, command, [int(text) for text in rest])))
        return
    tempfile.tempdir = tempfile.mkdtemp(dir=path)
    with Host(path, "" if dsn == "-" else dsn) as host:
        if command == "forward":
            print(json.dumps({"left": host.forward(), "sent": host.forwarder.progress.rows}))
            return
        client = host.connect()
        for segment in host.segments():
            settings = {"insert_deduplication_token": segment.name, "input_format_skip_unknown_fields": 1}
            client.raw_insert("events", insert_block=segment.read_bytes(), fmt="JSONEachRow", settings=settings)
        print(json.dumps({"stored": host.stored()}))
        client.close()


def fill_open(host: Host, base: int) -> None:
    """Ten events, numbered from `base`: in open/ a segment of two sites, of which persons withdrew and were erased, and
    one with a flipped bit; in sealed/ one of last month."""
    last_month = int(time.time() * 1000) - 32 * 86_400_000
    host.accept(event(base + 10, at=last_month), event(base + 9, at=last_month, site="blog"))
    for path in host.segments("open"):
        path.rename(host.spool.sealed / path.name)
    known = (event(base + 2, person=base + 2), event(base + 3, person=base + 3))
    host.accept(event(base + 1), *known, *(event(base + one, site="blog") for one in (6, 7, 8)))
    host.stop(base + 2, Stop.WITHDRAWN)
    host.stop(base + 3, Stop.ERASED)
    host.accept(event(base + 4), event(base + 5))
    damaged = next(path for path in host.segments("open") if b'"view_id":%d,' % (base + 5) in path.read_bytes())
    damaged.write_bytes(damaged.read_bytes().replace(b'"view_id":%d,' % (base + 5), b'"view_id":%d,' % (base + 6)))


def fill_late(host: Host, base: int) -> None:
    """Three events in sealed/, of persons who withdrew and were erased after it was sealed, and were scrubbed since."""
    host.accept(event(base + 1), event(base + 2, person=base + 2), event(base + 3, person=base + 3))
    for path in host.segments("open"):
        path.rename(host.spool.sealed / path.name)
    host.stop(base + 2, Stop.WITHDRAWN)
    host.stop(base + 3, Stop.ERASED)
    (host.data_dir / "ledger" / "scrubbed").write_text("2")


class Scene(NamedTuple):
    fill: Callable[[Host, int], None]
    kept: frozenset[int]


STRIDE = 100
SCENES = {
    "seal": Scene(fill_open, frozenset(range(1, 11)) - {3, 5}),
    "scrub": Scene(fill_late, frozenset({1, 2})),
}


def _kills(base: Path, dsn: str, scene: str, steps: list[int]) -> list[str]:
    """For each step: a forwarder that is killed there, in a folder of its own, then one that is not. Without steps: all
    of them, until a forwarder gets through. A step is the moment after something that lasts (which is the one before
    the next). The places of the kills."""
    places: list[str] = []
    for number in steps or itertools.count():
        folder = base / str(number)
        own = dsn if dsn != "-" else f"chdb://{folder}/store"
        with Host(folder, own) as host:
            SCENES[scene].fill(host, number * STRIDE)
        if _fork(partial(_round, folder, own, number)):
            break
        places.append((folder / "place").read_text())
        assert _fork(partial(_round, folder, own, None)), f"no recovery after {places[-1]}"
    return places


def _fork(work: Callable[[], None]) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), status
    return status == 0


def _round(folder: Path, dsn: str, kill_at: int | None) -> None:
    """One round of a new back office, that ends by kill -9 at this step."""
    import consent_gateway.store.forwarder as module

    passed = itertools.count()

    def step(place: str) -> None:
        if kill_at is not None and next(passed) == kill_at:
            (folder / "place").write_text(place)
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def stepping(*arguments: Any, **options: Any) -> Any:
            result = real(*arguments, **options)
            step(name)
            return result

        setattr(owner, name, stepping)

    tempfile.tempdir = str(folder)
    with Host(folder, dsn) as host:
        connect = host.forwarder._connect

        def connected() -> Client:
            client = connect()
            around(client, "command")
            return client

        host.forwarder._connect = connected
        if kill_at is not None:
            for name in ("unlink", "rename", "replace"):
                around(Path, name)
        around(module, "_count")
        around(module, "insert_lines")
        host.forward()
        until("the scrub", lambda: not host.scrubber.due() or host.forward() or False)


if __name__ == "__main__":
    main(*sys.argv[1:])
