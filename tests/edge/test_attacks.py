"""What an attacker found, kept from coming back: each test is named after the harm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent_gateway import ConsentGateway, Settings
from consent_gateway.enrich.path import read_page
from consent_gateway.record.books import _SLOTS, Books, Tally
from consent_gateway.record.cookie import Cookies
from consent_gateway.rule.consent import Consent, Status
from tests.edge.test_endpoints import FIREFOX, choose, cookie_of
from tests.running import Site

HTML = [(b"content-type", b"text/html")]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., ConsentGateway]]:
    """A gateway around an ASGI app of the test's own, in this process."""
    made: list[ConsentGateway] = []

    def make(app: ASGIApp, **settings: Any) -> ConsentGateway:
        folders = {"DATA_DIR": tmp_path / "data", "KEYS_DIR": tmp_path / "keys", "BACK_OFFICE": "external"}
        made.append(ConsentGateway(app, Settings(**folders, **settings)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(app: ASGIApp, path: str = "/", headers: Any = ()) -> list[Message]:
    """One GET; all messages of the answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers,
        "client": ("203.0.113.77", 1),
    }  # fmt: skip

    async def call() -> None:
        await app(scope, receive, send)

    asyncio.run(call())
    return sent


def answers(headers: Any, body: Callable[[Scope], bytes] = lambda scope: b"", start_first: bool = True) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        text = b"" if start_first else body(scope)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body(scope) if start_first else text})

    return app


@pytest.mark.parametrize("host", ["\ufdfa" * 900, "漢" * 900, "a" * 5000, ("ü" * 60 + ".") * 40])
def test_a_long_host_name_does_not_freeze_the_worker(host: str) -> None:
    began = time.thread_time()
    for _ in range(20):
        assert read_page(f"http://{host}/x").host == ""
    assert time.thread_time() - began < 1  # it was 3 s


def test_a_site_s_own_header_list_is_never_written_to(gateway: Callable[..., ConsentGateway]) -> None:
    kept = [*HTML]
    app = gateway(answers(kept))
    for _ in range(3):
        start = ask(app)[0]
        timings = [value for name, value in start["headers"] if name == b"server-timing"]
        assert len(timings) == 1, "each visitor sees one view id: the own one"
    assert kept == HTML


@pytest.mark.parametrize("form", [tuple, iter, list])
def test_headers_of_any_iterable_stay(gateway: Callable[..., ConsentGateway], form: Callable[..., Any]) -> None:
    pairs = [(b"content-type", b"text/html"), (b"set-cookie", b"a=1"), (b"cache-control", b"public, max-age=60")]
    app = gateway(answers(form(pairs), lambda scope: str(scope["consent"].permits("analytics")).encode(), False))
    start = ask(app, headers=form([(b"host", b"x")]))[0]
    found = dict(start["headers"])
    assert found[b"set-cookie"] == b"a=1"
    assert found[b"cache-control"] == b"private, no-store", "it read the consent"


def test_consent_that_is_read_too_late_is_the_strictest(gateway: Callable[..., ConsentGateway]) -> None:
    public = [*HTML, (b"cache-control", b"public, max-age=60")]
    app = gateway(answers(public, lambda scope: str(scope["consent"].permits("measurement")).encode()))
    assert ask(app)[1]["body"] == b"False"
    own = gateway(answers(HTML, lambda scope: str(scope["consent"].permits("measurement")).encode()))
    assert ask(own)[1]["body"] == b"True", "this response is private already"


def test_a_content_network_s_own_header_does_not_outlive_private(gateway: Callable[..., ConsentGateway]) -> None:
    app = gateway(answers([*HTML, (b"cdn-cache-control", b"max-age=600"), (b"surrogate-control", b"max-age=9")]))
    found = dict(ask(app)[0]["headers"])
    assert found[b"cache-control"] == b"private" and b"server-timing" in found
    assert b"cdn-cache-control" not in found and b"surrogate-control" not in found


def test_withdrawing_ends_grants_that_no_longer_count_too(run_site: Callable[..., Site]) -> None:
    site = run_site(BACK_OFFICE="external", SITE="shop")
    secret = (site.keys_dir / "secret").read_bytes()
    from base64 import b64encode

    cookies = Cookies([b64encode(secret).decode()])
    now = int(time.time() * 1000)
    old = Consent(Status.GIVEN, frozenset(["analytics"]), consent_id="o" * 22, given_at=now, policy_version="0")
    line = cookies.write(old, "shop", secure=False, now=now).partition(";")[0]
    name, _, value = line.partition("=")
    assert site.get("/_cg/state", cookies={name: value}).json()["status"] == "invalidated"
    answer = site.post("/_cg/choice", {"action": "withdraw"}, cookies={name: value}).json()
    assert answer["status"] == "withdrawn" and answer["receipt"]["events"][0]["supersedes"] == "o" * 22
    assert (site.data_dir / "ledger" / "stops").stat().st_size == 32


def test_of_two_cookies_both_grants_end(run_site: Callable[..., Site]) -> None:
    site = run_site(BACK_OFFICE="external")
    given = cookie_of(choose(site, "accept_all"))
    refused = cookie_of(site.post("/_cg/choice", {"action": "reject_all"}))
    both = "; ".join(f"cg={cookie['cg']}" for cookie in (given, refused))
    assert site.post("/_cg/choice", {"action": "withdraw"}, {"Cookie": both}).json()["status"] == "withdrawn"
    assert site.get("/_cg/state", cookies=given).json()["status"] == "withdrawn"


def test_excluded_is_excluded_however_it_comes(run_site: Callable[..., Site]) -> None:
    site = run_site(EXCLUDE_PATHS="/page/private", SITE="shop")
    agent = {"User-Agent": FIREFOX}
    for path in ("/page/seen", "/page/private", "//page/private", "/page//private"):
        site.get(path, agent)
    event = {"type": "page_view", "url": "https://shop.example/page/private/x"}
    assert site.post("/_cg/events", [event], agent).status == 204
    site.forwarded()
    counts = {term: count for name, term, count in site.office("GET", "/books") if name == "shop"}
    assert counts["dropped.excluded"] == 1
    assert [row["path"] for row in site.stored()] == ["/page/seen"]


def test_an_event_is_of_the_moment_it_came_not_of_its_background_task(gateway: Callable[..., ConsentGateway]) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await answers(HTML)(scope, receive, send)
        assert app.open()._books is not None
        counted.append(sum(path.read_bytes().count(b"accepted") for path in folder.glob("*.book")))

    counted: list[int] = []
    app = gateway(slow)
    folder = app.settings.DATA_DIR / "books"
    ask(app)
    assert counted == [1], "recorded when the answer was out, before the task"


def test_a_form_of_many_fields_is_refused(run_site: Callable[..., Site]) -> None:
    site = run_site(BACK_OFFICE="external")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert site.post("/_cg/choice", "&".join(f"a{n}=1" for n in range(100)), form).status == 422
    assert "a fault inside the gateway" not in site.log()


def test_the_books_of_very_many_sites_never_raise(tmp_path: Path) -> None:
    books = Books(tmp_path)
    for number in range(_SLOTS + 50):
        books.count(f"site-{number}", "received")
    books.close()


def test_the_tally_is_written_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally(tmp_path)
    tally.fold()
    assert (tmp_path / "books" / "reserve").stat().st_size > 100_000
    write, refusals = Tally._write, [OSError(28, "No space left on device")]

    def full_once(self: Tally) -> None:
        if refusals:
            raise refusals.pop()
        write(self)

    monkeypatch.setattr(Tally, "_write", full_once)
    tally.begin("202611-aaaabbbb-000001")
    assert "202611-aaaabbbb-000001" in Tally(tmp_path).sent
    assert not (tmp_path / "books" / "reserve").exists()


@pytest.mark.parametrize(
    "words", ["from=0001-01-02&to=9999-12-30", "to=9999-12-31", "to=0001-01-01", "from=2000-01-01"]
)
def test_a_range_without_end_is_refused(run_site: Callable[..., Site], words: str) -> None:
    site = run_site(SITE="shop")
    site.wait_for("the back office", site.office_answers)
    owner = cookie_of(site.get(site.office("POST", "/sign-in-link")["path"]))
    for path in ("/_cg/dashboard", "/_cg/stats/pages"):
        assert site.get(f"{path}?{words}", cookies=owner).status == 422


def test_a_look_at_a_sign_in_link_does_not_use_it_up(run_site: Callable[..., Site]) -> None:
    site = run_site(SITE="shop")
    site.wait_for("the back office", site.office_answers)
    link = site.office("POST", "/sign-in-link")["path"]
    assert site.request("HEAD", link).status == 403
    owner = cookie_of(site.get(link))
    (name, value), *_ = owner.items()
    cookies = f'a={{"x":1}}; b c; {name}={value}'
    assert site.get("/_cg/dashboard", {"Cookie": cookies}).status == 200, "another cookie does not lock out"
