"""A bounded chaos run: is every acknowledged event in the store, exactly once, whatever dies meanwhile?

A site with real uvicorn workers, its back office and its store; clients on loopback that post events and write down
each acknowledgement; faults at random times from a seed. At the end the acknowledged ids are compared with the stored
ones, one by one.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import contextlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import clickhouse_connect  # noqa: E402

from load.chaos import FAULTS, OF_SERVER, SPOOL_LIMIT, Chaos, Meter, drop_disk, small_disk  # noqa: E402
from tests.clickhouse_double import ClickHouseDouble  # noqa: E402
from tests.running import Site  # noqa: E402

MOST_IN_A_BATCH = 50
PATIENT = 0.7  # the share of clients that send again what was not acknowledged, with the same ids
TRIES = 8
CLIENT_SECONDS = 2.5  # until a client gives an answer up: less than some workers are stopped for
DRAIN_SECONDS = 180.0
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1",
)


@dataclass(slots=True)
class Batch:
    """Events of one request. `tries` says when each was sent and what came of it."""

    ids: list[int]
    acknowledged: bool = False
    tries: list[tuple[float, str]] = field(default_factory=list)


class Load:
    """Clients that post events over connections of their own, and keep account of each answer."""

    def __init__(self, port: int, *, seed: int, rate: float, most: int, clients: int) -> None:
        self.port, self.seed, self.rate, self.most, self.clients = port, seed, rate, most, clients
        self.batches: list[Batch] = []
        self.sent = self.acknowledged = 0
        self.answers: Counter[str] = Counter()  # of requests
        self.waits = array.array("d")
        self.over = asyncio.Event()
        self._due = time.monotonic()

    async def run(self) -> None:
        await asyncio.gather(*(self._client(Random(f"{self.seed} client {n}")) for n in range(self.clients)))

    async def _client(self, chance: Random) -> None:
        line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self.over.is_set() and self.sent < self.most:
            size = 1 if chance.random() < 0.3 else chance.randint(2, MOST_IN_A_BATCH)
            batch = Batch([chance.getrandbits(64) or 1 for _ in range(min(size, self.most - self.sent))])
            self.batches.append(batch)
            self.sent += len(batch.ids)
            await self._pace(len(batch.ids))
            request = self._request(batch.ids, chance)
            patient = chance.random() < PATIENT
            for attempt in range(TRIES if patient else 1):
                if attempt:
                    await asyncio.sleep(chance.uniform(0, min(0.3 * 2**attempt, 2)))
                began = time.monotonic()
                outcome, line = await self._post(request, line)
                batch.tries.append((time.time(), outcome))
                self.answers[outcome] += 1
                if outcome in ("200", "204"):
                    self.waits.append(time.monotonic() - began)
                    batch.acknowledged = True
                    self.acknowledged += len(batch.ids)
                    break
        if line is not None:
            line[1].close()

    async def _pace(self, events: int) -> None:
        """A steady rate; after a pause of the site the clients catch up on two seconds of it at most."""
        now = time.monotonic()
        self._due = max(self._due, now - 2) + events / self.rate
        if self._due > now:
            await asyncio.sleep(self._due - now)

    def _request(self, ids: list[int], chance: Random) -> bytes:
        page = chance.randrange(40)
        start = f'{{"type":"page_view","url":"http://127.0.0.1:{self.port}/page/{page}?utm_source=soak","view":"'
        events = [f'{start}{number:016x}","id":"{number:016x}","screen":"md"}}' for number in ids]
        body = events[0] if len(events) == 1 else f"[{','.join(events)}]"
        return (
            f"POST /_cg/events HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Sec-Fetch-Site: same-origin\r\nUser-Agent: {chance.choice(AGENTS)}\r\n"
            f"X-Forwarded-For: 198.51.{chance.randrange(256)}.{chance.randrange(256)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    async def _post(
        self, request: bytes, line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None
    ) -> tuple[str, tuple[asyncio.StreamReader, asyncio.StreamWriter] | None]:
        """The status, `cut` or `silent`; and the connection, while it is good."""
        try:
            async with asyncio.timeout(CLIENT_SECONDS):
                line = line or await asyncio.open_connection("127.0.0.1", self.port)
                line[1].write(request)
                head = (await line[0].readuntil(b"\r\n\r\n")).lower()
                _, found, length = head.partition(b"content-length:")
                if found:
                    await line[0].readexactly(int(length.partition(b"\r\n")[0]))
                if b"connection: close" in head:
                    line[1].close()
                    return head[9:12].decode(), None
                return head[9:12].decode(), line
        except TimeoutError:
            outcome = "silent"
        except (OSError, asyncio.IncompleteReadError):
            outcome = "cut"
        if line is not None:
            line[1].transport.abort()
        return outcome, None


@dataclass
class Outcome:
    """What the comparison found, and the figures around it."""

    load: Load
    chaos: Chaos
    meter: Meter
    seconds: float
    drain: float | None
    books: Counter[str]
    trouble: list[str] = field(default_factory=list)  # what the site's processes complained of last
    stored: Counter[int] = field(default_factory=Counter)
    segments: dict[int, list[str]] = field(default_factory=dict)  # of the ids that are stored more than once
    lost: list[tuple[Batch, int]] = field(default_factory=list)
    doubled: list[tuple[Batch, int]] = field(default_factory=list)
    foreign: int = 0
    unanswered_stored: int = 0

    def compare(self, dsn: str) -> None:
        """Read every id from the store, and look at each that was sent."""
        client = clickhouse_connect.get_client(dsn=dsn)
        raw = client.raw_query("SELECT view_id FROM consent_gateway.events", fmt="RowBinary")
        self.stored = Counter(array.array("Q", raw))
        many = "SELECT view_id FROM consent_gateway.events GROUP BY view_id HAVING count() > 1"
        rows = client.query(f"SELECT view_id, batch FROM consent_gateway.events WHERE view_id IN ({many})").result_rows
        for number, segment in rows:
            self.segments.setdefault(int(number), []).append(str(segment))
        client.close()
        known = 0
        for batch in self.load.batches:
            for number in batch.ids:
                times = self.stored.get(number, 0)
                known += times > 0
                if batch.acknowledged and not times:
                    self.lost.append((batch, number))
                if times > 1:
                    self.doubled.append((batch, number))
                self.unanswered_stored += times > 0 and not batch.acknowledged
        self.foreign = len(self.stored) - known

    @property
    def by_retry(self) -> int:
        """Doubled because two workers took the same id: its rows lie in two segments, and no line ever changes its
        segment; and it was sent again after a try without an answer. The store and the forwarder are innocent."""
        return sum(
            len(set(self.segments[number])) == len(self.segments[number]) and len(batch.tries) > 1
            for batch, number in self.doubled
        )

    @property
    def unsettled(self) -> list[str]:
        """Which books do not balance. What was in flight at a kill may be received and no more, or stored and no more;
        both are bounded by what no client got an answer for."""
        books, wrong = self.books, []
        dropped = sum(count for term, count in books.items() if term.startswith("dropped."))
        in_flight = books["received"] - dropped - books["accepted"]
        uncounted = books["confirmed"] + books["aside"] + books["repeated"] - books["accepted"]
        tried = sum(
            len(batch.ids) * sum(outcome in ("cut", "silent") for _, outcome in batch.tries)
            for batch in self.load.batches
        )
        if not 0 <= in_flight <= tried:
            wrong.append(f"received - dropped - accepted = {in_flight:,}, without an answer were {tried:,}")
        if not 0 <= uncounted <= max(0, in_flight):
            wrong.append(f"confirmed + aside + repeated - accepted = {uncounted:,}, in flight were {in_flight:,}")
        if books["confirmed"] != sum(self.stored.values()):
            wrong.append(f"confirmed are {books['confirmed']:,}, rows in the table {sum(self.stored.values()):,}")
        return wrong

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.foreign) and self.drain is not None

    def rows(self) -> list[tuple[str, str]]:
        chaos, load, books = self.chaos, self.load, self.books
        requests = sum(load.answers.values())
        waits = sorted(load.waits)
        share = (
            {name: waits[int(len(waits) * part)] * 1000 for name, part in (("p50", 0.5), ("p99", 0.99))}
            if waits
            else {}
        )
        kills = ", ".join(f"{count} of the {role}" for role, count in sorted(chaos.killed.items()))
        rows = [
            ("kill -9", f"**{sum(chaos.killed.values())}** ({kills})"),
            ("faults", ", ".join(f"{kind} {count}" for kind, count in sorted(chaos.done.items())) or "none"),
            ("events sent", f"{load.sent:,} in {len(load.batches):,} batches, {load.sent / self.seconds:,.0f}/s"),
            ("events acknowledged", f"**{load.acknowledged:,}**"),
            ("acknowledged, not stored: lost", f"**{len(self.lost):,}**"),
            ("stored more than once: doubled", f"**{len(self.doubled):,}**"),
        ]
        if self.doubled:
            rows.append(("… of these two workers took a retry", f"{self.by_retry:,}"))
        if self.foreign:
            rows.append(("stored, never sent", f"{self.foreign:,}"))
        rows += [
            (
                "never acknowledged",
                f"{load.sent - load.acknowledged:,}, of these stored {self.unanswered_stored:,} (allowed)",
            ),
            (
                "requests",
                f"{requests:,}: " + ", ".join(f"{name} {count:,}" for name, count in load.answers.most_common()),
            ),
            ("answers in", ", ".join(f"{name} {ms:.1f} ms" for name, ms in share.items())),
            ("time to drain", "not drained" if self.drain is None else f"{self.drain:.1f} s"),
            ("the books", "; ".join(self.unsettled) or "balance"),
            ("… their terms", ", ".join(f"{term} {count:,}" for term, count in sorted(books.items()))),
            ("processor, workers", self._cpu("worker")),
            ("processor, back office", self._cpu("office")),
            (
                "peak memory",
                f"worker {self.meter.peak['worker'] >> 20} MiB, back office {self.meter.peak['office'] >> 20} MiB",
            ),
        ]
        return rows

    def _cpu(self, role: str) -> str:
        used, processes = self.meter.seconds(role), len(self.meter.cpu[role])
        each = used / max(1, self.load.acknowledged) * 1e6
        return f"{used:.1f} s in {processes} processes, {each:.0f} µs an event with their starts"

    def evidence(self) -> Iterator[str]:
        """What is known of the first lost and doubled events."""
        for name, found in (("lost", self.lost), ("doubled", self.doubled)):
            seen: set[int] = set()
            for batch, number in found:
                if id(batch) in seen or len(seen) >= 10:
                    continue
                seen.add(id(batch))
                wrong = sum(other is batch for other, _ in found)
                began, ended = batch.tries[0][0] - 4, batch.tries[-1][0] + 1
                yield f"{name}: {number} (0x{number:016x}), one of {wrong} in a batch of {len(batch.ids)}"
                yield "  tries: " + ", ".join(f"{clock(at)} {outcome}" for at, outcome in batch.tries)
                yield f"  segments: {', '.join(self.segments.get(number, [])) or 'none'}"
                near = [f"{clock(at)} {kind}" for at, kind in sorted(self.chaos.log) if began <= at <= ended]
                yield f"  faults near: {', '.join(near) or 'none'}"


def clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at)) + f"{at % 1:.3f}"[1:]


async def storm(site: Site, double: ClickHouseDouble | None, kinds: list[str], args: argparse.Namespace) -> Outcome:
    meter = Meter(site)
    load = Load(site.port, seed=args.seed, rate=args.rate, most=args.events, clients=args.clients)
    chaos = Chaos(site, double, meter, kinds, seed=args.seed, every=args.every)
    began = time.monotonic()
    measuring = asyncio.create_task(meter.run())
    faults = asyncio.create_task(chaos.run(load.over))
    sending = asyncio.create_task(load.run())
    said = began
    while time.monotonic() < began + args.seconds and not sending.done():
        await asyncio.wait([sending], timeout=1)
        if time.monotonic() >= said + 10:
            said = time.monotonic()
            say(f"{said - began:4.0f} s: {load.sent:,} sent, {load.acknowledged:,} acknowledged, "
                f"{sum(chaos.done.values())} faults, {sum(chaos.killed.values())} kills")  # fmt: skip
    load.over.set()
    await sending
    seconds = time.monotonic() - began
    await faults
    say("the faults have ended; waiting for the spool to be empty …")
    ended = time.monotonic()
    drain: float | None = None
    while drain is None and time.monotonic() < ended + DRAIN_SECONDS:
        left = [*(site.data_dir / "spool/open").iterdir(), *(site.data_dir / "spool/sealed").iterdir()]
        if not left and site.office_answers():
            drain = time.monotonic() - ended
        await asyncio.sleep(0.05)
    measuring.cancel()
    meter.sample()
    books: Counter[str] = Counter()
    if drain is not None:
        site.office("POST", "/forward")
        for _, term, count in site.office("GET", "/books"):
            books[term] += count
    return Outcome(load, chaos, meter, seconds, drain, books)


def soak(home: Path, args: argparse.Namespace) -> Outcome:
    kinds = args.faults
    small = home / "small"
    small.mkdir()
    if not small_disk(small) and "full" in kinds:
        kinds = [kind for kind in kinds if kind != "full"]
        say("no permission to mount a small file system: the disk is not filled, the spool's limit is")
    with contextlib.ExitStack() as running:
        running.callback(drop_disk, small)
        settings = {"DATA_DIR": str(small / "data"), "SPOOL_LIMIT": str(SPOOL_LIMIT), "TRUSTED_PROXIES": "127.0.0.1/32"}
        double = None
        if args.store == "server":
            double = running.enter_context(ClickHouseDouble(home / "server"))
            settings["DSN"] = double.dsn
        site = Site(home, workers=args.workers, arguments=["--no-access-log", "--no-proxy-headers"], **settings)
        site.data_dir = small / "data"
        site.dsn = settings.get("DSN") or f"chdb://{site.data_dir / 'store'}"
        site.environment["CONSENT_GATEWAY_DSN"] = site.dsn
        running.enter_context(site)
        outcome = asyncio.run(storm(site, double, kinds, args))
        outcome.trouble = [text for text in site.log().splitlines() if not text.startswith("INFO")][-20:]
        with contextlib.suppress(AssertionError):  # its end is not what is measured
            site.stop()
        if outcome.drain is not None:
            outcome.compare(site.dsn)
        if args.keep:
            shutil.copytree(home, args.keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
    return outcome


def markdown(outcome: Outcome, args: argparse.Namespace) -> str:
    command = shlex.join(["python", "load/soak.py", *args.command])
    version = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in outcome.rows())]
    return (
        f"# Soak: {args.store} store, {args.workers} workers, {outcome.seconds:.0f} s, seed {args.seed}\n\n"
        f"`{command}`\n\n{machine}; version {version.strip() or 'unknown'}; clients, site and store share it.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    kinds = "\n".join(f"  {kind:14}{words}" for kind, (_, words) in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="load/soak.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog=f"""faults, by how they are named in --faults:
{kinds}
  those from store-kill on need --store server

