"""The demo's pages, asked over a real socket, as a browser would."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from consent_gateway import script_tag
from consent_gateway.demo.crowd import PAGES
from consent_gateway.demo.site import FORM_LIMIT, create_site


class Allowed:
    """Stands in for the gateway where a page asks what it may do: yes to everything."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["consent"] = self
        await self.app(scope, receive, send)

    def permits(self, purpose: str) -> bool:
        return purpose == "analytics"


def serve(app: ASGIApp) -> Iterator[int]:
    """Runs the app on a free port until the generator is closed; yields the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 40
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(40)


@pytest.fixture(scope="module")
def plain() -> Iterator[int]:
    yield from serve(create_site())


@pytest.fixture(scope="module")
def allowed() -> Iterator[int]:
    yield from serve(Allowed(create_site()))


def ask(
    port: int, path: str, method: str = "GET", form: dict[str, str] | bytes | None = None
) -> tuple[HTTPResponse, str]:
    body = urlencode(form) if isinstance(form, dict) else form
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    connection = HTTPConnection("127.0.0.1", port, timeout=40)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


class Page(HTMLParser):
    """What a page names and what it carries inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.inline: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        named = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.add(named["href"])
        elif "href" in named or "src" in named:
            self.loads.add(named.get("src") or named["href"])
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)
        self.inline += [name for name in named if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers(plain: int, path: str) -> None:
    response, text = ask(plain, path)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert Page(text).counts["h1"] == 1


@pytest.mark.parametrize("path", [*PAGES, "/nowhere"])
def test_a_page_loads_only_its_own_files_and_has_nothing_inline(plain: int, path: str) -> None:
    response, text = ask(plain, path)
    page = Page(text)
    assert page.inline == []
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    script = re.search(r'src="([^"]+)"', script_tag())
    assert script and script[1] in page.loads, "the gateway's, which the site alone does not have"
    for file in page.loads - {script[1]}:
        assert file.startswith("/static/")
        assert ask(plain, file)[0].status == 200, file


def test_no_link_is_broken(plain: int) -> None:
    links = set[str]().union(*(Page(ask(plain, path)[1]).links for path in PAGES)) - {"#main", "/_cg/privacy"}
    assert set(PAGES) <= links
    for link in links:
        assert ask(plain, link)[0].status == 200, link


@pytest.mark.parametrize("path", ["/nowhere", "/articles/never-written", "/static/none.css", "/static/../site.py"])
def test_what_is_not_there_is_a_404_page(plain: int, path: str) -> None:
    response, text = ask(plain, path)
    assert response.status == 404
    assert "no page at this address" in text


def test_contact_thanks_and_escapes(plain: int) -> None:
    form = {"name": "Ann <b>", "email": "ann@example.org", "message": "Hello"}
    response, text = ask(plain, "/contact", "POST", form)
    assert response.status == 200
    assert "Thank you, Ann &lt;b&gt;." in text


def test_contact_says_what_is_missing_and_keeps_the_rest(plain: int) -> None:
    response, text = ask(plain, "/contact", "POST", {"name": "Ann", "message": " "})
    assert response.status == 422
    assert "your e-mail address, the message." in text
    assert 'value="Ann"' in text


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"message=" + b"x" * FORM_LIMIT, 413), (b"&".join([b"a=1"] * 21), 400), (b"\xff\xfe", 422)],
)
def test_contact_refuses_what_no_person_sends(plain: int, body: bytes, status: int) -> None:
    response, text = ask(plain, "/contact", "POST", body)
    assert response.status == status
    assert "<h1>" in text


def test_a_wrong_method_keeps_its_header(plain: int) -> None:
    response, _ = ask(plain, "/workshop", "DELETE")
    assert response.status == 405
    assert "GET" in response.headers["Allow"]


def test_members_differ_by_permission(plain: int, allowed: int) -> None:
    assert "You did not allow analytics" in ask(plain, "/members")[1]
    assert "You allowed analytics" in ask(allowed, "/members")[1]


def test_robots(plain: int) -> None:
    response, text = ask(plain, "/robots.txt")
    assert response.status == 200
    assert text.startswith("User-agent: *")
