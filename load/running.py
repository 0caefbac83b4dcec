"""Runs what is measured: a server of one or more processes pinned to a core, and a gateway's data and back office.

Whatever is started here ends with the process that started it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENV_PREFIX = "CONSENT_GATEWAY_"
_SECONDS = 60.0
_COUNT = """
import sys, clickhouse_connect
client = clickhouse_connect.get_client(dsn=sys.argv[1])
print(client.query("SELECT count() FROM consent_gateway.events").result_rows[0][0])
"""


class Trouble(Exception):
    """Something that was started does not run, or does not answer as it must; in words for whoever runs this."""


def cores() -> tuple[int, int]:
    """The core for servers and that for clients. With only one they share it, and figures are poor."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def prepared(cpu: int | None, nice: int = 0) -> Callable[[], None]:
    """What a child does before it runs: its core, its priority, and its end when we end."""

    def prepare() -> None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        if nice:
            with suppress(PermissionError):
                os.nice(nice)

    return prepare


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all threads, ended ones included (its CPU clock, else `/proc/PID/stat`)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, float]:
    """Resident megabytes: `all`, and of these `own` (neither files nor shared memory)."""
    lines = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith(("VmRSS", "RssAnon"))
    )
    return {name: int(lines[key].split()[0]) / 1024 for name, key in (("all", "VmRSS"), ("own", "RssAnon"))}


class Server:
    """Processes that serve one application of `apps` on one loopback port."""

    def __init__(
        self, command: Sequence[str], *, cpu: int | None = None, workers: int = 1, log: Path,
        environment: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._log = log
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            self.port: int = listener.getsockname()[1]
            line = [*command, "--fd", str(listener.fileno())]
            if cpu is not None:
                line += ["--cpu", str(cpu)]
            self._processes = [
                spawn(line, log, cpu=cpu, environment=environment, keep=[listener.fileno()]) for _ in range(workers)
            ]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def wait_until_ready(self) -> None:
        """Until every process has started: each is asked with a connection, as any of them may take it."""
        wait_for("the server", self._answers, self._log)
        until = time.monotonic() + _SECONDS
        while len(self._processes) > 1 and time.monotonic() < until:
            if all(_listens(pid) for pid in self.pids):
                return
            time.sleep(0.05)

    def _answers(self) -> bool:
        for process in self._processes:
            if process.poll() is not None:
                raise Trouble(
                    f"a server ended with {process.returncode} at its start:\n{self._log.read_text()[-2000:]}"
                )
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.settimeout(1)
                line.sendall(b"GET /_cg/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return line.recv(12).startswith(b"HTTP/1.1 ")
        except OSError:
            return False

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, self.pids))

    def stop(self) -> None:
        for process in self._processes:
            end(process)


def _listens(pid: int) -> bool:
    """Has this process got as far as its event loop?"""
    try:
        return any("eventpoll" in os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def spawn(
    line: Sequence[str], log: Path, *, cpu: int | None = None, nice: int = 0,
    environment: dict[str, str] | None = None, keep: Iterable[int] = (),
) -> subprocess.Popen[bytes]:  # fmt: skip
    with log.open("ab") as file:
        return subprocess.Popen(
            list(line), env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=tuple(keep),
            preexec_fn=prepared(cpu, nice), cwd=ROOT,
        )  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and after a while SIGKILL."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Installation:
    """A gateway's data directory, its settings, and a back office that can be paused while something is measured."""

    def __init__(self, home: Path, secret: str, **settings: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.data_dir = home, home / "data"
        self.log = home / "log"
        self.store = self.data_dir / "store"
        values = {
            "DATA_DIR": str(self.data_dir),
            "KEYS_DIR": str(home / "keys"),
            "SECRET": secret,
            "SITE": "bench",
            "TRUSTED_PROXIES": "127.0.0.1/32",
            "EXCLUDE_PATHS": "/internal",
            "BACK_OFFICE": "external",
            "SPOOL_LIMIT": "8GiB",
            "EVENTS_PER_NETWORK": "1000000000",  # counted as ever, and never reached
            "EVENTS_PER_SITE": "1000000000",
            "CHOICES_PER_NETWORK": "1000000000",
            "CHOICES_PER_SITE": "1000000000",
            "DSN": f"chdb://{self.store}",
        } | settings
        outer = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        self.settings = values
        self.environment = outer | {ENV_PREFIX + name: value for name, value in values.items()}
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.office: subprocess.Popen[bytes] | None = None

    def start_office(self, *, cpu: int | None = None, nice: int = 0) -> None:
        line = [sys.executable, "-c", "from consent_gateway.cli import app; app()", "serve"]
        self.office = spawn(line, self.log, cpu=cpu, nice=nice, environment=self.environment)
        wait_for("the back office", self._office_answers, self.log)

    def _office_answers(self) -> bool:
        from consent_gateway.rule.errors import OfficeError

        if self.office is not None and self.office.poll() is not None:
            raise Trouble(f"the back office ended with {self.office.returncode}:\n{self.log.read_text()[-2000:]}")
        try:
            self.ask("GET", "/health")
        except (OfficeError, FileNotFoundError):
            return False
        return True

    def ask(self, method: str, path: str) -> Any:
        from consent_gateway.record.office import call

        status, _, body = call(self.data_dir, method, path, timeout=600)
        if status != 200:
            raise Trouble(f"the back office answered {status} to {path}")
        return json.loads(body)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The back office does nothing while the block runs."""
        office = self.office
        if office is not None:
            office.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if office is not None:
                office.send_signal(signal.SIGCONT)

    def drain(self) -> None:
        """Until nothing is in the spool."""
        wait_for("the spool to be empty", self._is_drained, self.log, 900)

    def _is_drained(self) -> bool:
        left = self.ask("POST", "/forward")["pending"]
        return not left and not any((self.data_dir / "spool" / "open").iterdir())

    def books(self) -> Counter[str]:
        """All counts of the one site by term, `received` and so on."""
        books: Counter[str] = Counter()
        for _, term, count in self.ask("GET", "/books"):
            books[term] += count
        return books

    def stop_office(self) -> None:
        if self.office is not None:
            end(self.office)
            self.office = None

    def stored(self) -> int:
        """Rows in the table. The back office has ended: the embedded engine has one process only."""
        line = [sys.executable, "-c", _COUNT, f"chdb://{self.store}"]
        read = subprocess.run(line, capture_output=True, cwd=self.home, text=True)
        if read.returncode:
            raise Trouble(f"the store can't be read: {read.stderr[-500:]}")
        return int(read.stdout)

    def remove(self) -> None:
        from consent_gateway.record.salts import memory_dir

        self.stop_office()
        if self.data_dir.exists():
            shutil.rmtree(memory_dir(self.data_dir), ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


def app_line(name: str) -> list[str]:
    return [sys.executable, str(ROOT / "load" / "apps.py"), name]


def wait_for(what: str, true: Callable[[], bool], log: Path, seconds: float = _SECONDS) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= until:
            raise Trouble(f"waited {seconds:.0f} s for {what}; the log ends:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)
