"""A choice that the page could not send waits in a session cookie of its own, and is a refusal until it has come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from consent_gateway.record.cookie import read_kept
from tests.running import Answer, Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), BACK_OFFICE="external") as site:
        yield site


def kept(*actions: str) -> dict[str, str]:
    return {"cg-later": quote(json.dumps([{"action": action} for action in actions], separators=(",", ":")))}


def cookies_of(answer: Answer) -> dict[str, str]:
    lines = [line.partition(";")[0].partition("=") for line in answer.headers.get_all("Set-Cookie", [])]
    return {name: value for name, _, value in lines}


def grant(site: Site) -> dict[str, str]:
    state = site.get("/_cg/state?language=en").json()
    body = {"action": "accept_all", "nonce": state["nonce"], "notice": state["notice"], "language": "en"}
    return cookies_of(site.post("/_cg/choice", body))


def test_it_counts_as_a_refusal_at_once(site: Site) -> None:
    granted = grant(site)
    assert site.get("/members", cookies=granted).text.count("Yes") > 0
    assert "Yes" not in site.get("/members", cookies=granted | kept("withdraw")).text
    state = site.get("/_cg/state", cookies=granted | kept("withdraw")).json()
    assert (state["status"], state["ask"], state["objection"]) == ("refused", False, False)
    assert state["later"] is True, "the script is told to send it again"
    assert site.get("/_cg/state", {"Origin": site.url}).json()["later"] is True, "another origin's cookie is not seen"
    assert state["purposes"] == {"measurement": True, "analytics": False}
    assert site.get("/_cg/state", cookies=kept("object")).json()["objection"] is True


def test_when_it_comes_the_grant_is_withdrawn_and_nothing_waits(site: Site) -> None:
    granted = grant(site)
    answer = site.post("/_cg/choice", {"action": "withdraw"}, cookies=granted | kept("withdraw"))
    assert answer.json()["status"] == "withdrawn"
    assert cookies_of(answer)["cg-later"] == ""
    assert any("cg-later=; Path=/; Max-Age=0" in line for line in answer.headers.get_all("Set-Cookie", []))
    other = site.post("/_cg/choice", {"action": "reject_all"}, cookies=granted)
    assert "cg-later" not in cookies_of(other)


@pytest.mark.parametrize(
    ("header", "found"),
    [("cg=1; cg-later=x; a=b", "x"), ("cg-later=x", "x"), ("not-cg-later=x", ""), ("cg-later=", ""), ("", "")],
)
def test_the_header_is_read_whole(header: str, found: str) -> None:
    assert read_kept(header) == found
