"""What the script says of a visit, when it says it, how it makes sure, and when it keeps silent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route

from tests.running import Site

from .conftest import NewPage
from .measured import arrive, leave, recorded, wait_for_rows

EVENTS = "**/_cg/events"
# What a page could do to put something on the device; each is written down when it is tried.
_WATCH_STORING = """
window.stored = [];
const watch = (owner, name) => {
  const original = owner[name];
  owner[name] = function (...values) { window.stored.push(name); return original.apply(this, values); };
};
watch(Storage.prototype, "setItem"); watch(IDBFactory.prototype, "open");
if (window.CacheStorage) watch(CacheStorage.prototype, "open");
const cookie = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
Object.defineProperty(document, "cookie", { get: () => cookie.get.call(document),
  set: (text) => { window.stored.push("cookie"); cookie.set.call(document, text); } });
"""
_SHOW = """(shown) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (shown ? "visible" : "hidden") });
  Object.defineProperty(document, "hidden", { configurable: true, get: () => !shown });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_FOCUS = """(focused) => { document.hasFocus = () => focused; dispatchEvent(new Event(focused ? "focus" : "blur")); }"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), "tests.browser.measured:site", BACK_OFFICE="external") as site:
        yield site


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose policy wants consent for what the script sends."""
    folder = tmp_path_factory.mktemp("strict")
    policy = folder / "policy.toml"
    policy.write_text('preset = "belgium-strict"\n')
    with Site(folder, "tests.browser.measured:site", POLICY=str(policy), BACK_OFFICE="external") as site:
        yield site


def sent(page: Page) -> list[Request]:
    """The requests with events that this page's context makes from now on."""
    found: list[Request] = []
    page.context.on("request", lambda request: found.append(request) if request.url.endswith("/_cg/events") else None)
    return found


def frozen(page: Page) -> None:
    """The page's clock stands until it is moved by hand. The driver's hides the navigation's entry: here it is."""
    page.add_init_script("window.real = performance.getEntriesByType.bind(performance)")
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.add_init_script("performance.getEntriesByType = window.real")


def until(page: Page, true: Callable[[], bool], run_for: Callable[[int], None] | None = None) -> None:
    """Let the page go on until it is so, its clock as well where `run_for` is given."""
    for _ in range(2000):
        if true():
            return
        if run_for:
            run_for(1000)
        page.wait_for_timeout(20)
    raise AssertionError("it did not come")


def age(row: dict[str, Any]) -> float:
    """Seconds from what happened to its arrival."""
    at, received = (datetime.fromisoformat(row[name]) for name in ("at", "received_at"))
    return (received - at).total_seconds()


def choose(page: Page, site: Site, **choice: Any) -> None:
    """Choose as another tab would, and let the page ask again."""
    page.wait_for_function("cg.permits('measurement')")  # what it asked before has been answered
    state = page.context.request.get(f"{site.url}/_cg/state?language=en").json()
    known = {name: state[name] for name in ("notice", "language", "nonce")}
    assert page.context.request.post(f"{site.url}/_cg/choice", data=known | choice).ok
    with page.expect_response("**/_cg/state*"):
        page.evaluate("dispatchEvent(new Event('online'))")


def accept(page: Page) -> None:
    with page.expect_response("**/_cg/choice"):
        page.get_by_role("button", name="Accept all").click()


# Engaged time and depth.


def test_engaged_time_is_time_visible_focused_and_active(site: Site, new_page: NewPage) -> None:
    page = new_page()
    frozen(page)
    page.goto(f"{site.url}/page/engaged")
    page.wait_for_function("window.cg?.permits('measurement')")
    run = page.clock.run_for
    page.mouse.move(10, 10)
    run(10_000)  # 10 s
    page.mouse.move(20, 20)
    run(60_000)  # 30 s: then nobody seems to be there
    page.keyboard.press("Shift")
    run(4_000)  # 4 s
    page.evaluate(_FOCUS, False)
    run(7_000)
    page.mouse.move(30, 30)  # over a window that hasn't the focus
    run(7_000)
    page.evaluate(_FOCUS, True)
    run(3_000)  # 3 s
    page.evaluate(_SHOW, False)
    wait_for_rows(site, 1, "/page/engaged", "engagement")  # on two connections the later could come first
    run(9_000)
    page.evaluate(_SHOW, True)
    run(2_000)  # 2 s
    leave(page, site, "engaged")
    told = wait_for_rows(site, 2, "/page/engaged", "engagement")
    assert [row["engaged_ms"] for row in told] == [47_000, 49_000]
    assert len({row["view_id"] for row in told}) == 1, "the last says all, and is of the same view"


