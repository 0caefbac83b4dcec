"""Scripts and frames of a page wait for their purpose, and are closed again as far as a browser can."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.running import Site

from .conftest import NewPage
from .visitor import CORNER, accept, open_dialog, refuse, state, until, visit


def gated(page: Page, site: Site) -> list[str]:
    """Open the page with gates; what of its gated files is asked for."""
    page.set_viewport_size({"width": 1280, "height": 1200})  # nothing covers the frame
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(site.url)))
    visit(page, site, "/gated")
    page.wait_for_selector("cg-frame")
    return asked


def test_nothing_gated_is_asked_for_before_a_choice_or_after_a_refusal(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    asked = gated(page, shop)
    refuse(page)
    page.reload()
    page.wait_for_selector("cg-frame")
    assert not [path for path in asked if path in ("/one.js", "/two.js", "/three.js", "/never.js", "/framed")]
    assert page.evaluate("window.ran") is None


def test_scripts_run_in_their_order_when_their_purpose_is_permitted(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    asked = gated(page, shop)
    accept(page)
    until(page, "window.ran?.length === 3")
    ran = page.evaluate("window.ran")
    assert [name for name in ran if name != "three"] == ["one", "two"], "modules have an order of their own"
    assert "/never.js" not in asked, "a purpose that the policy does not know is never permitted"
    assert page.locator("script[data-purpose=marketing][type=module]").count() == 1
    page.reload()
    until(page, "window.ran?.length === 3")


def test_what_comes_into_the_page_later_waits_too(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    gated(page, shop)
    add = """(src) => { const script = document.createElement('script'); script.type = 'text/plain';
        script.dataset.purpose = 'marketing'; script.src = src; document.body.append(script); }"""
    page.evaluate(add, "/late.js")
    accept(page)
    until(page, "window.ran?.includes('late')")
    page.evaluate(add, "/later.js")
    until(page, "window.ran?.includes('later')")


def test_after_a_withdrawal_no_more_run_and_the_rest_is_told(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    asked = gated(page, shop)
    accept(page)
    page.wait_for_selector("iframe[src]")
    until(page, "window.ran?.length === 3")
    page.locator(f"{CORNER} button").nth(1).click()
    page.wait_for_selector("cg-frame")
    assert page.locator("iframe").count() == 0, "what was shown is taken out"
    page.wait_for_selector("cg-choice output button")
    page.locator("cg-choice output button", has_text="Load again").click()
    until(page, "window.ran === undefined && window.cg && document.querySelector('cg-frame')")
    assert asked.count("/one.js") == 1


def test_a_placeholder_stands_in_the_frames_place_and_is_as_large(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    gated(page, shop)
    cover = page.locator("cg-frame")
    box = cover.bounding_box()
    assert box and abs(box["width"] - 564) <= 1 and abs(box["height"] - 319) <= 1, "its size and its border"
    assert "127.0.0.1" in cover.locator("p").inner_text() and "Marketing" in cover.locator("p").inner_text()
    after = page.locator("span", has_text="After the film").bounding_box()
    cover.locator("button").first.click()
    page.frame_locator("iframe").locator("h1").wait_for()
    assert page.locator("span", has_text="After the film").bounding_box() == after, "nothing moves"
    page.set_viewport_size({"width": 320, "height": 700})
    page.reload()
    page.wait_for_selector("cg-frame")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_show_once_grants_nothing_and_is_forgotten(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    asked = gated(page, shop)
    page.locator("cg-frame button").first.click()
    page.frame_locator("iframe").locator("h1").wait_for()
    assert "/framed" in asked and "/_cg/choice" not in asked and state(page)["status"] == "unknown"
    assert page.evaluate("window.ran") is None
    page.reload()
    page.wait_for_selector("cg-frame")


def test_always_grants_this_purpose_and_no_other(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    gated(page, shop)
    page.evaluate("document.querySelector('cg-frame').shadowRoot.querySelectorAll('button')[1].click()")
    assert state(page)["status"] == "unknown", "a script's click is nobody's"
    page.locator("cg-frame button").nth(1).click()
    page.frame_locator("iframe").locator("h1").wait_for()
    until(page, "cg.permits('marketing')")
    assert state(page)["purposes"] == {"measurement": True, "analytics": False, "marketing": True}
    assert open_dialog(page).get_by_label("Marketing").is_checked()
