"""A flood from one network: its events and grants are told to come later, its refusals are not written one by one, and
nobody else notices; nor is anybody's page, refusal or withdrawal refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.faults.servers import balance, books, choose, cookie_of, event, names
from tests.running import Answer, Site

TOKEN = "a-token-for-the-metrics"
FLOODER, OTHER = "203.0.113.66", "198.51.100.1"


@pytest.fixture
def site(run_site: Callable[..., Site]) -> Site:
    return run_site(
        arguments=["--no-proxy-headers"], TRUSTED_PROXIES="127.0.0.1/32", SITE="shop",
        EVENTS_PER_NETWORK="1", CHOICES_PER_NETWORK="5",
        METRICS_TOKEN=TOKEN,
    )  # fmt: skip


def by(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def post(site: Site, number: int, address: str = FLOODER) -> Answer:
    return site.post("/_cg/events", event(number), by(address))


def choice(site: Site, action: str, cookie: str = "", address: str = FLOODER) -> Answer:
    state = site.get("/_cg/state").json()
    body = {"action": action, "notice": state["notice"], "language": "en", "nonce": state["nonce"]}
    return site.post("/_cg/choice", body, by(address), {"cg": cookie} if cookie else {})


def lines(site: Site) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (site.data_dir / "ledger").glob("20*.jsonl"))


def test_events_of_one_network_and_of_nobody_else(site: Site) -> None:
    """A batch counts whole: of a hundred at one a second, ninety seconds are owed."""
    assert post(site, 0).status == 204
    assert site.post("/_cg/events", [event(number) for number in range(1, 101)], by(FLOODER)).status == 204
    told = [post(site, number) for number in range(200, 205)]
    assert all(answer.status == 429 and 60 <= int(answer.headers["Retry-After"]) <= 92 for answer in told)
    body = "[" * 100_000
    assert site.post("/_cg/events", body, by(FLOODER) | {"Content-Type": "text/plain"}).status == 429, "not even read"
    assert post(site, 300, OTHER).status == 204
    assert [site.get("/", by(FLOODER)).status for _ in range(5)] == [200] * 5, "a page is never refused"
    site.forwarded()
    counts = books(site)
    assert counts["dropped.rate"] == len(told) + 1 + 5 and balance(counts) == 0
    assert names(site.stored()) == sorted([*(f"e{number}" for number in range(101)), "e300"])


def test_refusals_are_taken_and_counted_and_grants_wait(site: Site) -> None:
    granted = cookie_of(choice(site, "accept_all"))
    answers = [choice(site, "reject_all") for _ in range(30)]
    assert [answer.status for answer in answers] == [200] * 30
    assert all(answer.headers["Set-Cookie"] and answer.json()["receipt"]["proof"] for answer in answers)
    assert lines(site) <= 8, "a minute's worth; the disk is not theirs to fill"
    site.wait_for("the back office", site.office_answers)
    told = site.get("/_cg/metrics", {"Authorization": f"Bearer {TOKEN}"}).text
    assert float(re.search(r'choices_unwritten_total{site="shop"} (\S+)', told)[1]) >= 22  # type: ignore[index]
    grants = [choice(site, "accept_all") for _ in range(3)]  # a place may just have come free for one
    grant = next(answer for answer in grants if answer.status == 429)
    assert 1 <= int(grant.headers["Retry-After"]) <= 60 and not grant.headers["Set-Cookie"]
    assert choose(site, "accept_all").status == 200, "anybody else's is taken"
    before = lines(site)
    assert choice(site, "withdraw", granted).json()["status"] == "withdrawn"
    assert lines(site) == before + 1 and (site.data_dir / "ledger" / "stops").stat().st_size == 32
    assert site.get("/_cg/state", cookies={"cg": granted}).json()["status"] == "withdrawn"
    for _ in range(10):
        assert choice(site, "withdraw", granted).status == 200
    assert lines(site) <= before + 4 and (site.data_dir / "ledger" / "stops").stat().st_size == 32, "once is enough"


def test_a_replayed_objection_is_heeded_and_fills_nothing(site: Site) -> None:
    granted = cookie_of(choice(site, "accept_all"))
    for _ in range(40):
        assert choice(site, "object", granted).json()["objection"]
    site.wait_for("the stop", (site.data_dir / "ledger" / "stops").stat)
    assert lines(site) <= 8
    assert (site.data_dir / "ledger" / "stops").stat().st_size <= 32 * 30  # one a beat at most


def test_one_site_has_a_bound_of_its_own(run_site: Callable[..., Site]) -> None:
    sites = "http://one.example=one,http://two.example=two"
    site = run_site(SITES=sites, EVENTS_PER_SITE="1", CHOICES_PER_SITE="2", BACK_OFFICE="external")
    one, two = ({"Host": f"{name}.example"} for name in ("one", "two"))
    assert site.post("/_cg/events", [event(number) for number in range(50)], one).status == 204
    assert site.post("/_cg/events", event(60), one).status == 429
    assert site.post("/_cg/events", event(100), two).status == 204
    assert [site.post("/_cg/choice", {"action": "reject_all"}, one).status for _ in range(5)] == [200] * 5
    assert lines(site) <= 3
    assert site.post("/_cg/choice", {"action": "reject_all"}, two).status == 200