def test_the_clock_may_be_set_while_a_page_is_read(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script("const now = Date.now; Date.now = () => now() - 86400e3 * performance.now();")
    arrive(page, f"{site.url}/page/clock")
    page.mouse.move(10, 10)
    leave(page, site, "clock")
    [told] = wait_for_rows(site, 1, "/page/clock", "engagement")
    assert 0 < told["engaged_ms"] < 60_000 and age(told) < 60


@pytest.mark.parametrize(("to", "least", "most"), [("top", 5, 60), ("end", 100, 100)])
def test_scroll_depth(site: Site, new_page: NewPage, to: str, least: int, most: int) -> None:
    page = new_page()
    arrive(page, f"{site.url}/page/{to}")
    page.mouse.move(10, 10)
    if to == "end":
        page.mouse.wheel(0, 9000)
        page.wait_for_function("scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
        page.mouse.wheel(0, -9000)
        page.wait_for_function("scrollY === 0")
    leave(page, site, to)
    [told] = wait_for_rows(site, 1, f"/page/{to}", "engagement")
    assert least <= told.get("scroll_pct", 0) <= most


@pytest.mark.parametrize(("width", "size"), [(360, "sm"), (800, "md"), (1400, "lg")])
def test_the_size_of_the_window(site: Site, new_page: NewPage, width: int, size: str) -> None:
    page = new_page(viewport={"width": width, "height": 700})
    page.goto(f"{site.url}/cached/{size}")
    [view] = wait_for_rows(site, 1, f"/cached/{size}", "page_view")
    assert view["screen"] == size


# The way out.


def test_it_is_sent_by_beacon_when_the_page_goes_out_of_sight(site: Site, new_page: NewPage) -> None:
    page = new_page()
    arrive(page, f"{site.url}/page/beacon")
    page.mouse.move(10, 10)
    requests = sent(page)
    page.evaluate(_SHOW, False)
    wait_for_rows(site, 1, "/page/beacon", "engagement")
    until(page, lambda: bool(requests))  # we hear of it a moment later
    assert [request.resource_type for request in requests] == ["ping"]
    assert requests[0].headers["content-type"].startswith("text/plain")


def test_without_a_beacon_it_is_sent_all_the_same(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script("Navigator.prototype.sendBeacon = () => false")
    arrive(page, f"{site.url}/page/no-beacon")
    page.mouse.move(10, 10)
    leave(page, site, "no-beacon")
    wait_for_rows(site, 1, "/page/no-beacon", "engagement")


def test_on_load_a_page_that_the_server_counted_asks_for_nothing_but_the_three(site: Site, new_page: NewPage) -> None:
    page = new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(site.url)))
    arrive(page, f"{site.url}/page/quiet")
    page.get_by_role("button", name="Accept all").wait_for()
    page.wait_for_timeout(500)  # for a fifth
    assert [url.partition("?")[0].rpartition("/")[0] for url in asked if "_cg" in url] == [
        "/_cg",
        "/_cg",
        "/_cg/notices",
    ]
    assert len(asked) == 4


@pytest.mark.parametrize(("fault", "seconds"), [(503, 7), (429, 7), ("away", 30), ("cut", 30)])
def test_what_could_not_be_taken_is_sent_again(site: Site, new_page: NewPage, fault: int | str, seconds: int) -> None:
    page = new_page()
    frozen(page)
    tries: list[str] = []

    def answer(route: Route) -> None:
        tries.append(route.request.post_data or "")
        if len(tries) > 1:
            route.continue_()
        elif fault == "away":
            route.abort()
        elif fault == "cut":  # taken, but its answer is lost
            route.fetch()
            route.abort()
        else:
            route.fulfill(status=int(fault), headers={"Retry-After": "7"})

    page.route(EVENTS, answer)
    page.goto(f"{site.url}/cached/again-{fault}")
    until(page, lambda: len(tries) == 1)
    page.wait_for_timeout(300)  # the page reads that answer
    page.clock.run_for((seconds - 1) * 1000)
    assert len(tries) == 1
    until(page, lambda: len(tries) == 2, page.clock.run_for)
    [view] = wait_for_rows(site, 1, f"/cached/again-{fault}", "page_view")
    first, second = (json.loads(text)[0] for text in tries)
    assert first["id"] == second["id"] and second["age_ms"] - first["age_ms"] >= seconds * 1000 - 500
    if fault != "cut":  # of which the first is kept: the second is a repeat
        assert age(view) >= seconds - 1
    leave(page, site, f"again-{fault}")
    assert len(recorded(site, f"/cached/again-{fault}", "page_view")) == 1


# When nothing is sent or stored.


def test_nothing_is_stored_on_the_device_before_a_choice_or_after_a_refusal(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.context.add_init_script(_WATCH_STORING)
    arrive(page, f"{site.url}/cached/store?more")
    page.evaluate("cg.event('looked')")
    page.mouse.move(10, 10)
    wait_for_rows(site, 1, "/cached/store", "custom")
    assert page.context.cookies() == [] and page.evaluate("stored") == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    with page.expect_response("**/_cg/choice"):
        page.get_by_role("button", name="Refuse all").click()
    leave(page, site, "store")
    page.evaluate("cg.event('looked')")
    assert [cookie["name"] for cookie in page.context.cookies()] == ["cg"], "the refusal itself, by the server"
    assert page.context.cookies()[0]["httpOnly"]
    assert page.evaluate("stored") == [] and page.evaluate("localStorage.length + sessionStorage.length") == 0


@pytest.mark.parametrize("why", ["Sec-GPC", "DNT", "objection"])
def test_a_signal_or_an_objection_and_nothing_is_sent(
    site: Site, new_context: Callable[..., BrowserContext], why: str
) -> None:
    context = new_context(extra_http_headers={} if why == "objection" else {why: "1"})
    page = context.new_page()
    requests = sent(page)
    if why == "objection":
        assert context.request.post(f"{site.url}/_cg/choice", data={"action": "object"}).ok
    page.add_init_script("document.addEventListener('DOMContentLoaded', () => cg.event('early'))")
    page.goto(f"{site.url}/cached/{why}?more", wait_until="networkidle")
    page.mouse.move(10, 10)
    page.evaluate("cg.event('late')")
    page.goto(f"{site.url}/page/{why}", wait_until="networkidle")
    page.goto("about:blank")
    assert requests == [] and recorded(site, f"/cached/{why}") == recorded(site, f"/page/{why}") == []


def test_an_objection_ends_what_was_going_on(site: Site, new_page: NewPage) -> None:
    page = new_page()
    arrive(page, f"{site.url}/page/ends")
    page.mouse.move(10, 10)
    requests = sent(page)
    choose(page, site, action="object")
    page.wait_for_function("!cg.permits('measurement')")
    page.evaluate("cg.event('late')")
    page.goto("about:blank")
    assert requests == [] and recorded(site, "/page/ends", "engagement") == []


# Custom events.


def test_a_custom_event(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script(
        "document.addEventListener('DOMContentLoaded', () => cg.event('early'))"
    )  # nothing is known yet
    arrive(page, f"{site.url}/page/custom?utm_source=mail&secret=1")
    page.evaluate("cg.event('signup', { plan: 'pro', seats: 3, trial: true, mail: 'ann@example.com' })")
    page.evaluate(
        "cg.event('n'.repeat(99), Object.fromEntries([...Array(30)].map((_, i) => ['key' + i, 'v'.repeat(999)])))"
    )
    rows = wait_for_rows(site, 3, "/page/custom", "custom")
    [view] = recorded(site, "/page/custom", "page_view")
    assert {row["view_id"] for row in rows} == {view["view_id"]}
    props = {row["name"]: row.get("props", {}) for row in rows}
    assert props["early"] == {} and props["signup"] == {"plan": "pro", "seats": "3", "trial": "true", "mail": "*"}
    assert len(rows) == 3 and all(row.get("query") == "utm_source=mail" for row in rows)


# A policy that wants consent for what the script sends.


def test_strict_nothing_is_sent_before_consent_and_then_all_of_it(strict: Site, new_page: NewPage) -> None:
    page = new_page()
    frozen(page)
    requests = sent(page)
    page.goto(f"{strict.url}/cached/held", wait_until="networkidle")
    page.evaluate("cg.event('before')")
    page.clock.run_for(20_000)
    page.evaluate(_SHOW, False)
    page.evaluate(_SHOW, True)
    page.clock.run_for(20_000)
    assert requests == [] and recorded(strict) == []
    accept(page)
    rows = wait_for_rows(strict, 3, "/cached/held")
    assert [row["type"] for row in rows] == ["page_view", "custom", "engagement"]
    assert [round(age(row), -1) for row in rows] == [40, 40, 20]
    for row in rows:  # the data of that time is kept as if there were no consent
        assert (row["consent"], row["purposes"]) == ("unknown", ["measurement"])
        assert "person" not in row and "address" not in row
    page.evaluate("cg.event('after')")
    after = wait_for_rows(strict, 4, "/cached/held")[-1]
    assert (after["name"], after["consent"]) == ("after", "given") and after["person"]


def test_strict_what_was_refused_is_forgotten(strict: Site, new_page: NewPage) -> None:
    page = new_page()
    frozen(page)
    requests = sent(page)
    page.goto(f"{strict.url}/cached/forgotten", wait_until="networkidle")
    page.evaluate("cg.event('before')")
    page.mouse.move(10, 10)
    page.clock.run_for(20_000)
    with page.expect_response("**/_cg/choice"):
        page.get_by_role("button", name="Refuse all").click()
    page.wait_for_selector("cg-choice output:not(:empty)")  # the page has read the answer; its clock stands
    page.evaluate("cg.event('between')")
    page.clock.run_for(10_000)
    assert requests == []
    choose(page, strict, action="accept_all")
    page.wait_for_function("cg.permits('analytics')")
    page.evaluate("cg.event('after')")
    page.mouse.move(20, 20)
    page.clock.run_for(3_000)
    leave(page, strict, "forgotten")
    rows = wait_for_rows(strict, 2, "/cached/forgotten")
    assert sorted(row.get("name", row["type"]) for row in rows) == ["after", "engagement"]
    [told] = [row for row in rows if row["type"] == "engagement"]
    assert told["engaged_ms"] == 3_000


def test_strict_what_is_held_has_a_bound_and_an_end(strict: Site, new_page: NewPage) -> None:
    page = new_page()
    frozen(page)
    page.goto(f"{strict.url}/cached/many", wait_until="networkidle")
    page.evaluate("cg.event('old')")
    page.clock.run_for(30 * 60_000)
    page.evaluate("for (let i = 0; i < 150; i++) cg.event('n' + i)")
    accept(page)
    wait_for_rows(strict, 100, "/cached/many", "custom")
    leave(page, strict, "many")
    rows = recorded(strict, "/cached/many", "custom")
    assert [row["name"] for row in rows[:2]] == ["n0", "n1"] and len(rows) == 100
    assert recorded(strict, "/cached/many", "page_view") == [], "half an hour is the most that is held"


def test_strict_a_page_that_is_left_takes_it_along(strict: Site, new_page: NewPage, tmp_path: Path) -> None:
    page = new_page()
    requests = sent(page)
    page.goto(f"{strict.url}/cached/left", wait_until="networkidle")
    page.mouse.move(10, 10)
    page.goto(f"{strict.url}/page/next", wait_until="networkidle")
    accept(page)
    page.evaluate("cg.event('after')")
    wait_for_rows(strict, 1, "/page/next", "custom")
    until(page, lambda: bool(requests))
    assert recorded(strict, "/cached/left") == []
    assert recorded(strict, "/page/next")[0]["type"] == "page_view", "the server's own"
