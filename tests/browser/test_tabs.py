"""One visitor, one truth: the script's interface, several tabs, pages that come back, and a server that is away."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from playwright.sync_api import APIResponse, Browser, BrowserContext, Page, Route

from consent_gateway.edge.script import STATIC
from tests.running import Site, wait_for

from .conftest import NewPage
from .visitor import BANNER, CORNER, DIALOG, accept, buttons, on_device, open_dialog, refuse, state, taken, until, visit


def test_a_sites_own_scripts_may_ask_and_are_told(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script("document.addEventListener('cg:change', (event) => (self.told ||= []).push(event.detail))")
    visit(page, shop)
    assert page.evaluate("[cg.permits('measurement'), cg.permits('analytics'), cg.permits('constructor')]") == [
        True, False, False,
    ]  # fmt: skip
    accept(page)
    assert page.evaluate("cg.withdraw()") == "sent"
    assert page.evaluate("[cg.permits('measurement'), cg.permits('analytics')]") == [True, False]
    told = page.evaluate("told")
    assert [one["status"] for one in told] == ["unknown", "given", "withdrawn"]
    assert told[1]["purposes"] == {"measurement": True, "analytics": True, "marketing": True}
    assert set(told[0]) == {"status", "purposes", "objection"}
    page.evaluate("cg.open()")
    page.wait_for_selector(f"{DIALOG}[open]")


def test_tabs_agree(shop: Site, new_context: Callable[..., BrowserContext]) -> None:
    context = new_context()
    one, other = visit(context.new_page(), shop), visit(context.new_page(), shop, "/gated")
    accept(one)
    other.wait_for_selector(CORNER)
    until(other, "cg.permits('marketing') && window.ran?.length === 3")
    other.evaluate("cg.withdraw()")
    until(one, "!cg.permits('marketing')")
    assert one.locator(f"{CORNER} button").count() == 1


def test_what_was_asked_before_a_choice_brings_nothing_back(
    shop: Site, new_context: Callable[..., BrowserContext]
) -> None:
    """A withdrawal while the page asks where its visitor stands; the answer is the old one and comes last."""
    context = new_context()
    page = visit(context.new_page(), shop)
    accept(page)
    other = visit(context.new_page(), shop, shows=CORNER)
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/_cg/state*", lambda route: held.append((route, route.fetch())))
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_for("the question to be under way", lambda: page.evaluate("true") and held)
    assert page.evaluate("cg.withdraw()") == "sent"
    route, answer = held[0]
    assert answer.json()["purposes"]["analytics"] is True
    with page.expect_response("**/_cg/state*"):
        route.fulfill(response=answer)
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))")
    assert not page.evaluate("cg.permits('analytics')")
    until(other, "!cg.permits('analytics')")


def test_a_page_from_the_back_forward_cache_shows_the_truth(shop: Site, browser: Browser) -> None:
    """In a browser that has that cache: Playwright starts its own without."""
    options: dict[str, Any] = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox", "--disable-gpu"]}
    with browser.browser_type.launch(**options, ignore_default_args=["--disable-back-forward-cache"]) as real:
        context = real.new_context()
        page = context.new_page()
        page.add_init_script("addEventListener('pageshow', ({ persisted }) => { self.cameBack = persisted; })")
        visit(page, shop)
        visit(page, shop, "/other")
        refuse(page)
        page.evaluate("history.back()")
        until(page, "self.cameBack === true && location.pathname === '/'")
        page.wait_for_selector(CORNER)
        assert page.locator(BANNER).count() == 0, "what it showed when it was left is no longer true"
        other = visit(context.new_page(), shop, shows=CORNER)
        open_dialog(other).locator(".three button").first.click()
        until(page, "cg.permits('marketing')")  # it hears the other tabs again


def away(route: Route) -> None:
    route.abort("connectionfailed")


def kept(page: Page) -> list[dict[str, object]]:
    found = [cookie for cookie in page.context.cookies() if cookie["name"] == "cg-later"]
    assert all(cookie["expires"] == -1 for cookie in found), "it ends with the session"
    value: list[dict[str, object]] = json.loads(unquote(found[0]["value"])) if found else []
    return value


def until_kept(page: Page, *choices: dict[str, object]) -> None:
    """A browser's other process holds its cookies, and hears of a new one a moment after the page wrote it."""
    wait_for(f"the cookie to keep {choices}", lambda: kept(page) == list(choices))