lost      acknowledged with 2xx, and not in the store
doubled   in the store more than once
What was never acknowledged may be stored or not; {PATIENT:.0%} of it is sent again with the same ids, as a page's
script does, and then counts once as well.

Exit code: 0 nothing lost and nothing doubled, 1 otherwise (or the spool did not drain), 2 wrong usage.
The seed decides which faults come in which order, not the moment in the code that they hit: run several.

  python load/soak.py                                 two minutes, the embedded store
  python load/soak.py --store server                  a ClickHouse server (the tests' double of one)
  python load/soak.py --seconds 20 --seed 7           the run of the tests
  python load/soak.py --faults worker --every 0.3     only one kind, often
""",
    )
    parser.add_argument("--seconds", type=float, default=120, help="how long to send (default: 120)")
    parser.add_argument("--seed", type=int, default=None, help="of the faults and events (default: a new one, told)")
    parser.add_argument("--rate", type=float, default=10_000, metavar="N", help="events a second (default: 10000)")
    parser.add_argument("--events", type=int, default=5_000_000, metavar="N", help="at most (default: 5000000)")
    parser.add_argument("--clients", type=int, default=24, metavar="N", help="connections (default: 24)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of the site, 2 or more (default: 2)")
    parser.add_argument("--store", choices=("embedded", "server"), default="embedded", help="default: embedded")
    parser.add_argument("--faults", default="", metavar="KIND,…", help="only these, or none (default: all)")
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="SECONDS", help="from fault to fault, on average (default: 1)"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write the result as Markdown too")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy spool, store and logs there at the end")
    args = parser.parse_args(arguments)
    allowed = [kind for kind in FAULTS if args.store == "server" or kind not in OF_SERVER]
    named = [kind for kind in args.faults.split(",") if kind]
    if wrong := [kind for kind in named if kind not in [*allowed, "none"]]:
        parser.error(
            f"no such fault with --store {args.store}: {', '.join(wrong)}; there are {', '.join(allowed)}, none"
        )
    if args.workers < 2:
        parser.error("--workers is 2 or more: with one, uvicorn has nobody to start it again")
    args.faults = [] if "none" in named else named or allowed
    args.seed = int.from_bytes(os.urandom(3)) if args.seed is None else args.seed
    args.command = arguments if "--seed" in arguments else [*arguments, "--seed", str(args.seed)]
    return args


def main() -> int:
    args = parse(sys.argv[1:])
    say(
        f"seed {args.seed}: {args.seconds:.0f} s, {args.workers} workers, {args.store} store, {args.rate:,.0f} events/s"
    )
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as home:
        outcome = soak(Path(home), args)
    for name, value in outcome.rows():
        print(f"{name:36}{value.replace('**', '')}")
    for text in [*outcome.evidence(), *(outcome.trouble if outcome.drain is None else ())]:
        print(text)
    if args.report:
        args.report.write_text(markdown(outcome, args))
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
