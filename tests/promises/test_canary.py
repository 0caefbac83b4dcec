"""Promise 1: no raw address without consent, anywhere; with consent, in clear nowhere.

Canary addresses go through a real uvicorn, in every form, place and consent status. Then every byte on disk, every
column of the store, the log, all answers and the site's own scope are looked through for every spelling of them: before
and after forwarding and after `kill -9` of a worker and of the back office, with one worker and with four. A control
proves that the scan finds a canary in each of these places, and that it fails when the gateway's privacy is taken out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.answers.reports import REPORTS
from consent_gateway.record.keys import Keys
from consent_gateway.record.office import call
from consent_gateway.rule.columns import COLUMNS
from tests.running import Answer, Row, Site

from .canaries import Canary, Found, Scanner, allocated, spellings
from .traffic import (
    BROWSER,
    FORMS,
    HEADERS_OF_A_PAGE,
    PATHS,
    SECRET,
    SITE,
    Carrier,
    Makers,
    Visit,
    content_carriers,
    header_carriers,
    visits,
)

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {"SECRET": SECRET, "SITE": SITE, "TRUSTED_PROXIES": "127.0.0.1/32", "SCRUB_EXCEPT": "/own"}
DIRECT = "127.77.88.199"  # a visitor without a proxy: all of 127.0.0.0/8 is this machine, one of it is trusted
_ACCESS = re.compile(r'INFO: +(?P<client>\S+) - "(?P<request>.*)"(?P<rest>[^"]*)')


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


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture(scope="module", params=[1, 4], ids=["one worker", "four workers"])
def evidence(
    request: pytest.FixtureRequest, traffic: Traffic, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Evidence]:
    run = run_with_one_worker if request.param == 1 else run_with_four_workers
    with run(tmp_path_factory.mktemp("canary"), traffic) as left:
        yield left


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
    after, echo = site.get("/any/ended/after", headers), site.get("/echo", headers).json()
    assert (echo["status"], echo["analytics"]) == ("withdrawn", False)
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
        *(f"/stats/{name}{form}" for name in REPORTS for form in ("", "?format=csv&bots=yes")),
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
    """In what a process may write to though it has no name there, or one elsewhere."""
    found: list[Found] = []
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            flags = int(re.findall(r"flags:\s+([0-7]+)", Path(f"/proc/{pid}/fdinfo/{handle.name}").read_text())[0], 8)
            name = os.readlink(handle)
            if flags & os.O_ACCMODE and stat.S_ISREG(handle.stat().st_mode) and name != str(site.log_path):
                if not name.startswith((f"{site.home}/", f"{site.memory_dir}/")):
                    found.append(Found(f"an open file outside its folders: {name}", "", ""))
                if name.endswith(" (deleted)"):
                    found += scanner.look(f"open {name}", allocated(handle))
    return found


def in_log(log: str, scanner: Scanner, secret: Container[str] = ()) -> list[Found]:
    """In the log: all of it, but for paths and queries in the access log's lines: only what is `secret` isn't there."""
    found = [one for one in scanner.look("log", log) if one.label in secret]
    for line in log.splitlines():
        access = _ACCESS.match(line)
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


# The promise


def test_no_address_on_disk_in_memory_or_log_at_any_moment(evidence: Evidence) -> None:
    assert evidence.found == {moment: [] for moment in evidence.found}
    assert len(evidence.found) == 5


def test_no_address_in_any_column_of_any_table(evidence: Evidence, traffic: Traffic) -> None:
    assert in_rows(evidence.tables, traffic.scanner) == []
    assert len(evidence.tables["events"]) > len(traffic.visits)


def test_the_store_holds_just_what_each_status_permits(evidence: Evidence, traffic: Traffic) -> None:
    keys = Keys(evidence.site.keys_dir, (SECRET,))
    stored: dict[str | bytes, list[Row]] = {}
    for row in evidence.rows:
        address = keys.decrypt_address(row["address"])
        assert (address is None) == (row["address"] == ""), row
        # after an objection not even the page is kept, but the address that the visitor granted may be
        stored.setdefault(row["path"] or ip_address(address or "").packed, []).append(row)
    for visit in traffic.visits:
        standing = visit.standing
        rows = stored.pop(visit.path if standing.network else visit.canary.packed, [])
        wanted = {"custom"} if standing.age_ms else {"custom", "page_view"}
        assert {row["type"] for row in rows} == (wanted if standing.consent and visit.packed else set()), visit
        for row in rows:
            address = keys.decrypt_address(row["address"])
            assert (row["consent"], row["network"]) == (standing.consent, visit.network), (visit, row)
            assert (row["visitor"] != "0", row["person"] != "0") == (standing.network, standing.address), (visit, row)
            assert (address is not None) == standing.address, (visit, row)
            assert address is None or ip_address(address).packed == visit.packed, (visit, row)
    names = tuple(f"/any/{visit.standing.name}/" for visit in traffic.visits)
    assert not [path for path in stored if isinstance(path, bytes) or path.startswith(names)]


def test_a_withdrawal_reaches_events_that_were_not_forwarded(evidence: Evidence, traffic: Traffic) -> None:
    keys = Keys(evidence.site.keys_dir, (SECRET,))
    found = {row["path"]: row for row in evidence.rows if row["path"].startswith("/any/ended/")}
    before, after = found["/any/ended/before"], found["/any/ended/after"]
    assert (after["consent"], after["address"], after["person"]) == ("withdrawn", "", "0")
    if evidence.site.workers == 1:  # with four, the back office may have stored it before, and scrubs within its hour
        assert (before["consent"], before["address"], before["person"]) == ("withdrawn", "", "0")
    assert keys.decrypt_address(before["address"]) in (None, traffic.ended.sent)


def test_the_site_sees_the_network_only(evidence: Evidence, traffic: Traffic) -> None:
    found: list[Found] = []
    for visit, echo in [*evidence.echoes, *evidence.sockets]:
        found += traffic.scanner.look(f"the scope of {visit.canary.label if visit else 'a carrier'}", json.dumps(echo))
        if visit is not None:
            assert echo["client"] == [visit.shown, 0]
            assert [value for name, value in echo["headers"] if name == "x-forwarded-for"] == [visit.shown]
            assert echo["analytics"] == visit.standing.address or visit.standing.age_ms
    assert {one.label for one in found} == set()
    assert len(evidence.echoes) > len(traffic.visits)
    assert len({echo["pid"] for _, echo in evidence.echoes}) > evidence.site.workers // 2


def test_the_access_log_names_networks_only(evidence: Evidence, traffic: Traffic) -> None:
    clients = {line["client"] for line in map(_ACCESS.match, evidence.site.log().splitlines()) if line}
    shown = {f"{visit.shown}:0" for visit in traffic.visits}
    assert shown <= clients <= shown | {"127.0.0.0:0", "127.77.88.0:0", "198.51.100.0:0"}


def test_no_answer_says_an_address(evidence: Evidence, traffic: Traffic) -> None:
    answers = [(f"answer to {label}", f"{answer.headers} {answer.text}") for label, answer in evidence.answers]
    found = [found for where, text in answers + evidence.office for found in traffic.scanner.look(where, text)]
    assert found == []
    assert evidence.office


def test_addresses_in_other_places_were_kept_as_stars(evidence: Evidence) -> None:
    """So the scan of the store looked at rows that could have held them."""
    paths = {row["path"] for row in evidence.rows}
    assert {"/any/*", "/any/*/more", "/missing/*", "/mounted/*/page", "/page/*"} <= paths
    for column in ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "referrer_host", "name"):
        assert "*" in {row[column] for row in evidence.rows}, column
    assert {"/*", "/*/x"} <= {row["referrer_path"] for row in evidence.rows}
    assert any(row["props"].count("*") >= 3 for row in evidence.rows)
    assert any(row["address"] for row in evidence.rows if row["path"] == "/any/content")  # it was given


# A fault inside the gateway


def test_a_fault_tells_no_address_and_serves_the_page(tmp_path: Path, traffic: Traffic) -> None:
    """Here uvicorn itself believes the header, as it does by default, and the gateway trusts nobody."""
    settings = SETTINGS | {"TRUSTED_PROXIES": "", "BACK_OFFICE": "external"}
    visit = traffic.of("unknown")
    with Site(tmp_path, "tests.promises.gateways:failing", **settings) as site:
        assert site.get("/echo", visit.headers).json()["client"] == [visit.shown, 0]
        faults: list[tuple[str, dict[str, str]]] = [
            ("/any/read", {"X-Fault": "read"}),
            ("/any/scrub", {"X-Fault": "scrub"}),
            ("/any/cookies", {"Cookie": "fault=cookies"}),
            ("/any/judge", {"User-Agent": "fault-judge"}),
            ("/any/record", {"User-Agent": "fault-record"}),
            ("/any/fault-answering", {}),
        ]
        event = {"type": "custom", "url": "/any/event"}
        for path, headers in faults:
            headers = visit.headers | headers
            page, echo, sent = (
                site.get(path, headers),
                site.get("/echo", headers),
                site.post("/_cg/events", event, headers),
            )
            assert (page.status, page.text) == (200, site.get("/").text), path
            assert echo.json()["client"][0] in (visit.shown, "0.0.0.0")
            assert sent.status in (204, 500)
            assert traffic.scanner.look(path, f"{page.headers}{echo.text}{sent.headers}{sent.text}") == []
        assert site.websocket("/ws", visit.headers | {"X-Fault": "read"})["client"] == ["0.0.0.0", 0]
        said = site.log()
        assert len(re.findall("a fault inside the gateway", said)) >= len(faults)
        assert in_log(said, traffic.scanner, traffic.secret) + files(site, traffic.scanner) == []


# Other ways in and out


def test_a_replayed_log_leaves_no_address(tmp_path: Path) -> None:
    """Canaries as the log's hosts, in its requests, referrers, agents and more fields, and in lines that are none."""
    makers, site = Makers(), Site(tmp_path / "site", BACK_OFFICE="external", **SETTINGS)
    at, lines = f"[{datetime.now(UTC):%d/%b/%Y:%H:%M:%S} +0000]", []
    for form in FORMS:
        fill = makers.filler(form)
        hosts = [f'ADDRESS - - {at} "GET /log/{form} HTTP/1.1" 200 9 "-" "{BROWSER}" "ADDRESS" ADDRESS']
        paths = [f'192.0.2.1 - ADDRESS {at} "GET {path} HTTP/1.1" 200 9 "-" "{BROWSER}"' for path in PATHS]
        told = [f'192.0.2.1 - - {at} "GET / HTTP/1.1" 200 9 "{value}" "{value}"' for _, value in HEADERS_OF_A_PAGE]
        lines += [fill(line) for line in [f"ADDRESS - - [no date] {form}", "ADDRESS", *hosts, *paths, *told]]
    log = tmp_path / "access.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    replay = [sys.executable, "-c", "from consent_gateway.cli import app; app()", "replay", str(log), "--no-wait"]
    done = subprocess.run(replay, env=site.environment, cwd=site.work_dir, capture_output=True, text=True)
    scanner = Scanner(makers.all)
    assert done.returncode == 0, done.stderr
    assert scanner.look("its words", done.stdout + done.stderr) + files(site, scanner) == []
    spooled = b"".join(path.read_bytes() for path in (site.data_dir / "spool").rglob("*-*"))
    assert b'"path":"/log/plain"' in spooled and b'"path":"/any/*"' in spooled
    assert "not a line of an access log" in done.stdout
    shutil.rmtree(site.memory_dir)


