"""The scenario of the canary tests: all traffic, kills and looks of one run, and the evidence that is left of it."""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from consent_gateway.answers.reports import REPORTS
from consent_gateway.record.office import call
from tests.running import Answer, Row, Site

from .canaries import Canary, Found, Scanner, allocated
from .traffic import (
    BROWSER,
    FORMS,
    SECRET,
    SITE,
    Carrier,
    Makers,
    Visit,
    content_carriers,
    header_carriers,
    visits,
)

SETTINGS: dict[str, Any] = {"SECRET": SECRET, "SITE": SITE, "TRUSTED_PROXIES": "127.0.0.1/32", "SCRUB_EXCEPT": "/own"}
DIRECT = "127.77.88.199"  # a visitor without a proxy: all of 127.0.0.0/8 is this machine, one of it is trusted
ACCESS_LINE = re.compile(r'INFO: +(?P<client>\S+) - "(?P<request>.*)"(?P<rest>[^"]*)')


class Traffic:
    """All that is sent, and the scanner for it. `secret` are the canaries that the site may not see either."""

    def __init__(self) -> None:
        makers = Makers()
        self.visits = visits(makers)
        self.client = makers.make("client of the carriers")
        self.ended = makers.make("visitor who withdrew")
        self.direct = Canary("direct visitor", DIRECT, ip_address(DIRECT).packed)
        self.headers = list(header_carriers(makers, self.client))
        self.secret = {canary.label for canary in [*makers.all, self.direct]}
        given = next(visit.standing for visit in self.visits if visit.standing.name == "given")
        self.contents = list(content_carriers(makers, given, self.client))
        self.scanner = Scanner([*makers.all, self.direct])
        self.control = makers.make("control")

    def of(self, standing: str, form: str = "plain") -> Visit:
        return next(visit for visit in self.visits if (visit.standing.name, visit.form) == (standing, form))


@dataclass
class Evidence:
    """What one run of the whole scenario left: what was found at which moment, and what everyone saw."""

    site: Site
    found: dict[str, list[Found]] = field(default_factory=dict)
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    echoes: list[tuple[Visit | None, dict[str, Any]]] = field(default_factory=list)
    sockets: list[tuple[Visit, dict[str, Any]]] = field(default_factory=list)
    office: list[tuple[str, str]] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        return self.tables["events"]


@contextmanager
def run_with_one_worker(home: Path, traffic: Traffic) -> Iterator[Evidence]:
    """The back office is started late, so that all is seen before it is forwarded; everything is killed on the way."""
    site = Site(
        home, "tests.promises.gateways:watched", arguments=["--no-proxy-headers"], BACK_OFFICE="external", **SETTINGS
    )
    with site:
        left = Evidence(site)
        send(traffic, left)
        look(traffic, left, "before forwarding")
        with crowd(traffic, site):
            site.kill9()
        look(traffic, left, "after kill -9 of the worker")
        site.start()
        site.start_office()
        forward = threading.Thread(target=lambda: suppress_all(partial(site.office, "POST", "/forward")))
        forward.start()
        time.sleep(0.02)
        site.kill9_office()
        forward.join()
        look(traffic, left, "after kill -9 of the back office")
        site.start_office()
        end(traffic, left)
        yield left


@contextmanager
def run_with_four_workers(home: Path, traffic: Traffic) -> Iterator[Evidence]:
    """As it runs in production: the back office starts by itself and is replaced, a killed worker too."""
    server = ["--no-proxy-headers", "--http", "h11", "--loop", "asyncio"]
    with Site(home, "tests.promises.gateways:watched", workers=4, arguments=server, **SETTINGS) as site:
        left = Evidence(site)
        send(traffic, left)
        look(traffic, left, "while it runs")
        with crowd(traffic, site):
            os.kill(site.worker_pids[0], 9)
            look(traffic, left, "after kill -9 of a worker")
            site.kill9_office()
            look(traffic, left, "after kill -9 of the back office")
        site.wait_for("the killed worker's successor", lambda: len(site.worker_pids) == 4)
        end(traffic, left)
        yield left


def suppress_all(act: Callable[[], Any]) -> Any:
    with suppress(Exception):
        return act()


