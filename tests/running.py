"""Equipment: a web site under a real uvicorn, with the gateway mounted, its back office and its embedded store.

    with Site(tmp_path, workers=4, TRUSTED_PROXIES="127.0.0.1/32") as site:
        site.get("/", {"X-Forwarded-For": "203.0.113.77"})
        rows = site.stored()             # everything forwarded, the site ended, all of `events` as text

Whatever is started here ends with the test process, however that ends. `python -m tests.running ARGUMENTS` is uvicorn.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent
ENV_PREFIX = "CONSENT_GATEWAY_"
Pairs = Mapping[str, str] | Iterable[tuple[str, str]]
Row = dict[str, str]

_SECONDS = 40.0  # for a start, an end, a drain; a loaded machine takes its time
_READ = """
import json, sys, clickhouse_connect
client = clickhouse_connect.get_client(dsn=sys.argv[1])
tables = {}
for (table,) in client.query("SELECT name FROM system.tables WHERE database = 'consent_gateway'").result_rows:
    rows = client.query(f"SELECT * APPLY(column -> ifNull(toString(column), '')) FROM consent_gateway.{table}")
    names = client.query(f"SELECT * FROM consent_gateway.{table} LIMIT 0").column_names
    tables[table] = [dict(zip(names, row)) for row in rows.result_rows]
json.dump(tables, sys.stdout)
"""


def _end_with_parent() -> None:
    """PR_SET_PDEATHSIG: the kernel kills us when the process that started us dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@dataclass(frozen=True)
