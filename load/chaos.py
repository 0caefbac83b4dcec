"""The faults of `load/soak.py`: what dies, stops, fills up or answers wrongly; and what the processes cost meanwhile.

Only processes that have the site's own data directory in their environment are ever signalled.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from tests.clickhouse_double import ClickHouseDouble
from tests.running import Site, holders

DISK = 512 << 20  # bytes of the small file system
SPOOL_LIMIT = 256 << 20
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 0x40000, 2
TICK = os.sysconf("SC_CLK_TCK")

# kind: how often, relative to the others; what it does
FAULTS = {
    "worker": (36, "kill -9 a worker of the site, while another one lives"),
    "office": (26, "kill -9 the back office, and with it the forwarder and the embedded engine"),
    "all": (3, "kill -9 every worker and the back office at once"),
    "stop": (7, "SIGSTOP a worker for 0.2 to 3.5 s: longer than its clients wait"),
    "full": (4, "fill the disk under the data directory (a tmpfs of 512 MiB; needs root) for 0.5 to 3 s"),
    "limit": (4, "fill the spool up to SPOOL_LIMIT for 1 to 3 s"),
    "store-kill": (14, "kill -9 the server, and start it again up to 2 s later"),
    "store-stop": (4, "stop the server in order, and start it again up to 3 s later"),
    "refuse": (4, "the server's port is shut, and its connections with it, for 0.2 to 2 s"),
    "status": (4, "503 for the next one to three inserts"),
    "hang": (4, "the next insert hangs for up to 4 s, then its connection is reset"),
    "reset-before": (4, "the next insert's connection is reset, nothing is stored"),
    "reset-after": (6, "the next insert is stored, and its connection reset before the answer"),
    "late": (4, "the next insert's connection is reset, and its rows are stored up to 3 s later"),
    "truncate": (3, "the next insert is stored, and its answer cut short"),
    "lose-rows": (4, "the next insert's token is logged, its rows are lost, its connection is reset"),
}
OF_SERVER = list(FAULTS)[list(FAULTS).index("store-kill") :]


class Meter:
    """Processor time and peak memory of the site's processes, sampled: what a process used last counts when it dies."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.cpu: dict[str, dict[int, float]] = defaultdict(dict)
        self.peak: Counter[str] = Counter()

    def sample(self) -> None:
        for role, pids in (("worker", workers(self._site)), ("office", offices(self._site))):
            for pid in pids:
                with contextlib.suppress(OSError, ValueError, IndexError):
                    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    self.cpu[role][pid] = (int(fields[11]) + int(fields[12])) / TICK
                    status = Path(f"/proc/{pid}/status").read_text()
                    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
                    self.peak[role] = max(self.peak[role], peak)

    def seconds(self, role: str) -> float:
        return sum(self.cpu[role].values())

    async def run(self) -> None:
        while True:
            self.sample()
            await asyncio.sleep(0.25)


def workers(site: Site) -> list[int]:
    return [pid for pid in holders(site.data_dir / "workers.lock") if _is_of(site, pid)]


