"""A disk that takes long for each write: nobody waits for it but those who sent events, and those together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.faults.servers import balance, books, event, names
from tests.faults.sites import SLOW_FILE
from tests.running import Site

PAGE_SECONDS = 1.5  # on a loaded machine, while a write takes longer


@pytest.fixture
def site(run_site: Callable[..., Site]) -> Site:
    return run_site("tests.faults.sites:slow_disk", SITE="shop")


@contextmanager
def slow(site: Site, seconds: float) -> Iterator[None]:
    mark = site.temporary / SLOW_FILE
    mark.write_text(str(seconds))
    try:
        yield
    finally:
        mark.unlink()


def post(site: Site, number: int) -> int:
    return site.post("/_cg/events", event(number)).status


def noticed(site: Site) -> None:
    """The two writes by which the gateway notices; one alone may be a pause of the machine's."""
    assert [post(site, 9000), post(site, 0)] == [204, 204]


def test_pages_do_not_wait_and_events_wait_together(site: Site) -> None:
    with slow(site, 2), ThreadPoolExecutor(40) as pool:
        noticed(site)
        began = time.monotonic()
        posts = [pool.submit(post, site, number) for number in range(1, 31)]
        times = []
        for _ in range(20):
            asked = time.monotonic()
            assert site.get("/").status == 200
            times.append(time.monotonic() - asked)
        assert max(times) < PAGE_SECONDS
        assert [done.result() for done in posts] == [204] * 30
        assert time.monotonic() - began < 30 * 2 / 2
    rows = site.stored()
    assert names(rows) == sorted(f"e{number}" for number in (9000, *range(31)))
    assert sum(row["type"] == "page_view" for row in rows) == 20


def test_what_the_queue_can_not_take_is_refused_and_counted(site: Site) -> None:
    with slow(site, 1.5), ThreadPoolExecutor(40) as pool:
        noticed(site)
        lots = [[event(lot * 100 + index) for index in range(100)] for lot in range(1, 31)]
        answers = list(pool.map(lambda lot: site.post("/_cg/events", lot), lots))
        refused = [answer for answer in answers if answer.status == 503]
        assert {answer.status for answer in answers} == {204, 503}
        assert all(answer.headers["Retry-After"] for answer in refused)
    site.forwarded()
    counts = books(site)
    assert counts["dropped.overload"] == 100 * len(refused)
    assert counts["confirmed"] == counts["accepted"] == 3002 - 100 * len(refused)
    assert balance(counts) == 0


def test_it_is_quick_again_when_the_disk_is(site: Site) -> None:
    with slow(site, 0.1):
        noticed(site)
    times = []
    for number in range(1, 20):
        began = time.monotonic()
        assert post(site, number) == 204
        times.append(time.monotonic() - began)
    assert sorted(times)[len(times) // 2] < 0.1, "no longer than the slow disk's write; one may meet a pause"


def test_a_choice_does_not_wait_for_queued_events(site: Site) -> None:
    with slow(site, 3), ThreadPoolExecutor(4) as pool:
        noticed(site)
        queued = [pool.submit(post, site, number) for number in range(1, 4)]
        began = time.monotonic()
        assert site.post("/_cg/choice", {"action": "reject_all"}).status == 200
        assert time.monotonic() - began < 2.5
        assert [done.result() for done in queued] == [204] * 3