class Answer:
    """One response, read whole."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """One site in a folder of its own, all it writes below that: `data_dir`, `keys_dir`, `temporary`, `log_path`.

    `app` is a factory in `tests.sites` or `module:function`; `settings` are the gateway's (`SITE="shop"`),
    `arguments` more of uvicorn's (`"--no-proxy-headers"`). After `kill9` or `stop`, `start` runs it again on the
    same data, at a new port.
    """

    def __init__(
        self, home: Path, app: str = "site", *, workers: int = 1, arguments: Iterable[str] = (), **settings: str
    ) -> None:
        self.home = home
        self.data_dir, self.keys_dir, self.temporary = home / "data", home / "keys", home / "tmp"
        self.log_path, self.work_dir = home / "log", home / "work"
        for folder in (self.temporary, self.work_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self.workers, self.arguments = workers, list(arguments)
        self.app = app if ":" in app else f"tests.sites:{app}"
        self.prefix = settings.get("PREFIX", "/_cg")
        self.dsn = settings.get("DSN") or f"chdb://{self.data_dir / 'store'}"
        own = {"DATA_DIR": str(self.data_dir), "KEYS_DIR": str(self.keys_dir), "DSN": self.dsn} | settings
        outer = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        self.environment = outer | {ENV_PREFIX + name: value for name, value in own.items()}
        self.environment |= {"TMPDIR": str(self.temporary), "HOME": str(self.work_dir), "PYTHONUNBUFFERED": "1"}
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.port = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._office: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill9()
        self.kill9_office()
        shutil.rmtree(self.memory_dir, ignore_errors=True)

    # processes

    def start(self) -> None:
        """Start uvicorn, and wait until every worker answers."""
        told = len(self.log())
        line = ["-m", "tests.running", self.app, "--factory", "--host", "127.0.0.1", "--port", "0"]
        line += ["--workers", str(self.workers), "--timeout-graceful-shutdown", "2", *self.arguments]
        self._server = self._run(line)
        self.wait_for("the site to start", lambda: self._has_started(told))

    def _has_started(self, told: int) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise AssertionError(f"the site ended with {self._server.returncode} at its start:\n{self.log()}")
        _, found, rest = self.log()[told:].partition("Uvicorn running on http://127.0.0.1:")
        if not found:
            return False
        self.port = int(rest.partition(" ")[0])
        try:
            self.get(f"{self.prefix}/health")  # without a lifespan, what opens a worker
        except (OSError, HTTPException):
            return False
        return len(self.worker_pids) >= self.workers

    def start_office(self) -> None:
        """For BACK_OFFICE=external: `consent-gateway serve`, until it answers."""
        self._office = self._run(["-c", "from consent_gateway.cli import app; app()", "serve"])
        self.wait_for("the back office", self.office_answers)

    def _run(self, line: list[str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *line], cwd=self.work_dir, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Uvicorn's: with one worker the worker itself, else their supervisor."""
        assert self._server is not None
        return self._server.pid

    @property
    def worker_pids(self) -> list[int]:
        """The processes in which a gateway lives."""
        return holders(self.data_dir / "workers.lock")

    @property
    def office_pid(self) -> int | None:
        """The back office, or none."""
        return next((pid for pid in holders(self.data_dir / "office.lock") if pid not in self.worker_pids), None)

    @property
    def running(self) -> bool:
        return self._server is not None

    def kill9(self) -> None:
        """`kill -9` the server and all its workers at once. The back office notices, and ends by itself."""
        if self._server is not None:
            server, self._server = self._server, None
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            self.wait_for("the workers to be gone", lambda: not self.worker_pids)

    def kill9_office(self) -> None:
        """`kill -9` the back office, if there is one."""
        if (pid := self.office_pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._office is not None:
            self._office.kill()
            self._office.wait()
            self._office = None
        self.wait_for("the back office to be gone", lambda: self.office_pid != pid or pid is None)

    def stop(self) -> None:
        """SIGTERM, and wait until the workers and the back office have ended, so that the store is free."""
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"the site does not end:\n{self.log()}") from None
            self._server = None
        if self._office is not None:
            self._office.terminate()
            self._office.wait(_SECONDS)
            self._office = None
        self.wait_for("the back office to end", lambda: not holders(self.data_dir / "office.lock"))
        self.wait_for("its engine to end", lambda: not holders(self.data_dir / "store" / "status"))

    # requests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self,
        method: str,
        path: str,
        headers: Pairs = (),
        body: bytes | str | list[Any] | dict[str, Any] | None = None,
        cookies: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
    ) -> Answer:
        """One request on a connection of its own, from `source` (on Linux any of 127.0.0.0/8).

        A list or a dict is sent as JSON; headers may repeat a name.
        """
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        names = {name.lower() for name, _ in pairs}
        if isinstance(body, list | dict):
            body = json.dumps(body)
            pairs += [] if "content-type" in names else [("Content-Type", "application/json")]
        data = body.encode() if isinstance(body, str) else body
        if cookies:
            pairs.append(("Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
        if data is not None:
            pairs.append(("Content-Length", str(len(data))))
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_SECONDS, source_address=(source, 0))
        try:
            connection.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
            for name, value in pairs:
                connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Pairs = (), cookies: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", path, headers, cookies=cookies)

    def post(
        self, path: str, body: bytes | str | list[Any] | dict[str, Any], headers: Pairs = (),
        cookies: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        return self.request("POST", path, headers, body, cookies)

    def websocket(self, path: str, headers: Pairs = ()) -> Any:
        """Open a websocket, and return the JSON of the first message that comes (below 64 kB)."""
        pairs = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"} | dict(headers)
        pairs |= {"Host": f"127.0.0.1:{self.port}", "Sec-WebSocket-Key": b64encode(os.urandom(16)).decode()}
        text = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs.items()) + "\r\n"
        with socket.create_connection(("127.0.0.1", self.port), _SECONDS) as line, line.makefile("rb") as answer:
            line.sendall(text.encode())
            status = answer.readline()
            assert b" 101 " in status, status
            while answer.readline().strip():
                pass
            _, size = answer.read(2)
            return json.loads(answer.read(size if size < 126 else int.from_bytes(answer.read(2))))

    # what is behind

    def log(self) -> str:
        """All that the processes wrote to standard output and error."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def memory_dir(self) -> Path:
        from consent_gateway.record.salts import memory_dir

        self.data_dir.mkdir(exist_ok=True)
        return memory_dir(self.data_dir)

    def office(self, method: str, path: str, params: dict[str, str] | None = None) -> Any:
        """Ask the back office; its JSON."""
        from consent_gateway.record.office import call

        status, _, body = call(self.data_dir, method, path, params)
        assert status == 200, body
        return json.loads(body)

    def wait_for(self, what: str, true: Callable[[], Any]) -> None:
        """As `wait_for`; if it does not come, the log tells why."""
        try:
            wait_for(what, true, _SECONDS)
        except TimeoutError as error:
            raise AssertionError(f"{error}; the log:\n{self.log()}") from None

    def office_answers(self) -> bool:
        from consent_gateway.rule.errors import OfficeError

        try:
            self.office("GET", "/health")
        except (OfficeError, FileNotFoundError):
            return False
        return True

    def recorded(self) -> None:
        """Wait until what was answered is in the spool: a page view is when its answer is out, so a moment later."""
        self.wait_for("the workers to rest", lambda: not any(map(is_busy, self.worker_pids * 2)))

    def forwarded(self) -> None:
        """Wait until nothing is in the spool any more."""
        self.recorded()
        self.wait_for("the back office", self.office_answers)
        self.wait_for("the spool to be empty", self._is_forwarded)

    def _is_forwarded(self) -> bool:
        pending = self.office("POST", "/forward")["pending"]
        return not pending and not any((self.data_dir / "spool" / "open").iterdir())

    def stored(self) -> list[Row]:
        """Forward everything, end the site (the embedded engine has one process only), and read back `events`."""
        if self.running or self._office is not None:
            self.forwarded()
            self.stop()
        return self.tables()["events"]

    def tables(self) -> dict[str, list[Row]]:
        """All rows of all tables, every column as text. An embedded store must be free: `stop` first."""
        read = subprocess.run([sys.executable, "-c", _READ, self.dsn], capture_output=True, cwd=self.temporary)
        assert read.returncode == 0, read.stderr.decode()
        tables: dict[str, list[Row]] = json.loads(read.stdout)
        return tables


def wait_for(what: str, true: Callable[[], Any], seconds: float = _SECONDS) -> None:
    """Ask until it is so, at most so long (`TimeoutError`)."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= until:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)


def free_port() -> int:
    """A port below those that the kernel gives to outgoing connections, which could take it before its server does."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def files_with(folder: Path, *texts: str | bytes) -> list[str]:
    """The names of the files below a folder that hold one of these texts.

    The engine and the office move and remove files while we look. What was moved could be missed under both of its
    names, so whenever one is not where it was listed, we look again from the start.
    """
    wanted = [text.encode() if isinstance(text, str) else text for text in texts]
    for _ in range(100):
        try:
            return [path.name for path in _below(folder) if any(text in path.read_bytes() for text in wanted)]
        except FileNotFoundError:
            time.sleep(0.02)
    raise AssertionError(f"{folder} does not come to rest")


def _below(folder: Path) -> Iterator[Path]:
    """All regular files below it; FileNotFoundError when a folder has gone meanwhile."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def is_busy(pid: int) -> bool:
    """Does one of its threads run, or wait for a processor or the disk, at this moment?"""
    with suppress(OSError):  # a thread or all of it has ended meanwhile
        for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
            if stat.read_text().rpartition(")")[2].split()[0] in ("R", "D"):
                return True
    return False


def holders(lock: Path) -> list[int]:
    """The processes that hold a lock (flock) on this file, as the kernel lists them."""
    if not lock.exists():
        return []
    inode = f":{lock.stat().st_ino}"
    lines = [text.split() for text in Path("/proc/locks").read_text().splitlines()]
    return [int(parts[4]) for parts in lines if parts[1] == "FLOCK" and parts[5].endswith(inode)]


if __name__ in ("__main__", "__mp_main__"):  # uvicorn's workers are born under the second name
    _end_with_parent()
if __name__ == "__main__":
    import uvicorn

    uvicorn.main()
