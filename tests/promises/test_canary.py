"""Promise 1: no raw address without consent, anywhere; with consent, in clear nowhere.

Canary addresses go through a real uvicorn, in every form, place and consent status. Then every byte on disk, every
column of the store, the log, all answers and the site's own scope are looked through for every spelling of them: before
and after forwarding and after `kill -9` of a worker and of the back office, with one worker and with four. A control
proves that the scan finds a canary in each of these places, and that it fails when the gateway's privacy is taken out.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.record.keys import Keys
from consent_gateway.rule.columns import COLUMNS
from tests.running import Row, Site

from .canaries import Found, Scanner, spellings
from .scenario import (
    ACCESS_LINE,
    SETTINGS,
    Evidence,
    Traffic,
    files,
    in_log,
    in_rows,
    look,
    run_with_four_workers,
    run_with_one_worker,
)
from .traffic import (
    BROWSER,
    FORMS,
    HEADERS_OF_A_PAGE,
    PATHS,
    SECRET,
    Makers,
)

pytestmark = pytest.mark.slow


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
    seen = dict(evidence.answers)["echo after withdrawal"].json()
    assert (seen["status"], seen["analytics"]) == ("withdrawn", False)
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
    clients = {line["client"] for line in map(ACCESS_LINE.match, evidence.site.log().splitlines()) if line}
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
        site.recorded()
        spooled = b"".join(path.read_bytes() for path in (site.data_dir / "spool").rglob("*-*"))
        assert spooled.count(b"\n") == 6
        assert not re.search(rb"203\.0|198\.51|network|visitor|country|address", spooled + site.log().encode())


# The control: the scan finds what is there


@pytest.fixture(scope="module")
def singing(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """The same scan of a gateway whose privacy was taken out, behind a site that leaks. Its back office starts late,
    or it would forward some before the scan."""
    home, settings = tmp_path_factory.mktemp("singing"), SETTINGS | {"BACK_OFFICE": "external"}
    with Site(home, "tests.promises.gateways:broken", arguments=["--no-proxy-headers"], **settings) as site:
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
        site.start_office()
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