def test_address_mode_drop_leaves_no_network_either(tmp_path: Path, traffic: Traffic) -> None:
    settings = SETTINGS | {"BACK_OFFICE": "external", "ADDRESS_MODE": "drop"}
    with Site(tmp_path, arguments=["--no-proxy-headers"], **settings) as site:
        for standing in ("unknown", "given", "objected-given"):
            answers = dict(traffic.of(standing).send(site))
            assert answers["echo"].json()["client"] == ["0.0.0.0", 0]
        spooled = b"".join(path.read_bytes() for path in (site.data_dir / "spool").rglob("*-*"))
        assert spooled.count(b"\n") == 6
        assert not re.search(rb"203\.0|198\.51|network|visitor|country|address", spooled + site.log().encode())


# The control: the scan finds what is there


@pytest.fixture(scope="module")
def singing(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """The same scan of a gateway whose privacy was taken out, behind a site that leaks."""
    home = tmp_path_factory.mktemp("singing")
    with Site(home, "tests.promises.gateways:broken", arguments=["--no-proxy-headers"], **SETTINGS) as site:
        left = Evidence(site)
        for standing in ("unknown", "objected-given"):
            for form in ("plain", "six", "teredo"):
                visit = traffic.of(standing, form)
                left.echoes += [(visit, answer.json()) for what, answer in visit.send(site) if what == "echo"]
        for carrier in traffic.contents[:40]:
            carrier.send(site)
        own = {"User-Agent": BROWSER, "X-Forwarded-For": traffic.control.sent}
        left.answers += [("own echo", site.get("/own/echo", own)), ("own leak", site.get("/own/leak", own))]
        look(traffic, left, "before forwarding")
        site.forwarded()
        site.stop()
        left.tables = site.tables()
        yield left


def labels(found: list[Found], where: str) -> set[str]:
    return {one.label for one in found if where in one.where}


def test_the_scan_fails_without_truncation_encryption_and_scrubbing(singing: Evidence, traffic: Traffic) -> None:
    found = singing.found["before forwarding"]
    for form in ("plain", "six", "teredo"):
        untruncated, unencrypted = (
            traffic.of("unknown", form).canary.label,
            traffic.of("objected-given", form).canary.label,
        )
        assert {untruncated, unencrypted} <= labels(found, "spool") | labels(found, "data/tmp") | labels(found, "store")
        assert untruncated in labels(found, "log")
        rows = in_rows(singing.tables, traffic.scanner)
        assert untruncated in labels(rows, "events.network") and unencrypted in labels(rows, "events.address")
        assert labels(rows, "events.path") and labels(rows, "events.utm_campaign")
    for visit, echo in singing.echoes:
        assert visit is not None
        assert visit.canary.label in labels(traffic.scanner.look("scope", json.dumps(echo)), "scope")


def test_the_scan_finds_what_a_site_leaks_in_every_way(singing: Evidence, traffic: Traffic) -> None:
    site, scanner = singing.site, Scanner([traffic.control])
    assert {one.where for one in files(site, scanner)} >= {"work/kept"}
    assert any(one.where.startswith("tmp/") for one in files(site, scanner))
    for words in ("printed", "printed as an error", "logged", "RuntimeError: raised"):
        line = next(line for line in site.log().splitlines() if line.startswith(f"{words} {traffic.control.sent}"))
        assert in_log(line, scanner), words
    access = [line for line in site.log().splitlines() if '"GET /own/echo' in line]
    assert in_log("\n".join(access), scanner)  # of a gateway that truncates nothing
    answers = dict(singing.answers)
    assert scanner.look("answer", answers["own echo"].text)


def test_the_scan_finds_a_control_in_every_column(singing: Evidence, traffic: Traffic) -> None:
    control, number = traffic.control.sent, int.from_bytes(traffic.control.packed)
    planted: dict[str, Any] = {}
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"  # or the store would let it expire at once
    for column in COLUMNS:
        if "Map(" in column.type:
            planted[column.name] = {control: 1 if "Float" in column.type else control}
        elif "String" in column.type:
            planted[column.name] = [control] if "Array" in column.type else f"x {control}"
        elif column.type in ("UInt32", "UInt64"):
            planted[column.name] = number
    plant = (
        "import clickhouse_connect, sys; client = clickhouse_connect.get_client(dsn=sys.argv[1]);"
        "client.raw_insert('consent_gateway.events', insert_block=sys.argv[2], fmt='JSONEachRow')"
    )
    subprocess.run(
        [sys.executable, "-c", plant, singing.site.dsn, json.dumps(planted | {"at": now, "received_at": now})],
        check=True,
        cwd=singing.site.work_dir,
    )
    found = in_rows(singing.site.tables(), Scanner([traffic.control]))
    assert {one.where for one in found} == {f"events.{name}" for name in planted}
    assert planted.keys() >= {"network", "address", "visitor", "person", "view_id", "path", "props", "name", "purposes"}


def test_the_scan_finds_a_control_in_every_file(evidence: Evidence, traffic: Traffic, tmp_path: Path) -> None:
    """At the end of a copy of each file that a run left, also behind a hole, and in each folder's hidden file."""
    for number, folder in enumerate([evidence.site.home, evidence.site.memory_dir]):
        shutil.copytree(
            folder, tmp_path / str(number), ignore=lambda _, names: [n for n in names if n.endswith(".sock")]
        )
    planted = set()
    for path in [*tmp_path.rglob("*")]:
        path = path / ".hidden" if path.is_dir() else path
        with path.open("ab") as file:
            file.truncate(path.stat().st_size + 8192)
            file.write(traffic.control.sent.encode())
        planted.add(f"{tmp_path.name}/{path.relative_to(tmp_path)}")
    names = " ".join(planted)
    assert {one.where for one in Scanner([traffic.control]).files(tmp_path)} == planted
    for part in ("/spool/", "/ledger/", "/books/", "/store/", "/keys/", "/tmp/", "/seen-", "/salt-"):
        assert part in names.replace("1/", "/"), part


@pytest.mark.parametrize("form", FORMS)
def test_the_scan_knows_every_spelling(form: str, traffic: Traffic) -> None:
    canary = traffic.of("unknown", form).canary
    for name, text in spellings(canary):
        labels = {one.label for one in traffic.scanner.look("here", b"\0 " + text + b" \0", raw=True)}
        assert canary.label in labels, name