def send(traffic: Traffic, left: Evidence) -> None:
    """All visits and carriers, eight at a time."""
    site = left.site

    def visit(one: Visit) -> None:
        for what, answer in one.send(site):
            if what == "echo":
                left.echoes.append((one, answer.json()))
            else:
                assert answer.status in (200, 204), (one, what, answer)
            left.answers.append((f"{what} of {one.canary.label}", answer))

    def carry(one: Carrier) -> None:
        answer = one.send(site)
        if one.path == "/echo":
            left.echoes.append((None, answer.json()))
        if not one.own:
            left.answers.append((one.label, answer))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visit, traffic.visits))
        list(pool.map(carry, [*traffic.headers, *traffic.contents]))
    stranger = traffic.of("unknown")

    def workers_seen() -> int:
        left.echoes.append((stranger, site.get("/echo", stranger.headers).json()))
        return len({echo["pid"] for _, echo in left.echoes})

    site.wait_for("answers of most workers", lambda: workers_seen() > site.workers // 2)
    for form in FORMS:
        for standing in ("unknown", "given"):
            one = traffic.of(standing, form)
            left.sockets.append((one, site.websocket("/ws", one.headers)))
    spoofed = {"User-Agent": BROWSER, "X-Forwarded-For": traffic.client.sent, "Forwarded": f"for={traffic.client.sent}"}
    for path in ("/any/direct", "/echo", "/boom", "/members", "/cached", "/json", "/style.css"):
        left.answers.append((f"direct {path}", site.request("GET", path, spoofed, source=DIRECT)))
    left.echoes += [(None, answer.json()) for label, answer in left.answers if label == "direct /echo"]
    left.answers += [
        ("an own page", site.get(f"/_cg{path}", spoofed)) for path in ("/health", "/metrics", "/state", "/me")
    ]
    choose(traffic.ended, left)


def choose(canary: Canary, left: Evidence) -> None:
    """A visitor grants, visits, withdraws, and comes back with the cookie of the grant; then refuses, then objects."""
    site, headers = left.site, {"User-Agent": BROWSER, "X-Forwarded-For": canary.sent}
    state = site.get("/_cg/state", headers)
    choice = {"action": "accept_all"} | {name: state.json()[name] for name in ("notice", "language", "nonce")}
    granted = site.post("/_cg/choice", choice, headers)
    assert granted.status == 200, granted
    headers["Cookie"] = granted.headers["Set-Cookie"].partition(";")[0]
    before = site.get("/any/ended/before", headers)
    withdrawn = site.post("/_cg/choice", {"action": "withdraw"}, headers)
    after = site.get("/any/ended/after", headers)
    left.answers.append(("echo after withdrawal", site.get("/echo", headers)))
    left.answers += [
        ("state", state),
        ("grant", granted),
        ("before", before),
        ("withdrawal", withdrawn),
        ("after", after),
    ]
    for action in ("reject_all", "object"):
        left.answers.append((action, site.post("/_cg/choice", {"action": action}, headers)))


@contextmanager
def crowd(traffic: Traffic, site: Site) -> Iterator[None]:
    """Visits that go on while something is killed; what is refused then is nobody's loss here."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            for one in traffic.visits:
                with suppress(OSError, HTTPException):
                    list(one.send(site))
                if over.is_set():
                    return

    threads = [threading.Thread(target=go_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def end(traffic: Traffic, left: Evidence) -> None:
    """Everything forwarded; ask the back office all that it answers; stop; read the store."""
    site = left.site
    site.forwarded()
    look(traffic, left, "after forwarding")
    left.office = ask_office(site, traffic.client)
    site.stop()
    left.tables = site.tables()
    look(traffic, left, "after its end")


def ask_office(site: Site, client: Canary) -> list[tuple[str, str]]:
    """All that the back office says to this host, and the dashboard as its owner sees it."""
    paths = [
        "/health",
        "/books",
        *(f"/stats/{name}?step=/&step=/a{form}" for name in REPORTS for form in ("", "&format=csv&bots=yes")),
    ]
    answers = [(path, call(site.data_dir, "GET", path)) for path in paths]
    assert {status for _, (status, _, _) in answers} == {200}
    headers = {"User-Agent": BROWSER, "X-Forwarded-For": client.sent}
    session = site.get(site.office("POST", "/sign-in-link")["path"], headers).headers["Set-Cookie"].partition(";")[0]
    dashboard = site.get("/_cg/dashboard", headers | {"Cookie": session})
    assert dashboard.status == 200
    return [(path, f"{told} {body.decode()}") for path, (_, told, body) in answers] + [("dashboard", dashboard.text)]


def look(traffic: Traffic, left: Evidence, moment: str) -> None:
    """Look through every byte that the processes hold on disk and in shared memory, and through the log."""
    site, scanner = left.site, traffic.scanner
    found = files(site, scanner)
    for pid in [*site.worker_pids, *filter(None, [site.office_pid])]:
        found += open_files(pid, site, scanner)
    left.found[moment] = found + in_log(site.log(), scanner, traffic.secret)


def files(site: Site, scanner: Scanner) -> list[Found]:
    """In the files of a site: its data, keys, temporary files, what lies in memory, and where it works."""
    return scanner.files(site.data_dir, site.keys_dir, site.temporary, site.work_dir, site.memory_dir)


def open_files(pid: int, site: Site, scanner: Scanner) -> list[Found]:
    """In what a process may write to though it has no name there, or one elsewhere. The rows that go to the engine are
    handed over in its memory, for a moment."""
    found: list[Found] = []
    handles: list[Path] = []
    with suppress(FileNotFoundError):  # it was killed, and is gone now
        handles += Path(f"/proc/{pid}/fd").iterdir()
    for handle in handles:
        with suppress(OSError):
            flags = int(re.findall(r"flags:\s+([0-7]+)", Path(f"/proc/{pid}/fdinfo/{handle.name}").read_text())[0], 8)
            name = os.readlink(handle)
            if flags & os.O_ACCMODE and stat.S_ISREG(handle.stat().st_mode) and name != str(site.log_path):
                if not name.startswith((f"{site.home}/", f"{site.memory_dir}/", "/memfd:")):
                    found.append(Found(f"an open file outside its folders: {name}", "", ""))
                if name.endswith(" (deleted)"):
                    found += scanner.look(f"open {name}", allocated(handle))
    return found


def in_log(log: str, scanner: Scanner, secret: Container[str] = ()) -> list[Found]:
    """In the log: all of it, but for paths and queries in the access log's lines: only what is `secret` isn't there."""
    found = [one for one in scanner.look("log", log) if one.label in secret]
    for line in log.splitlines():
        access = ACCESS_LINE.match(line)
        found += scanner.look("log", f"{access['client']} {access['rest']}" if access else line)
    return found


def in_rows(tables: dict[str, list[Row]], scanner: Scanner) -> list[Found]:
    return [
        found
        for table, rows in tables.items()
        for row in rows
        for column, text in row.items()
        for found in scanner.look(f"{table}.{column}", text)
    ]
