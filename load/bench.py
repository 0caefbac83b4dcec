"""What an event costs, against a bare application in the same rounds. How to read it: docs/performance.md.

Servers are pinned to one core and clients to another. Every round measures each subject once, and each figure is a
ratio within its round, so a slow moment of the machine falls on all alike; printed are medians, with quartiles. At the
end it is checked that what was sent was accepted or lawfully dropped, and that what was accepted is stored.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from load import drive, paper, rows, stages, traffic  # noqa: E402
from load.drive import Outcome  # noqa: E402
from load.figures import Bar, Spread, chart, load, markdown, replace_part, save, show, thousands  # noqa: E402
from load.running import Installation, Server, Trouble, app_line, cores, memory  # noqa: E402

CONNECTIONS = 32
PACKAGES = (
    "uvicorn", "uvloop", "httptools", "starlette", "fastapi", "pydantic", "msgspec", "chdb-core-lite",
    "clickhouse-connect",
)  # fmt: skip
MEMORY_VISITORS = 1_000_000
STORED_ROWS = 1_000_000
FEW_ROWS = 10_000
PARTS = ("events", "forward", "memory", "latency", "stored", "workers", "profile")


@dataclass(frozen=True)
class Subject:
    """One thing that is measured: a server, a kind of request, what it is compared with, and the goal of issue 7."""

    key: str
    words: str
    server: str
    kind: str
    base: str
    goal: str = ""
    events: int = 1
    above: bool = False  # the figure is the CPU above the base, not the share of its rate


SUBJECTS = (
    Subject("bare", "bare ASGI app, POST", "bare", "event", "bare"),
    Subject("starlette", "empty Starlette route", "starlette", "event", "bare"),
    Subject("fastapi", "empty FastAPI route, pydantic body", "fastapi", "event", "bare"),
    Subject("floor", "floor: its stages in a straight line", "floor", "event", "bare"),
    Subject("event", "gateway, one event a request", "gateway", "event", "bare", "≥ 0.55"),
    Subject("sync", "gateway, EVENT_SYNC", "sync", "event", "bare", "≥ 0.40"),
    Subject("floor-batch", "floor, 20 events a request", "floor", "batch", "bare", events=traffic.BATCH),
    Subject("batch", "gateway, 20 events a request", "gateway", "batch", "bare", "≥ 200 000/s", traffic.BATCH),
    Subject("page", "bare ASGI app, a page", "bare", "page", "page"),
    Subject("floor-page", "floor, the page recorded", "floor", "page", "page", above=True),
    Subject("recorded", "gateway, the page recorded", "gateway", "page", "page", "≤ +12 µs", above=True),
    Subject("excluded", "gateway, the page of an excluded path", "gateway", "excluded", "page", "≤ +2 µs", above=True),
)


@dataclass
class Sample:
    """One subject in one round."""

    rate: float  # events a second
    micros: float  # of the server's CPU per event
    share: float  # of its core that the server had
    others: float  # of its core that programs had which are not ours
    p50_ms: float
    p99_ms: float


@dataclass
class Sent:
    """What was sent to one installation, to compare with its books."""

    least: int = 0  # answered to the generator
    most: int = 0  # and perhaps under way when it stopped
    refused: int = 0
    failed: int = 0

    def add(self, outcome: Outcome, events: int) -> None:
        self.least += outcome.requests * events
        self.most += (outcome.requests + (0 if outcome.exact else CONNECTIONS)) * events
        self.refused += outcome.refused
        self.failed += outcome.failed


class Busy:
    """How much of a core programs other than ours had, by `/proc/stat`."""

    def __init__(self, cpu: int) -> None:
        self._cpu = cpu
        self._ticks = os.sysconf("SC_CLK_TCK")

    def seconds(self) -> float:
        for line in Path("/proc/stat").read_text().splitlines():
            name, *fields = line.split()
            if name == f"cpu{self._cpu}":
                user, nice, system, _, _, interrupts, soft, steal = map(int, fields[:8])
                return (user + nice + system + interrupts + soft + steal) / self._ticks
        return 0.0


@dataclass
class Bench:
    """One run: its folder, its options, and what it found."""

    home: Path
    options: argparse.Namespace
    console: Console
    figures: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)  # of the report, as Markdown
    drawings: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server_cpu, self.client_cpu = cores()
        self.secret = secrets.token_urlsafe(32)
        self.files: dict[str, Path] = {}
        self._stack = ExitStack()
        self._installations = 0

    def close(self) -> None:
        self._stack.close()

    # what is started

    def file(self, kind: str) -> Path:
        if kind not in self.files:
            people = traffic.visitors(self.secret, traffic.VISITORS, int(time.time() * 1000))
            self.files[kind] = self.home / f"{kind}.requests"
            traffic.write(
                self.files[kind], traffic.requests(kind, people, traffic.REQUESTS // (4 if kind == "batch" else 1))
            )
        return self.files[kind]

    def installation(self, **settings: str) -> Installation:
        self._installations += 1
        made = Installation(self.home / f"installation-{self._installations}", self.secret, **settings)
        self._stack.callback(made.remove)
        return made

    def server(self, name: str, installation: Installation | None = None, workers: int = 1) -> Server:
        log = installation.log if installation else self.home / f"{name}.log"
        started = Server(
            app_line(name), cpu=self.server_cpu, workers=workers, log=log,
            environment=installation.environment if installation else None,
        )  # fmt: skip
        self._stack.callback(started.stop)
        started.wait_until_ready()
        return started

    # what is measured

    def sample(self, server: Server, kind: str, events: int, *, sent: Sent | None = None, seconds: float = 0) -> Sample:
        busy = Busy(self.server_cpu)
        began, before, busy_before = time.perf_counter(), server.cpu_seconds(), busy.seconds()
        outcome = drive.closed(
            server.port, self.file(kind), seconds or self.options.seconds, connections=CONNECTIONS, cpu=self.client_cpu,
            own=self.options.own,
        )  # fmt: skip
        used, all_used = server.cpu_seconds() - before, busy.seconds() - busy_before
        took = time.perf_counter() - began
        if sent is not None:
            sent.add(outcome, events)
        if not outcome.requests:
            raise Trouble("a server answered no request")
        return Sample(
            outcome.rate * events, used / (outcome.requests * events) * 1e6, used / took,
            max(0.0, all_used - used) / took, outcome.p50_ms, outcome.p99_ms,
        )  # fmt: skip

    def rounds(self) -> Iterator[int]:
        with self.console.status("") as status:
            for number in range(self.options.rounds):
                status.update(f"round {number + 1} of {self.options.rounds}")
                yield number

    def settle(self, installation: Installation, sent: Sent, words: str) -> None:
        """Everything forwarded, the books closed, and the table counted: is each event where it must be?"""
        installation.drain()
        books = installation.books()
        installation.stop_office()
        stored = installation.stored()
        dropped = sum(count for term, count in books.items() if term.startswith("dropped."))
        unlawful = {
            term: count for term, count in books.items() if term.startswith("dropped.") and term != "dropped.objection"
        }
        checks = {
            f"{sent.refused} requests were refused, {sent.failed} got no answer": not (sent.refused or sent.failed),
            f"sent {sent.least} to {sent.most}, received {books['received']}": sent.least
            <= books["received"]
            <= sent.most,
            f"received {books['received']}, accepted {books['accepted']} and dropped {dropped}": books["received"]
            == books["accepted"] + dropped,
            f"dropped otherwise than by objection: {unlawful}": not unlawful,
            f"accepted {books['accepted']}, in the table {stored}": books["accepted"] == stored,
        }
        self.wrong += [f"{words}: {text}" for text, fine in checks.items() if not fine]
        self.console.print(
            f"{words}: {thousands(books['received'])} received = {thousands(books['accepted'])} accepted + "
            f"{thousands(dropped)} dropped by objection; in the table {thousands(stored)}. "
            + ("[green]balanced[/]" if all(checks.values()) else "[red]NOT BALANCED[/]")
        )

    def table(self, part: str, title: str, head: Sequence[str], lines: Sequence[Sequence[str]], note: str = "") -> None:
        show(self.console, title, head, lines)
        if note:
            self.console.print(note, style="dim")
        self.parts[part] = markdown(head, lines) + (f"\n\n{note}" if note else "")

    def events(self) -> None:
        """The main table: everything that answers requests."""
        subjects = [subject for subject in SUBJECTS if subject.key != "fastapi" or self._has_fastapi()]
        plain, synced = self.installation(), self.installation(EVENT_SYNC="on")
        sent = {"gateway": Sent(), "sync": Sent()}
        for installation in (plain, synced):
            installation.start_office(cpu=self.client_cpu)
        plain_servers = {subject.server for subject in subjects} - {"gateway", "sync"}
        servers: dict[str, Server] = {name: self.server(name) for name in plain_servers}
        servers |= {"gateway": self.server("gateway", plain), "sync": self.server("gateway", synced)}

        def measure(subject: Subject, seconds: float = 0) -> Sample:
            with plain.paused(), synced.paused():
                counted = sent.get(subject.server) if subject.kind != "excluded" else None
                return self.sample(servers[subject.server], subject.kind, subject.events, sent=counted, seconds=seconds)

        for subject in subjects:
            measure(subject, 1)
        found: dict[str, list[Sample]] = {subject.key: [] for subject in subjects}
        for number in self.rounds():
            turn = number % len(subjects)
            for subject in (*subjects[turn:], *subjects[:turn]):
                found[subject.key].append(measure(subject))
            for installation in (plain, synced):
                installation.drain()
        self._tell_events(subjects, found)
        for server in servers.values():
            server.stop()
        self.settle(plain, sent["gateway"], "gateway")
        self.settle(synced, sent["sync"], "with EVENT_SYNC")

    def _has_fastapi(self) -> bool:
        try:
            import_module("fastapi")
            return True
        except ImportError as error:
            self.console.print(f"left out: the FastAPI route ({error}); it needs: pip install fastapi")
            return False

    def _tell_events(self, subjects: Sequence[Subject], found: dict[str, list[Sample]]) -> None:
        head = ("", "events/s", "CPU µs per event", "share of the base's rate", "by CPU", "above it, µs", "goal")
        lines, bars = [], []
        kept: dict[str, Any] = {}
        for subject in subjects:
            samples, bases = found[subject.key], found[subject.base]
            pairs = list(zip(samples, bases, strict=True))
            rate, micros = Spread.of([one.rate for one in samples]), Spread.of([one.micros for one in samples])
            share = Spread.of([one.rate / base.rate for one, base in pairs])
            by_cpu = Spread.of([base.micros / one.micros for one, base in pairs])
            above = Spread.of([one.micros - base.micros for one, base in pairs])
            own = subject.base != subject.key
            lines.append(
                (
                    subject.words,
                    thousands(rate.middle),
                    micros.text(1),
                    share.text() if own else "1",
                    f"{by_cpu.middle:.2f}" if own else "1",
                    above.text(1, "+") if own else "",
                    subject.goal,
                )
            )
            kept[subject.key] = {
                "rate": rate.middle,
                "micros": micros.middle,
                "share": share.middle,
                "above": above.middle,
            }
            if subject.base == "bare":
                bars.append(Bar(subject.words, share, subject.server in ("gateway", "sync")))
        every = [sample for samples in found.values() for sample in samples]
        others = Spread.of([sample.others for sample in every])
        full = Spread.of([sample.share for sample in every])
        note = (
            f"Medians of {self.options.rounds} interleaved rounds of {self.options.seconds:g} s, quartiles in "
            f"brackets; generator: {drive.generator(self.options.own)}, {CONNECTIONS} connections. The server had "
            f"{full.middle:.0%} of its core, other programs {others.middle:.0%}."
        )
        if others.middle > 0.05 or full.middle < 0.8:
            note += " **The machine was not quiet: read the ratios as rough, and rates not at all.**"
        self.table("events", "Requests", head, lines, note)
        kept["sizes"] = {kind: _mean_size(self.file(kind)) for kind in ("event", "batch")} | {
            "events_a_batch": traffic.BATCH
        }
        kept["sizes"]["spool"] = self._line_size()
        self.figures["events"] = kept
        self.drawings["events"] = chart(
            "Events a second, as a share of a bare ASGI app's requests a second",
            "one worker on one core, uvicorn with uvloop and httptools; lines show quartiles", bars, "",
        )  # fmt: skip

    def _line_size(self) -> float:
        """Mean bytes of a line in the spool."""
        lines = self.spool_lines(2000)
        return sum(map(len, lines)) / len(lines)

    def spool_lines(self, count: int) -> list[bytes]:
        """So many lines of a spool, written by the gateway itself."""
        installation = self.installation()
        server = self.server("gateway", installation)
        lines: list[bytes] = []
        while len(lines) < count:
            drive.closed(
                server.port, self.file("batch"), 1, connections=CONNECTIONS, cpu=self.client_cpu, own=self.options.own
            )
            found = sorted((installation.data_dir / "spool").glob("*/2*"))
            lines = [
                line for path in found for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
            ]
        server.stop()
        installation.remove()
        return lines[:count]

    def forward(self) -> None:
        """From the spool to the table: the back office's CPU per row, and that of the insert alone."""
        installation = self.installation()
        installation.start_office(cpu=self.client_cpu)
        alone = self._stack.enter_context(rows.Alone(self.home / "alone", self.server_cpu))
        lines = self.spool_lines(rows.ROWS)
        count = 2 if self.options.quick else 5  # segments a round
        found, bases = [], []
        rows.forwarded(installation, lines, count, self.home)  # warm
        alone.insert(rows.segments(lines, count, self.home / "warm"))
        for _ in self.rounds():
            found.append(rows.forwarded(installation, lines, count, self.home))
            bases.append(alone.insert(rows.segments(lines, count, self.home / "segments")))
        installation.drain()
        installation.stop_office()
        stored, size = rows.in_table(installation)
        if stored != (self.options.rounds + 1) * count * rows.ROWS:
            self.wrong.append(
                f"forward: {stored} rows in the table, sent {(self.options.rounds + 1) * count * rows.ROWS}"
            )
        ours, base = Spread.of(found), Spread.of(bases)
        ratio = Spread.of([one / other for one, other in zip(found, bases, strict=True)])
        self.table(
            "forward",
            "Spool to table, batches of 10 000",
            ("", "CPU µs per row", "of the insert alone", "goal"),
            [
                ("insert of the spool's bytes, alone", base.text(), "1", ""),
                ("sealed, forwarded and confirmed by the back office", ours.text(), ratio.text(), "≤ 5 µs"),
            ],
            f"{thousands(stored)} rows, {size:.0f} bytes each on disk.",
        )
        self.figures["forward"] = {"micros": ours.middle, "base_micros": base.middle, "stored_bytes": size}

    def memory(self) -> None:
        """Resident memory of a worker, after few and after many distinct visitors, above the bare app's."""
        wanted = self.options.memory or MEMORY_VISITORS
        installation = self.installation()
        installation.start_office(cpu=self.client_cpu)
        bare, gateway = self.server("bare"), self.server("gateway", installation)
        sent, lines = Sent(), []
        base = memory(bare.pids[0])
        for goal in sorted({0, min(FEW_ROWS, wanted), wanted // 2, wanted}):
            while sent.least < goal:
                self.sample(gateway, "distinct", 1, sent=sent, seconds=min(30, max(1, (goal - sent.least) / 20_000)))
            self.sample(bare, "distinct", 1, seconds=1)
            base, used = memory(bare.pids[0]), memory(gateway.pids[0])
            lines.append(
                (
                    thousands(sent.least),
                    f"{base['all']:.1f}",
                    f"{used['all']:.1f}",
                    f"{used['all'] - base['all']:+.1f}",
                    f"{used['own'] - base['own']:+.1f}",
                )
            )
        self.figures["memory"] = {
            "visitors": sent.least,
            "above": used["all"] - base["all"],
            "own": used["own"] - base["own"],
        }
        self.table(
            "memory", "Memory of a worker, MB resident",
            ("distinct visitors", "bare app", "gateway", "above (goal ≤ 40, flat)", "above, private memory only"),
            lines,
        )  # fmt: skip
        gateway.stop()
        self.settle(installation, sent, "memory")

    def latency(self) -> None:
        """At half of the highest rate, by the clock, with the back office at work on the other core."""
        installation = self.installation()
        installation.start_office(cpu=self.client_cpu)
        bare, gateway = self.server("bare"), self.server("gateway", installation)
        sent = Sent()
        self.sample(gateway, "event", 1, sent=sent, seconds=2)
        rate = max(self.sample(gateway, "event", 1, sent=sent, seconds=2).rate for _ in range(3)) / 2
        found: dict[str, list[Outcome]] = {"bare": [], "gateway": []}
        for _ in self.rounds():
            for name, server in (("bare", bare), ("gateway", gateway)):
                outcome = drive.fixed(
                    server.port, self.file("event"), max(3.0, self.options.seconds), rate, cpu=self.client_cpu
                )
                found[name].append(outcome)
                if name == "gateway":
                    sent.add(outcome, 1)
        lines = []
        for words, name in (("bare ASGI app", "bare"), ("gateway, back office beside it", "gateway")):
            each = found[name]
            p50, p99 = Spread.of([one.p50_ms for one in each]), Spread.of([one.p99_ms for one in each])
            ratio = Spread.of([one.p99_ms / one.p50_ms for one in each])
            p999, late = Spread.of([one.p999_ms for one in each]), Spread.of([one.late_ms for one in each])
            lines.append((words, p50.text(), p99.text(), f"{p999.middle:.2f}", ratio.text(1), f"{late.middle:.2f}"))
            self.figures.setdefault("latency", {})[name] = {
                "p50_ms": p50.middle,
                "p99_ms": p99.middle,
                "ratio": ratio.middle,
            }
        self.table(
            "latency", f"Latency at {thousands(rate)} requests a second, ms",
            ("", "p50", "p99", "p99.9", "p99 ÷ p50 (goal ≤ 3)", "p99 of the generator's own delay"), lines,
            f"Half of the gateway's highest rate ({thousands(rate * 2)}/s), arrivals by a clock and at random, time "
            "from when a request was due. The generator shares its core with the back office: its own delay is in all.",
        )  # fmt: skip
        gateway.stop()
        self.settle(installation, sent, "latency")

    def stored(self) -> None:
        """Does an event cost more when more is stored? At the edge, and on the way into the table."""
        many = self.options.stored or STORED_ROWS
        lines = self.spool_lines(rows.ROWS)
        sides: list[tuple[Installation, Server, list[float], list[float]]] = []
        for amount in (FEW_ROWS, many):
            installation = self.installation()
            rows.fill(installation, lines, amount, self.home)
            installation.start_office(cpu=self.client_cpu)
            sides.append((installation, self.server("gateway", installation), [], []))
        for installation, server, _, _ in sides:
            self.sample(server, "event", 1, seconds=1)
            installation.drain()
        for _ in self.rounds():
            for installation, server, edge, office in sides:
                with sides[0][0].paused(), sides[1][0].paused():
                    edge.append(self.sample(server, "event", 1).micros)
                installation.drain()
                office.append(rows.forwarded(installation, lines, 2, self.home))
        (_, _, few_edge, few_office), (_, _, many_edge, many_office) = sides
        told = []
        for words, few, more in (("at the edge", few_edge, many_edge), ("spool to table", few_office, many_office)):
            ratio = Spread.of([one / other for one, other in zip(more, few, strict=True)])
            told.append((words, Spread.of(few).text(1), Spread.of(more).text(1), ratio.text()))
            self.figures.setdefault("stored", {"rows": many})[words] = ratio.middle
        head = ("CPU µs per event", f"{thousands(FEW_ROWS)} stored", f"{thousands(many)} stored", "ratio (goal: 1)")
        self.table("stored", "Cost per event, by what is stored", head, told)

    def workers(self) -> None:
        """1 to 8 workers on one data directory and one core: CPU per event."""
        counts = (1, 2, 4, 8)
        installations = {count: self.installation() for count in counts}
        servers, sent = {}, {count: Sent() for count in counts}
        for count, installation in installations.items():
            installation.start_office(cpu=self.client_cpu)
            servers[count] = self.server("gateway", installation, workers=count)
            self.sample(servers[count], "event", 1, sent=sent[count], seconds=2)
        found: dict[int, list[Sample]] = {count: [] for count in counts}
        for _ in self.rounds():
            for count in counts:
                with ExitStack() as pauses:
                    for installation in installations.values():
                        pauses.enter_context(installation.paused())
                    found[count].append(self.sample(servers[count], "event", 1, sent=sent[count]))
            for installation in installations.values():
                installation.drain()
        lines = []
        for count in counts:
            ratio = Spread.of([one.micros / base.micros for one, base in zip(found[count], found[1], strict=True)])
            micros = Spread.of([one.micros for one in found[count]])
            lines.append(
                (
                    str(count),
                    thousands(Spread.of([one.rate for one in found[count]]).middle),
                    micros.text(1),
                    ratio.text(),
                )
            )
            self.figures.setdefault("workers", {})[str(count)] = ratio.middle
        self.table(
            "workers",
            "Workers, all on one core",
            ("workers", "events/s", "CPU µs per event", "of one worker's (goal: 1)"),
            lines,
        )
        for count in counts:
            servers[count].stop()
            self.settle(installations[count], sent[count], f"{count} workers")

    def profile(self) -> None:
        """Each stage of the way of one event, timed in a process of this program's own."""
        installation = self.installation()
        os.sched_setaffinity(0, {self.server_cpu})
        found = stages.profile(
            installation.home,
            self.secret,
            {"SECRET": self.secret, "TRUSTED_PROXIES": "127.0.0.1/32", "BACK_OFFICE": "external"},
        )
        os.sched_setaffinity(0, {self.server_cpu, self.client_cpu})
        whole = found[0].micros
        lines = []
        for stage in found:
            name = f"\u2003{stage.name}" if stage.part_of else stage.name
            lines.append((name, f"{stage.micros:.2f}", f"{stage.micros / whole:.0%}" if not stage.part_of else ""))
        self.figures["profile"] = {stage.name: stage.micros for stage in found} | {"calls": found[0].calls}
        self.table("profile", "One event, stage by stage", ("stage", "µs", "of the whole"), lines,
            f"{found[0].calls:.0f} function calls an event, Python's and C's.",
        )  # fmt: skip


def _mean_size(file: Path) -> float:
    made = [sum(map(len, parts)) + 16 * (len(parts) - 1) for parts in traffic.read(file)]
    return sum(made) / len(made)


def machine() -> list[tuple[str, str]]:
    """What it ran on, in words that name no person and no path."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    wrk = "wrk" if shutil.which("wrk") else "no wrk: a generator of our own on raw sockets"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    return [
        ("machine", f"{model}, {len(os.sched_getaffinity(0))} cores, {pages:.0f} GB, Linux {platform.release()}"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(versions)),
        ("generator", wrk),
        (
            "settings",
            "one worker pinned to one core, the client to another; TRUSTED_PROXIES=127.0.0.1/32, else defaults",
        ),
        ("state", f"{time.strftime('%Y-%m-%d')}, {commit or 'no git'}, load average before {os.getloadavg()[0]:.1f}"),
    ]


def write_report(bench: Bench, report: Path, about: Sequence[tuple[str, str]], assumed: paper.Assumed) -> None:
    figures = load(report) | bench.figures
    save(report, figures)
    replace_part(report, "machine", markdown(("", ""), about))
    for name, text in bench.parts.items():
        if name == "events":
            drawing = report.with_suffix(".svg")
            drawing.write_text(bench.drawings["events"])
            text = f"![Events a second, as a share of a bare ASGI app's]({drawing.name})\n\n{text}"
        replace_part(report, name, text)
    replace_part(report, "paper", paper.text(figures, assumed))
    bench.console.print(f"written: {report.name}, {report.with_suffix('.json').name}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three rounds of a second: rough, in a minute")
    parser.add_argument("--rounds", type=int, help="default 9; 3 with --quick")
    parser.add_argument("--seconds", type=float, help="of each measurement; default 3; 1 with --quick")
    parser.add_argument("--own", action="store_true", help="use the generator of our own even where wrk is installed")
    parser.add_argument(
        "--events", action="store_true", help="requests: bare, empty routes, gateway (the default, with --forward)"
    )
    parser.add_argument("--forward", action="store_true", help="spool to table")
    parser.add_argument(
        "--memory",
        type=int,
        nargs="?",
        const=MEMORY_VISITORS,
        metavar="N",
        help="a worker's memory after N distinct visitors",
    )
    parser.add_argument("--latency", action="store_true", help="p99 at half of the highest rate, back office beside it")
    parser.add_argument(
        "--stored", type=int, nargs="?", const=STORED_ROWS, metavar="N", help="cost per event with N rows stored"
    )
    parser.add_argument("--workers", action="store_true", help="cost per event from 1 to 8 workers")
    parser.add_argument("--profile", action="store_true", help="one event stage by stage")
    parser.add_argument("--all", action="store_true", help="all of these")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write into the marked parts of this Markdown file, and a chart beside it",
    )
    for name, kind in paper.Assumed.__annotations__.items():
        value = getattr(paper.Assumed, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=float if kind == "float" else int,
            default=value,
            help=f"on paper; {value:g}",
        )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.seconds = options.seconds or (1.0 if options.quick else 3.0)
    return options


def chosen(options: argparse.Namespace) -> list[str]:
    named = [part for part in PARTS if options.all or getattr(options, part) not in (None, False)]
    return named or ["events", "forward"]


@contextmanager
def prepared_bench(options: argparse.Namespace, console: Console) -> Iterator[Bench]:
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    bench = Bench(home, options, console)
    try:
        yield bench
    finally:
        bench.close()
        shutil.rmtree(home, ignore_errors=True)


def make_console() -> Console:
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=160)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    console = make_console()
    about = machine()
    for name, value in about:
        console.print(f"[bold]{name}[/] {value}")
    assumed = paper.Assumed(**{name: getattr(options, name) for name in asdict(paper.Assumed())})
    with prepared_bench(options, console) as bench:
        runs: dict[str, Callable[[], None]] = {part: getattr(bench, part) for part in PARTS}
        try:
            for part in chosen(options):
                runs[part]()
        except Trouble as error:
            console.print(f"[red]{error}[/]")
            return 1
        figures = (load(options.report) if options.report else {}) | bench.figures
        if not paper.missing(figures):
            head = ("on paper", "from", "one a request", "20 a request")
            show(console, f"To {thousands(assumed.rate)} events a second", head, paper.calculate(figures, assumed))
        if options.report:
            write_report(bench, options.report, about, assumed)
        for text in bench.wrong:
            console.print(f"[red]wrong:[/] {text}")
        return 1 if bench.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