def offices(site: Site) -> list[int]:
    found = [pid for pid in holders(site.data_dir / "office.lock") if _is_of(site, pid)]
    return [pid for pid in found if b"consent_gateway.office" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _is_of(site: Site, pid: int) -> bool:
    """Never signal a process that is not ours: the kernel's list of locks names files by inode only."""
    with contextlib.suppress(OSError):
        return f"DATA_DIR={site.data_dir}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


class Chaos:
    """Faults at random times, at most one a kind at once. The same seed gives the same faults in the same order."""

    def __init__(
        self, site: Site, double: ClickHouseDouble | None, meter: Meter, kinds: list[str], *, seed: int, every: float
    ) -> None:
        self._site, self._double, self._meter = site, double, meter
        self._kinds, self._every = kinds, every
        self._chance = Random(f"{seed} faults")
        self._busy: set[str] = set()
        self.done: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.log: list[tuple[float, str]] = []

    async def run(self, over: asyncio.Event) -> None:
        """Until it is over; then wait until everything that was stopped, filled or shut is well again."""
        weights = [FAULTS[kind][0] for kind in self._kinds]
        running: set[asyncio.Task[None]] = set()
        while self._kinds and not over.is_set():
            kind = self._chance.choices(self._kinds, weights)[0]
            length = self._chance.random()
            running.add(asyncio.create_task(self._one(kind, length)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), min(self._chance.expovariate(1 / self._every), 8 * self._every))
        if running:
            await asyncio.gather(*running)
        if self._double is not None:
            self._double.start()
            self._double.clear()

    async def _one(self, kind: str, length: float) -> None:
        what = "store" if kind in OF_SERVER else kind
        if what in self._busy:
            return
        self._busy.add(what)
        try:
            action: Callable[[str, float], Awaitable[int]] = {
                "worker": self._kill, "office": self._kill, "all": self._kill, "stop": self._stop,
                "full": self._full, "limit": self._limit, "store-kill": self._restart, "store-stop": self._restart,
            }.get(kind, self._tell)  # fmt: skip
            began = time.time()
            if await action(kind, length):
                self.done[kind] += 1
                self.log.append((began, kind))
        finally:
            self._busy.discard(what)

    async def _kill(self, kind: str, length: float) -> int:
        self._meter.sample()
        at_work, office = workers(self._site), offices(self._site)
        if kind == "worker":
            at_work, office = [self._chance.choice(at_work)] if len(at_work) > 1 else [], []
        elif kind == "office":
            at_work = []
        for role, pid in [("worker", pid) for pid in at_work] + [("office", pid) for pid in office]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed[role] += 1
        return len(at_work) + len(office)

    async def _stop(self, kind: str, length: float) -> int:
        pids = workers(self._site)
        if not pids:
            return 0
        with contextlib.suppress(ProcessLookupError):
            pid = self._chance.choice(pids)
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(0.2 + 3.3 * length)
            if pid in workers(self._site):
                os.kill(pid, signal.SIGCONT)
        return 1

    async def _full(self, kind: str, length: float) -> int:
        ballast = self._site.home / "small" / "ballast"
        try:
            await asyncio.to_thread(fill, ballast)
            await asyncio.sleep(0.5 + 2.5 * length)
        finally:
            ballast.unlink()
        return 1

    async def _limit(self, kind: str, length: float) -> int:
        """A file of that size without blocks: the spool counts sizes."""
        ballast = self._site.data_dir / "spool" / "aside" / "000000-ballast-000000"
        with ballast.open("wb") as file:
            file.truncate(SPOOL_LIMIT)
        await asyncio.sleep(1 + 2 * length)
        ballast.unlink()
        return 1

    async def _restart(self, kind: str, length: float) -> int:
        assert self._double is not None
        if kind == "store-kill":
            self.killed["store"] += 1
        await asyncio.to_thread(self._double.kill if kind == "store-kill" else self._double.stop)
        await asyncio.sleep((2 if kind == "store-kill" else 3) * length)
        await asyncio.to_thread(self._double.start)
        return 1

    async def _tell(self, kind: str, length: float) -> int:
        assert self._double is not None
        seconds = {"refuse": 0.2 + 1.8 * length, "hang": 4 * length, "late": 3 * length}.get(kind, 1)
        times = 1 + int(3 * length) if kind == "status" else 1
        with contextlib.suppress(OSError, ValueError):
            await asyncio.to_thread(self._double.fault, kind.replace("-", "_"), times=times, seconds=seconds)
            if kind == "refuse":
                await asyncio.sleep(seconds + 0.1)
            return 1
        return 0


def small_disk(where: Path) -> bool:
    """A tmpfs in a mount namespace of our own: it is gone with us. False where that is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={DISK},mode=700".encode()
    if (
        libc.unshare(CLONE_NEWNS)
        or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        or libc.mount(b"soak", bytes(where), b"tmpfs", 0, options)
    ):
        return False
    for number in range(
        int.from_bytes(os.urandom(2)) // 4
    ):  # so that two runs at once have other inodes for their locks
        (where / f"{number}").touch()
        (where / f"{number}").unlink()
    return True


def drop_disk(where: Path) -> None:
    """Take it away, if it is one."""
    if where.is_mount():
        ctypes.CDLL(None).umount2(bytes(where), MNT_DETACH)


def fill(ballast: Path) -> None:
    """Take every block that is free, in ever smaller pieces, as others write meanwhile."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        with contextlib.suppress(OSError):
            room = os.statvfs(ballast.parent)
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
        file.seek(0, os.SEEK_END)
        while True:
            file.write(bytes(4096))
