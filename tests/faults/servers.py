"""Equipment: sites under other servers, a disk that is small, and a store that hangs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.running import Answer, Site, free_port

APP = "tests.faults.sites:site"


class OtherSite(Site):
    """A site under any server: `line` is its command with `{port}` in it. It has started when every worker answers,
    or with `lazily` when one does: then the gateway is opened by its first request."""

    def __init__(self, home: Path, line: str, *, lazily: bool = False, **options: Any) -> None:
        super().__init__(home, APP, **options)
        self._line, self._lazily = line, lazily

    def start(self) -> None:
        self.port = free_port()
        self._server = self._run(["-m", *self._line.format(port=self.port).split()])
        self.wait_for("the site to start", self._answers)

    def _answers(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise AssertionError(f"the site ended with {self._server.returncode} at its start:\n{self.log()}")
        try:
            self.get("/json" if self._lazily else "/_cg/health")
        except (OSError, HTTPException):
            return False
        return self._lazily or len(self.worker_pids) >= self.workers


def event(number: int, **more: Any) -> dict[str, Any]:
    """A custom event that can be told from all others by its name and by its id."""
    return {"type": "custom", "url": "http://127.0.0.1/x", "name": f"e{number}", "id": f"{number + 1:016x}"} | more


def names(rows: Iterable[dict[str, str]]) -> list[str]:
    return sorted(row["name"] for row in rows if row["type"] == "custom")


def spooled(site: Site) -> list[str]:
    """The names of the custom events in the spool, while no back office takes them away. Broken lines are none."""
    from consent_gateway.record.spool import Spool, read_lines

    spool = Spool(site.data_dir)
    lines = [line for path in spool.segments(spool.open) for line in read_lines(path)[0]]
    return names(map(json.loads, lines))


def choose(site: Site, action: str, cookie: str = "") -> Answer:
    """Take a choice as the banner does: ask for the state, then post."""
    cookies = {"cg": cookie} if cookie else {}
    state = site.get("/_cg/state", cookies=cookies).json()
    body = {"action": action, "notice": state["notice"], "language": "en", "nonce": state["nonce"]}
    return site.post("/_cg/choice", body, cookies=cookies)


def cookie_of(answer: Answer) -> str:
    name, _, rest = (answer.headers["Set-Cookie"] or "").partition("=")
    assert name == "cg"
    return rest.partition(";")[0]


def books(site: Site) -> dict[str, int]:
    """What the back office counted for this site, by term."""
    counts: dict[str, int] = {}
    for _, term, count in site.office("GET", "/books"):
        counts[term] = counts.get(term, 0) + count
    return counts


def balance(counts: dict[str, int]) -> int:
    """Received, less what became of it: 0 unless something is in flight."""
    dropped = sum(count for term, count in counts.items() if term.startswith("dropped."))
    return counts.get("received", 0) - dropped - counts.get("accepted", 0) - counts.get("unanswered", 0)


@contextmanager
def only(pid: int, pids: Iterable[int]) -> Iterator[None]:
    """Of several workers let just this one run."""
    others = [other for other in pids if other != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            with suppress(ProcessLookupError):
                os.kill(other, signal.SIGCONT)


class SmallDisk:
    """A memory file system of a few megabytes at `path`. `fill` takes the rest of it, `free` gives that back."""

    def __init__(self, path: Path) -> None:
        self.path, self._filler = path, path / "filler"

    def fill(self) -> None:
        with suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self.path], check=True)


@contextmanager
def small_disk(path: Path, size: str = "4m") -> Iterator[SmallDisk | None]:
    """Mount one, or give `None` where that is not allowed."""
    path.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True)
    if mounted.returncode:
        yield None
        return
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def hanging_store() -> Iterator[str]:
    """The DSN of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            with suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        threading.Thread(target=take, daemon=True).start()
        yield f"clickhouse://127.0.0.1:{server.getsockname()[1]}/consent_gateway"
        server.shutdown(socket.SHUT_RDWR)
        for one in taken:
            one.close()
