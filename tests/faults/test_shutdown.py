"""The end, in order and in time, whatever the store does; and the start without a lifespan."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvicorn

from consent_gateway.office import _watch
from consent_gateway.record.office import Lock
from tests.faults.servers import APP, OtherSite, books, event, hanging_store, names, spooled
from tests.running import ENV_PREFIX, Site, holders, wait_for

SITE_SECONDS = 15.0  # the store hangs for ever
OFFICE_SECONDS = 40.0
LAZY = "uvicorn --host 127.0.0.1 --port {port} --factory --timeout-graceful-shutdown 2 --lifespan off " + APP


def office_ends(site: Site, seconds: float = OFFICE_SECONDS) -> None:
    wait_for("the back office to end", lambda: not holders(site.data_dir / "office.lock"), seconds)


def test_a_store_that_hangs_does_not_hold_the_shutdown(tmp_path: Path) -> None:
    with hanging_store() as dsn, Site(tmp_path, APP, workers=2, SITE="shop", DSN=dsn) as site:
        assert [site.post("/_cg/events", event(n)).status for n in range(5)] == [204] * 5
        site.wait_for("the back office", site.office_answers)
        site.wait_for("it to seal", lambda: list((site.data_dir / "spool" / "sealed").iterdir()))
        assert site._server is not None
        began = time.monotonic()
        site._server.send_signal(signal.SIGTERM)
        site._server.wait(40)
        site._server = None
        assert time.monotonic() - began < SITE_SECONDS
        office_ends(site)
        site.dsn = site.environment[ENV_PREFIX + "DSN"] = f"chdb://{tmp_path / 'store'}"
        site.start()
        assert names(site.stored()) == [f"e{n}" for n in range(5)]


def test_ctrl_c_ends_the_site_and_its_back_office_after_it(run_site: Callable[..., Site]) -> None:
    """The terminal sends it to all of the site's processes, not to the back office: that forwards what they left."""
    site = run_site(APP, SITE="shop")
    site.wait_for("the back office", site.office_answers)
    assert site.post("/_cg/events", event(0)).status == 204
    assert site._server is not None and site.office_pid is not None
    assert os.getpgid(site.office_pid) != os.getpgid(site.pid)
    os.killpg(os.getpgid(site.pid), signal.SIGINT)
    site._server.wait(40)
    site._server = None
    office_ends(site)
    assert not holders(site.data_dir / "store" / "status"), "the embedded engine has ended before its office has"
    assert names(site.tables()["events"]) == ["e0"]
    assert not list((site.data_dir / "spool" / "open").iterdir())


def test_who_comes_while_the_back_office_ends_waits_for_its_end(tmp_path: Path) -> None:
    """It still answers for a moment after it has seen that no worker lives; a worker that came then counted on it."""
    workers, server = Lock(tmp_path, "workers"), uvicorn.Server(uvicorn.Config(APP))
    asyncio.run(_watch(workers, server))
    assert server.should_exit and not Lock(tmp_path, "workers").take(shared=True)
    workers.free()
    assert Lock(tmp_path, "workers").take(shared=True)


def test_a_served_back_office_ends_in_order_too(run_site: Callable[..., Site]) -> None:
    site = run_site(APP, SITE="shop", BACK_OFFICE="external")
    site.start_office()
    site.forwarded()
    assert site.post("/_cg/events", event(0)).status == 204
    site.wait_for("it to be let go", lambda: not holders_of_segments(site))
    assert site._office is not None
    site._office.terminate()
    assert site._office.wait(OFFICE_SECONDS) == 0
    site.kill9()
    assert names(site.tables()["events"]) == ["e0"]


def holders_of_segments(site: Site) -> list[int]:
    return [pid for path in (site.data_dir / "spool" / "open").iterdir() for pid in holders(path)]


def test_without_lifespan_the_first_request_opens(tmp_path: Path) -> None:
    with OtherSite(tmp_path, LAZY, lazily=True, BACK_OFFICE="external") as site:
        assert site.post("/_cg/events", event(0)).status == 204
        assert len(site.worker_pids) == 1
        assert spooled(site) == ["e0"]
        site.stop()


def test_an_application_that_knows_no_lifespan(run_site: Callable[..., Site]) -> None:
    site = run_site("tests.faults.sites:no_lifespan", BACK_OFFICE="external")
    assert site.get("/").status == 200
    assert site.post("/_cg/events", event(0)).status == 204
    assert spooled(site) == ["e0"]
    site.stop()


def test_a_wrong_setting_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    site = Site(tmp_path, APP, DATA_DIR=str(tmp_path / "file"))
    with pytest.raises(AssertionError, match="the site ended with 3 at its start"), site:
        pass
    assert f"CONSENT_GATEWAY_DATA_DIR is '{tmp_path}/file': File exists; allowed is a writable folder" in site.log()
    assert "Traceback" not in site.log()


def test_a_wrong_setting_without_lifespan_leaves_the_site_up_and_blind(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with OtherSite(tmp_path, LAZY, lazily=True, DATA_DIR=str(tmp_path / "file")) as site:
        assert site.get("/").status == 200
        assert site.get("/members").text.count("No") == 2
        seen = site.get("/echo", {"X-Forwarded-For": "203.0.113.77"})
        assert seen.json()["client"] == ["0.0.0.0", 0]
        assert "203.0.113.77" not in seen.text
        assert site.get("/_cg/state").status == 503
        assert site.log().count("allowed is a writable folder") == 1


def test_a_back_office_that_can_not_start_is_tried_with_pauses(tmp_path: Path) -> None:
    with Site(tmp_path, APP, SITE="shop") as site:
        site.wait_for("the back office", site.office_answers)
        (tally := site.data_dir / "tmp").rename(site.data_dir / "was-tmp")
        tally.touch()  # a file where a folder has to be
        tally.chmod(0)
        site.kill9_office()
        site.wait_for("the first try", lambda: "the back office can't start" in site.log())
        time.sleep(3)
        assert site.log().count("the back office can't start") <= 3
        assert site.get("/").status == 200
        tally.unlink()
        site.wait_for("a later try", site.office_answers)
        assert books(site)


def test_nothing_is_opened_before_the_fork(tmp_path: Path) -> None:
    from consent_gateway import ConsentGateway, Settings
    from tests import sites

    ConsentGateway(sites.bare(), Settings(DATA_DIR=tmp_path / "data", KEYS_DIR=tmp_path / "keys"))
    assert not os.listdir(tmp_path)