def test_a_refusal_that_cant_be_sent_counts_and_is_sent_again(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    accept(page)
    page.route("**/_cg/choice", away)
    page.locator(f"{CORNER} button").nth(1).click()
    page.wait_for_selector("cg-choice output:has-text('could not be reached')")
    assert not page.evaluate("cg.permits('analytics')")
    until_kept(page, {"action": "withdraw"})
    seen = page.evaluate("fetch('/_cg/state').then((answer) => answer.json())")
    assert (seen["status"], seen["ask"]) == ("refused", False), "the server reads it as a refusal"
    page.goto(f"{shop.url}/other")
    page.wait_for_load_state("networkidle")
    assert kept(page), "still away"
    page.unroute("**/_cg/choice")
    page.goto(f"{shop.url}/")
    page.wait_for_selector(CORNER)
    until_kept(page)
    assert state(page)["status"] == "withdrawn"


def test_a_load_reads_no_cookie_unless_a_choice_waits(shop: Site, new_page: NewPage) -> None:
    """It would wait for the browser's other process."""
    page = new_page()
    page.add_init_script(
        """const { get, set } = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
        self.read = 0;
        Object.defineProperty(document, "cookie", { get() { self.read++; return get.call(this); }, set });"""
    )
    visit(page, shop)
    assert page.evaluate("read") == 0
    value = quote(json.dumps([{"action": "reject_all"}]))
    page.context.add_cookies([{"name": "cg-later", "value": value, "url": shop.url}])
    visit(page, shop, shows=CORNER)
    until_kept(page)
    assert page.evaluate("read") > 0 and state(page)["status"] == "refused"


def test_it_is_sent_again_when_the_line_is_back(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    page.context.set_offline(True)
    dialog = open_dialog(page)
    dialog.get_by_label("I object").check()
    dialog.locator(".three button").nth(1).click()
    page.wait_for_selector(CORNER)
    until_kept(page, {"action": "reject_all"}, {"action": "object"})
    page.route(
        "**/_cg/choice", lambda route: away(route) if "object" in (route.request.post_data or "") else route.continue_()
    )
    page.context.set_offline(False)
    wait_for("the first to be sent", lambda: kept(page) == [{"action": "object"}])
    page.unroute("**/_cg/choice")
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_for("both to be sent", lambda: kept(page) == [] and state(page)["objection"] is True)


def test_a_grant_that_cant_be_recorded_does_not_count_and_is_told(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    page.route("**/_cg/choice", lambda route: route.fulfill(status=503))
    buttons(page).first.click()
    page.wait_for_selector("cg-choice output:has-text('Please try again')")
    assert page.locator(BANNER).count() == 1, "asked again"
    assert not page.evaluate("cg.permits('analytics')") and on_device(page.context, page) == {}
    page.unroute("**/_cg/choice")
    accept(page)
    assert state(page)["status"] == "given"


def test_the_kept_choice_holds_nothing_that_tells_one_from_another(shop: Site, new_page: NewPage) -> None:
    values = set()
    for _ in range(2):
        page = visit(new_page(), shop)
        page.route("**/_cg/choice", away)
        buttons(page).nth(1).click()
        page.wait_for_selector(CORNER)
        wait_for("the choice to be kept", lambda page=page: kept(page))  # type: ignore[misc]
        values.add(json.dumps(kept(page)))
    assert values == {'[{"action": "reject_all"}]'}


def test_without_a_gateway_the_page_goes_on_without_a_banner(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.route("**/_cg/state*", lambda route: route.fulfill(status=503))
    page.goto(f"{shop.url}/")
    until(page, "window.cg")
    assert not page.evaluate("cg.permits('measurement')") and page.evaluate("cg.open()") is None
    page.unroute("**/_cg/state*")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_selector(BANNER)
    refuse(page)
    assert faults == []


def test_what_has_the_focus_or_is_half_filled_in_stays(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    focus = "document.querySelector('cg-choice').shadowRoot.activeElement?.textContent"
    with page.expect_response("**/_cg/state*"):
        page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(focus) == "Refuse all"
    dialog = open_dialog(page)
    dialog.get_by_label("Marketing").check()
    with page.expect_response("**/_cg/state*"):
        page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_load_state("networkidle")
    assert dialog.get_by_label("Marketing").is_checked()


def test_a_page_in_a_frame_asks_nothing(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop, "/around")
    inner = page.frames[1]
    inner.wait_for_load_state("networkidle")
    wait_for("the frame to ask", lambda: inner.evaluate("window.cg?.permits('measurement')"))
    assert inner.locator("cg-choice").count() == 0
    accept(page)
    wait_for("the frame to hear of it", lambda: inner.evaluate("cg.permits('marketing')"))


def test_the_types_name_what_there_is(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    typed = re.findall(r"^  (\w+)\(", (STATIC / "site.d.ts").read_text(), re.MULTILINE)
    assert sorted(page.evaluate("Object.keys(cg)")) == sorted(typed)


def test_a_notice_that_could_not_be_had_is_asked_for_again(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    page.route("**/_cg/notices/*", away)
    with page.expect_event("requestfailed", lambda request: "/_cg/notices/" in request.url):
        page.goto(f"{shop.url}/")
    until(page, "window.cg?.permits('measurement')")
    page.wait_for_load_state("networkidle")
    assert page.locator("cg-choice").count() == 0, "nobody is asked without the words"
    page.unroute("**/_cg/notices/*")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_selector(BANNER)


def test_a_page_that_was_open_too_long_can_still_choose(shop: Site, new_page: NewPage) -> None:
    page = new_page()

    def too_old(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"nonce": "too-old"})

    page.route("**/_cg/state*", too_old)
    visit(page, shop)
    page.unroute("**/_cg/state*")
    with taken(page):  # what it asks for when that did not count
        buttons(page).first.click()
        page.wait_for_selector("cg-choice output:has-text('Please try again')")
    accept(page)


def test_what_the_server_cant_take_any_more_is_a_withdrawal(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    accept(page)
    value = quote(json.dumps([{"action": "save", "purposes": {"gone": False}}]))
    page.context.add_cookies([{"name": "cg-later", "value": value, "url": shop.url}])
    visit(page, shop, shows=CORNER)
    until_kept(page)
    assert state(page)["status"] == "withdrawn"
