"""A disk that is full or read-only, and a spool at its limit: pages go on, events are told to come later."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consent_gateway.config.settings import Settings
from consent_gateway.office_process import make_data_dir
from consent_gateway.rule.errors import ConfigError
from tests.faults.servers import APP, SmallDisk, balance, books, choose, cookie_of, event, names, small_disk, spooled
from tests.running import Site


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        if disk is None:
            pytest.skip("a file system can't be mounted here")
        yield disk


@pytest.fixture
def site(tmp_path: Path, disk: SmallDisk) -> Iterator[Site]:
    """A site whose data lie on the small disk, and its store elsewhere. Its back office is started by hand."""
    dsn = f"chdb://{tmp_path / 'store'}"
    site = Site(tmp_path / "site", APP, BACK_OFFICE="external", DATA_DIR=str(disk.path / "data"), DSN=dsn, SITE="shop")
    site.data_dir = disk.path / "data"
    with site:
        yield site


def ledger(site: Site) -> list[str]:
    """The actions on the record."""
    files = sorted((site.data_dir / "ledger").glob("20*.jsonl"))
    return [json.loads(line)["action"] for file in files for line in file.read_text().splitlines()]


def refused(site: Site, number: int) -> None:
    answer = site.post("/_cg/events", event(number))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


def post_until_refused(site: Site) -> list[str]:
    """Big events until the disk takes no more: the names of those that were taken."""
    taken: list[str] = []
    for number in range(100, 3000):
        props = {f"{index:02}": f"{number:5} word " * 20 for index in range(20)}
        if site.post("/_cg/events", event(number, props=props)).status == 503:
            return taken
        taken.append(f"e{number}")
    raise AssertionError("the disk never was full")


def test_full_while_it_runs(site: Site, disk: SmallDisk) -> None:
    assert site.post("/_cg/events", event(0)).status == 204
    granted = cookie_of(choose(site, "accept_all"))
    disk.fill()
    taken = post_until_refused(site)  # the last block of an open segment may still have had room
    assert site.get("/").status == 200
    grants = [choose(site, "accept_all").status for _ in range(20)]  # the ledger's last block, too
    assert grants == sorted(grants) and grants[-1] == 503
    for action in ("reject_all", "withdraw", "object") * 5:
        answer = choose(site, action, granted)
        assert answer.status == 200, action
        assert answer.headers["Set-Cookie"]
    assert site.get("/_cg/health").text == "ok"
    before = ledger(site)
    disk.free()
    recorded = ["accept_all"] * (1 + grants.count(200)) + ["reject_all", "withdraw", "object"] * 5
    site.wait_for("what was refused to be recorded", lambda: len(ledger(site)) >= len(recorded))
    assert len(before) < len(recorded)
    assert ledger(site) == recorded
    assert site.get("/_cg/state", cookies={"cg": granted}).json()["status"] == "withdrawn"
    assert site.post("/_cg/events", event(1)).status == 204
    assert spooled(site) == sorted(["e0", "e1", *taken])


def test_full_at_the_start(site: Site, disk: SmallDisk) -> None:
    assert site.post("/_cg/events", event(0)).status == 204
    site.kill9()
    disk.fill()
    site.start()
    assert site.get("/").status == 200
    refused(site, 1)
    assert choose(site, "reject_all").status == 200
    assert site.post("/_cg/events", [{}]).status == 422
    disk.free()
    site.wait_for("the refusal to be recorded", lambda: ledger(site) == ["reject_all"])
    site.wait_for("the new books", lambda: len(list((site.data_dir / "books").glob("*.book"))) == 2)
    assert site.post("/_cg/events", event(2)).status == 204
    assert spooled(site) == ["e0", "e2"]
    site.kill9()
    site.start_office()
    counts = books(site)
    assert counts["dropped.overload"] == 2  # the event and the page view
    assert (counts["received"], counts["accepted"], counts["dropped.invalid"]) == (5, 2, 1)
    assert not list((site.data_dir / "books").glob(".*"))
    assert names(site.stored()) == ["e0", "e2"]


def test_read_only_at_the_start(site: Site, disk: SmallDisk) -> None:
    granted = cookie_of(choose(site, "accept_all"))
    ended = cookie_of(choose(site, "accept_all"))
    assert choose(site, "withdraw", ended).status == 200
    site.kill9()
    disk.remount("ro")
    site.start()
    assert site.get("/").status == 200
    refused(site, 1)
    assert choose(site, "reject_all").status == 200
    assert choose(site, "accept_all").status == 503
    assert site.get("/_cg/state", cookies={"cg": granted}).json()["status"] == "given"
    assert site.get("/_cg/state", cookies={"cg": ended}).json()["status"] == "withdrawn"
    disk.remount("rw")
    site.wait_for("the refusal to be recorded", lambda: ledger(site)[-1] == "reject_all")
    assert site.post("/_cg/events", event(2)).status == 204


def test_the_limit_of_the_spool(run_site: Callable[..., Site]) -> None:
    site = run_site(APP, BACK_OFFICE="external", SPOOL_LIMIT="1MiB", SITE="shop")
    taken = post_until_refused(site)
    assert site.get("/").status == 200
    site.start_office()
    site.wait_for("room", lambda: site.post("/_cg/events", event(1)).status == 204)
    site.forwarded()
    counts = books(site)
    assert balance(counts) == 0
    assert counts["confirmed"] == counts["accepted"] == len(taken) + 1  # the page view gave way


def test_a_write_that_is_refused(run_site: Callable[..., Site]) -> None:
    """Without a disk of its own: the kernel takes no file longer than so (RLIMIT_FSIZE), which cuts a write short."""
    site = run_site(APP, BACK_OFFICE="external", SITE="shop")
    assert site.post("/_cg/events", event(0)).status == 204
    (pid,) = site.worker_pids
    old = resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    answers = [site.post("/_cg/events", event(number)).status for number in range(1, 9)]
    assert 503 in answers
    assert site.get("/").status == 200
    assert choose(site, "reject_all").status == 200
    resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
    assert site.post("/_cg/events", event(9)).status == 204
    taken = [f"e{number}" for number, status in enumerate(answers, 1) if status == 204]
    assert spooled(site) == sorted(["e0", *taken, "e9"])


def test_a_folder_that_can_not_be_is_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"CONSENT_GATEWAY_DATA_DIR is '.*file': File exists; allowed is a writable"):
        make_data_dir(Settings(DATA_DIR=tmp_path / "file"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=r"CONSENT_GATEWAY_DATA_DIR is '.*here': Permission denied; allowed is"):
        make_data_dir(Settings(DATA_DIR=tmp_path / "here"))
