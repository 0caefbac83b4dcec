"""Many workers share one data directory: one back office for all, and no event lost or doubled whoever is killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.faults.servers import APP, OtherSite, balance, books, event, names, only
from tests.running import Site, holders, wait_for

GRANIAN = "granian --interface asgi --host 127.0.0.1 --port {port} --workers {workers} --factory --no-ws " + APP
GUNICORN = (
    f"gunicorn.app.wsgiapp -k uvicorn_worker.UvicornWorker -w {{workers}} -b 127.0.0.1:{{port}} --preload {APP}()"
)


SERVERS = [f"uvicorn {workers}" for workers in (1, 2, 4, 8)]
SERVERS += [f"{server} {workers}" for server in ("granian", "gunicorn") for workers in (2, 8)]


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    server, workers = request.param.split()
    if server == "uvicorn":
        made = Site(tmp_path, APP, workers=int(workers), SITE="shop")
    else:
        line = (GRANIAN if server == "granian" else GUNICORN).replace("{workers}", workers)
        made = OtherSite(tmp_path, line, workers=int(workers), arguments=[server], SITE="shop")
    with made:
        yield made


def sign_in(site: Site) -> dict[str, str]:
    path = site.office("POST", "/sign-in-link")["path"]
    name, _, rest = (site.get(path).headers["Set-Cookie"] or "").partition("=")
    return {name: rest.partition(";")[0]}


def ask_each(site: Site, path: str, cookies: dict[str, str]) -> set[int]:
    """Which of the workers answered 200."""
    if "granian" in site.arguments:  # each worker has its own queue: stopped ones would keep some waiting
        answers = [site.get(path, cookies=cookies) for _ in range(20 * site.workers)]
    else:
        answers = []
        for pid in site.worker_pids:
            with only(pid, site.worker_pids):
                answers.append(site.get(path, cookies=cookies))
    assert {answer.status for answer in answers} == {200}
    return {int(answer.headers["X-Pid"]) for answer in answers}


def test_one_office_whatever_the_server(site: Site) -> None:
    site.wait_for("the back office", site.office_answers)
    pids = site.worker_pids
    assert len(pids) == site.workers
    (office,) = holders(site.data_dir / "office.lock")
    assert office not in pids
    assert ask_each(site, "/_cg/stats/overview", sign_in(site)) == set(pids)
    assert site.post("/_cg/events", event(1)).status == 204
    if site.workers == 2:
        site.kill9_office()
        site.wait_for("another back office", lambda: site.office_pid not in (None, office))
        assert site.worker_pids == pids
        site.kill9()  # all at once
        wait_for("the back office to be gone", lambda: not holders(site.data_dir / "office.lock"))
        assert names(site.tables()["events"]) == ["e1"]
    else:
        site.stop()


class Sender(threading.Thread):
    """Sends events, each once, and remembers which of them were acknowledged."""

    def __init__(self, site: Site, first: int) -> None:
        super().__init__(daemon=True)
        self._site, self._next = site, first
        self.acknowledged: list[str] = []
        self.sent: list[str] = []
        self.end = threading.Event()

    def run(self) -> None:
        while not self.end.is_set():
            lot = [event(self._next + index) for index in range(5)]
            self._next += 5
            self.sent += [one["name"] for one in lot]
            with suppress(OSError, HTTPException):
                if self._site.post("/_cg/events", lot).status == 204:
                    self.acknowledged += [one["name"] for one in lot]
            time.sleep(0.01)


def test_random_kills(tmp_path: Path) -> None:
    chance = random.Random(3)
    with Site(tmp_path, APP, workers=4, SITE="shop") as site:
        senders = [Sender(site, first * 10_000) for first in range(2)]
        for sender in senders:
            sender.start()
        for kill in range(6):
            time.sleep(chance.uniform(0.2, 0.7))
            if kill == 3:
                site.kill9_office()
            elif pids := site.worker_pids:
                os.kill(chance.choice(pids), signal.SIGKILL)
        for sender in senders:
            sender.end.set()
            sender.join(40)
        site.forwarded()
        site.wait_for("all ends to be seen", lambda: balance(books(site)) == 0)
        counts = books(site)
        stored = names(site.stored())
    acknowledged = sorted(name for sender in senders for name in sender.acknowledged)
    assert len(acknowledged) > 100
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored) <= {name for sender in senders for name in sender.sent}
    assert counts["accepted"] <= len(stored) <= counts["accepted"] + counts.get("unanswered", 0)


def test_sealing_does_not_hold_up_requests(tmp_path: Path) -> None:
    with Site(tmp_path, APP, workers=2, SITE="shop") as site:
        site.forwarded()
        lots = [[event(lot * 100 + index) for index in range(100)] for lot in range(30)]
        times: list[float] = []

        def is_sealed() -> bool:
            asked = time.monotonic()
            assert site.get("/").status == 200
            times.append(time.monotonic() - asked)
            return books(site).get("confirmed", 0) >= 3_000

        for lot in lots:
            assert site.post("/_cg/events", lot).status == 204
        site.wait_for("all to be stored", is_sealed)
        times.sort()
        assert times[len(times) * 99 // 100] < 1.0
