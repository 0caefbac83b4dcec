"""ALLOWED_ORIGINS: pages of another origin of the same registrable domain may ask here, with the visitor's cookie."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running import Answer, Site

BLOG, OTHER = "https://blog.example.eu", "https://www.example.com"
HOST = {"Host": "www.example.eu"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site")
    with Site(home, BACK_OFFICE="external", ALLOWED_ORIGINS=f"{BLOG}, {OTHER}/") as site:
        yield site


def test_an_allowed_origin_may_read_and_choose(site: Site) -> None:
    sent = HOST | {"Origin": BLOG, "Sec-Fetch-Site": "same-site"}
    answers = [site.get("/_cg/state", sent), site.post("/_cg/choice", {"action": "reject_all"}, sent)]
    answers.append(site.get(f"/_cg/notices/{answers[0].json()['notice']}", sent))
    answers.append(site.post("/_cg/events", {"type": "page_view", "url": f"{BLOG}/a"}, sent))
    for answer in answers:
        assert answer.status in (200, 204)
        assert answer.headers["Access-Control-Allow-Origin"] == BLOG
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Origin" in answer.headers["Vary"]
    assert "Cookie" in answers[0].headers["Vary"] and "Set-Cookie" in answers[1].headers


def test_the_preflight_names_what_may_be_sent(site: Site) -> None:
    asked = {"Origin": BLOG, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = site.request("OPTIONS", "/_cg/choice", HOST | asked | {"Sec-Fetch-Site": "same-site"})
    assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == BLOG
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert site.request("OPTIONS", "/_cg/choice").status == 405


def refused(answer: Answer) -> str:
    assert answer.status == 403 and "Access-Control-Allow-Origin" not in answer.headers
    title: str = answer.json()["title"]
    return title


@pytest.mark.parametrize("told", [{"Sec-Fetch-Site": "cross-site"}, {}])
def test_another_site_is_refused_with_the_reason_also_when_it_is_allowed(site: Site, told: dict[str, str]) -> None:
    sent = HOST | {"Origin": OTHER} | told
    for answer in (
        site.get("/_cg/state", sent),
        site.post("/_cg/choice", {"action": "reject_all"}, sent),
        site.request("OPTIONS", "/_cg/choice", sent),
    ):
        assert "another site than www.example.eu" in refused(answer) and "registrable domain" in refused(answer)


def test_who_is_not_listed_is_refused(site: Site) -> None:
    sent = HOST | {"Origin": "https://else.example.eu", "Sec-Fetch-Site": "same-site"}
    for answer in (site.get("/_cg/state", sent), site.post("/_cg/events", {"type": "page_view", "url": "/"}, sent)):
        assert "own pages, and from those of ALLOWED_ORIGINS" in refused(answer)


def test_a_browser_that_does_not_say_the_site_is_judged_by_the_name(site: Site) -> None:
    answer = site.get("/_cg/state", HOST | {"Origin": BLOG})
    assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == BLOG


def test_without_an_origin_nothing_is_added_but_the_difference_is_told(site: Site) -> None:
    answer = site.get("/_cg/state", HOST)
    assert "Access-Control-Allow-Origin" not in answer.headers and "Origin" in answer.headers["Vary"]
