"""The examples under real servers: what the gateway does for a site of each framework, and that it does no more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from consent_gateway import script_tag
from tests.examples.servers import Example, consent_of, content
from tests.running import Answer

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BROWSER = {"User-Agent": FIREFOX, "Accept": "text/html,*/*"}
FRAMEWORKS = {
    "starlette": "uvicorn",
    "fastapi": "uvicorn",
    "litestar": "granian",
    "quart": "hypercorn",
    "django": "uvicorn",
}
BREAD_ROUTES = {"quart": "/breads/<slug>", "django": "/breads/<slug:slug>"}
CATERING_ROUTES = {"quart": "/catering/<city>", "django": "/catering/<str:city>"}
REMEMBERED = b"You agreed, so we remember"

REQUESTS: list[tuple[str, str, dict[str, str], str | None]] = [
    ("GET", "/", {}, None),
    ("HEAD", "/", {}, None),
    ("GET", "/breads/rye", {}, None),
    ("GET", "/breads/rye?utm_source=x&q=a%20b", {"Accept-Encoding": "gzip"}, None),
    ("GET", "/breads/none", {}, None),
    ("GET", "/prices", {}, None),
    ("GET", "/prices", {"Accept-Encoding": "gzip"}, None),
    ("GET", "/catering/ghent", {}, None),
    ("GET", "/catering/private/x", {}, None),
    ("GET", "/hours/today", {}, None),
    ("GET", "/static/site.css", {}, None),
    ("HEAD", "/static/site.css", {}, None),
    ("GET", "/static/site.css", {"Range": "bytes=0-9"}, None),
    ("GET", "/static/site.css", {"Accept-Encoding": "gzip"}, None),
    ("GET", "/static/none.css", {}, None),
    ("GET", "/recipe", {}, None),
    ("GET", "/oven", {}, None),
    ("GET", "/burnt", {}, None),
    ("GET", "/nothing/here", {}, None),
    ("GET", "/_cgx", {}, None),
    ("PUT", "/prices", {}, None),
    ("POST", "/orders", {"Content-Type": "application/json"}, '{"bread": "rye"}'),
]
OURS = {"server-timing", "cache-control", "vary"}


@pytest.fixture(params=FRAMEWORKS, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sites(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Example, Example]]:
    """The example with the gateway, and without."""
    home, server = tmp_path_factory.mktemp(name), FRAMEWORKS[name]
    with ExitStack() as started:
        yield (
            started.enter_context(
                Example(
                    home / "with",
                    name,
                    "app:app",
                    server,
                    TRUSTED_PROXIES="127.0.0.1/32",
                    EXCLUDE_PATHS="/catering/nobody",
                )
            ),
            started.enter_context(Example(home / "without", name, "app:site", server)),
        )


def headers_of(answer: Answer, without: set[str]) -> list[tuple[str, str]]:
    return sorted((key.lower(), value) for key, value in answer.headers.items() if key.lower() not in without)


def test_the_site_is_the_same_with_and_without(name: str, sites: tuple[Example, Example]) -> None:
    """Bodies byte for byte, headers one for one, but for those of the gateway on pages."""
    mounted, bare = sites
    baked = mounted.get("/orders").json()["baked"]
    for method, path, more, body in REQUESTS:
        one, other = (site.request(method, path, BROWSER | more, body) for site in (mounted, bare))
        what = f"{method} {path} {more}"
        assert one.status == other.status, what
        page = (one.headers.get("Content-Type") or "").startswith("text/html")
        apart = {"date"} | (OURS if page else set())
        if name == "django" and one.headers.get("Content-Encoding") == "gzip":
            assert content(one) == content(other), what
            apart |= {"content-length"}
        else:
            assert one.body == other.body, what
        assert headers_of(one, apart) == headers_of(other, apart), what
        assert ("Server-Timing" in one.headers) == page, what
        if page and path.startswith("/breads/rye"):  # its template asked
            assert one.headers["Cache-Control"] == "private, no-store"
            assert {"Cookie", "Sec-GPC", "DNT"} <= set(one.headers["Vary"].replace(",", " ").split())
        elif page and method == "GET":
            assert one.headers["Cache-Control"] in ("private", None), what
            assert one.headers["Vary"] == other.headers["Vary"], what
    # what was ordered is baked after the answer, and would be taken for the bread of the next test that orders one
    mounted.wait_for("the bread", lambda: mounted.get("/orders").json()["baked"] == baked + 1)


def test_what_a_template_asks_is_this_visitors_choice(sites: tuple[Example, Example]) -> None:
    site, _ = sites
    granted, refused = consent_of(site, "accept_all"), consent_of(site, "reject_all")
    for cookies, remembered in ((None, False), (granted, True), (refused, False), (None, False)):
        assert (REMEMBERED in site.get("/breads/rye", BROWSER, cookies).body) is remembered
    assert REMEMBERED not in site.get("/breads/rye", BROWSER | {"Sec-GPC": "1"}).body
    assert script_tag().encode() in site.get("/").body
    assert b'href="/_cg/privacy"' in site.get("/").body
    assert site.get("/_cg/privacy", BROWSER).status == 200


def test_page_views_name_their_route(name: str, sites: tuple[Example, Example]) -> None:
    site, _ = sites
    agent = {"User-Agent": FIREFOX.replace("140", "139")}
    for path in ("/", "/breads/sourdough", "/breads/none", "/catering/ghent", "/recipe", "/static/site.css", "/oven"):
        site.get(path, agent)
    assert 'desc="200"' in site.get("/catering/nobody", agent).headers["Server-Timing"], "left out, also in a mount"
    if name == "litestar":
        site.get("/hours/today", agent)  # a mount there shortens the path in the scope
    site.request("HEAD", "/prices", agent)
    site.request("GET", "/prices", agent | {"X-Forwarded-For": "198.51.100.77"})
    site.get("/burnt", agent)
    routes = {
        "/": "/",
        "/breads/sourdough": BREAD_ROUTES.get(name, "/breads/{slug}"),
        "/catering/ghent": CATERING_ROUTES.get(name, "/catering/{city}"),
        "/prices": "/prices",
    } | ({"/hours/today": None} if name == "litestar" else {})

    def told() -> list[dict[str, Any]]:
        return [event for event in site.spooled() if event.get("browser_version") == "139"]

    # a view is recorded when its answer is out, so a moment after we have it
    site.wait_for("the views", lambda: routes.keys() <= {event["path"] for event in told()})
    seen = told()
    views = {event["path"]: event for event in seen if event["type"] == "page_view"}
    assert {path: event.get("route") for path, event in views.items()} == routes
    assert views["/prices"]["network"] == "198.51.100.0/24"
    assert {event["path"] for event in seen if event["type"] == "page_error"} <= {"/burnt", "/breads/none"}
    assert len(seen) - len(views) <= 2


def test_the_site_sees_no_address(sites: tuple[Example, Example]) -> None:
    site, bare = sites
    assert site.get("/orders", {"X-Forwarded-For": "198.51.100.77"}).json()["seen"] == "198.51.100.0"
    assert bare.get("/orders", {}).json()["seen"] == "127.0.0.1"


def test_background_tasks_run(sites: tuple[Example, Example]) -> None:
    site, _ = sites
    before = site.get("/orders").json()["baked"]
    assert site.post("/orders", {"bread": "rye"}).status == 202
    site.wait_for("the bread", lambda: site.get("/orders").json()["baked"] == before + 1)


@pytest.mark.parametrize("path", ["/recipe", "/oven"])
def test_a_stream_comes_piece_by_piece(sites: tuple[Example, Example], path: str) -> None:
    """Once is enough: on a loaded machine a reader may wake when all of it is there."""
    site, _ = sites
    assert any(_spread(site, path) > 0.05 for _ in range(40))


def _spread(site: Example, path: str) -> float:
    """Seconds between the first line and the last."""
    connection = HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("GET", path, headers=BROWSER)
    answer = connection.getresponse()
    arrivals: list[float] = []
    while answer.readline():
        arrivals.append(time.monotonic())
    connection.close()
    return arrivals[-1] - arrivals[0]


def test_websockets_pass(sites: tuple[Example, Example]) -> None:
    mounted, bare = sites
    assert mounted.websocket("/bell") == {"rings": "at seven", "analytics": True}
    assert bare.websocket("/bell") == {"rings": "at seven", "analytics": False}


def test_behind_a_root_path(name: str, tmp_path: Path) -> None:
    """A proxy that takes `/bakery` away, and a server that is told so."""
    with Example(tmp_path, name, "app:app", FRAMEWORKS[name], "/bakery") as site:
        page = site.get(f"{site.sent}/breads/rye", BROWSER)
        assert page.status == 200, page.text
        assert script_tag("/bakery/_cg").encode() in page.body
        assert b'href="/bakery/_cg/privacy"' in page.body and b'href="/bakery/static/site.css"' in page.body
        assert site.get(f"{site.sent}/_cg/state").json()["status"] == "unknown"
        assert site.get(f"{site.sent}/catering/ghent", BROWSER).status == 200
        assert script_tag("/bakery/_cg").encode() in site.get(f"{site.sent}/catering/ghent", BROWSER).body
        site.wait_for("the views", lambda: len(site.spooled()) >= 3)
        assert {event["route"] for event in site.spooled()} == {
            BREAD_ROUTES.get(name, "/breads/{slug}"), CATERING_ROUTES.get(name, "/catering/{city}"),
        }  # fmt: skip
