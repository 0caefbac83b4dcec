"""`kill -9` at once after the answer: what was acknowledged is there, and the books tell of the rest."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException

from tests.faults.servers import APP, balance, books, choose, event, names, spooled
from tests.faults.sites import SLOW_FILE
from tests.faults.test_full_disk import ledger
from tests.running import Site


def test_an_acknowledged_event_is_in_the_spool(run_site: Callable[..., Site]) -> None:
    site = run_site(APP, workers=2, BACK_OFFICE="external", SITE="shop")
    for number in range(2):
        answer = site.post("/_cg/events", event(number))
        assert answer.status == 204
        os.kill(pid := int(answer.headers["X-Pid"]), signal.SIGKILL)
        while pid in site.worker_pids:
            pass
    assert site.post("/_cg/events", event(2)).status == 204  # by a new one
    site.kill9()
    assert spooled(site) == ["e0", "e1", "e2"]
    site.start_office()
    site.forwarded()
    counts = books(site)
    assert (counts["received"], counts["accepted"], counts["confirmed"]) == (3, 3, 3)
    assert "unanswered" not in counts


def test_an_acknowledged_choice_is_on_the_record(run_site: Callable[..., Site]) -> None:
    site = run_site(APP, BACK_OFFICE="external")
    actions = ["accept_all", "reject_all"]
    for action in actions:
        answer = choose(site, action)
        site.kill9()
        assert answer.status == 200
        assert ledger(site)[-1] == action
        if action != actions[-1]:
            site.start()
    assert ledger(site) == actions


def test_what_was_in_flight_is_shown_as_unanswered(run_site: Callable[..., Site]) -> None:
    site = run_site("tests.faults.sites:slow_disk", BACK_OFFICE="external", SITE="shop")
    (site.temporary / SLOW_FILE).write_text("0.2")
    assert site.post("/_cg/events", event(0)).status == 204
    (site.temporary / SLOW_FILE).write_text("30")

    def post() -> None:
        with suppress(OSError, HTTPException):
            site.post("/_cg/events", [event(1), event(2)])

    posting = threading.Thread(target=post)
    posting.start()
    site.wait_for("it to arrive", lambda: received(site) == 3)
    site.kill9()
    posting.join()
    site.start_office()
    site.wait_for("the end to be seen", lambda: "unanswered" in books(site))
    counts = books(site)
    assert (counts["received"], counts["accepted"], counts["unanswered"]) == (3, 1, 2)
    assert balance(counts) == 0
    assert names(site.stored()) == ["e0"]


def received(site: Site) -> int:
    from consent_gateway.record.books import read

    (path,) = (site.data_dir / "books").glob("*.book")
    return read(path)["shop", "received"]
