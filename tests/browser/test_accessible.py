"""WCAG 2.2 AA: axe-core finds nothing, a keyboard does everything, and the banner hides nothing that has the focus."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.running import Site

from .conftest import NewPage
from .pages import LANGUAGES
from .visitor import BANNER, CORNER, DIALOG, accept, buttons, open_dialog, taken, visit

_INSIDE = "document.querySelector('cg-choice').shadowRoot"
_FOCUS = f"({_INSIDE}.activeElement || document.activeElement)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_axe_finds_nothing_in_any_state(
    shop: Site, new_page: NewPage, axe: Callable[[Page], list[str]], lang: str, scheme: str
) -> None:
    page = visit(new_page(color_scheme=scheme, reduced_motion="reduce"), shop, "/gated", lang=lang)
    page.wait_for_selector("cg-frame")
    assert axe(page) == [], "asking, with a frame that waits"
    dialog = open_dialog(page)
    for summary in dialog.locator("summary").all():
        summary.click()
    assert axe(page) == [], "the preferences"
    dialog.locator(".three button").nth(1).click()
    page.wait_for_selector("cg-choice output:not(:empty)")
    assert axe(page) == [], "refused, and said so"
    open_dialog(page).locator(".three button").nth(0).click()
    page.wait_for_selector(f"{CORNER} button:nth-child(2)")
    page.wait_for_selector("iframe[src]")
    assert axe(page) == [], "given"


def test_axe_looks_into_the_shadow(shop: Site, new_page: NewPage, axe: Callable[[Page], list[str]]) -> None:
    page = visit(new_page(), shop)
    page.evaluate(f"{_INSIDE}.querySelector('.three button').textContent = ''")
    assert any(line.startswith("button-name (critical)") for line in axe(page))


def test_roles_and_names(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    assert page.get_by_role("region", name="Privacy").count() == 1
    open_dialog(page)
    assert page.get_by_role("dialog", name="Your privacy choices").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector(DIALOG, state="detached")
    with page.expect_response("**/_cg/choice"):
        buttons(page).nth(1).click()
    page.get_by_role("status").filter(has_text=re.compile(r"^You refused\.")).wait_for()  # the words go after 8 s


def test_a_keyboard_meets_it_first_and_does_everything(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    for expected in ("Accept all", "Refuse all", "Choose"):
        page.keyboard.press("Tab")
        assert page.evaluate(f"{_FOCUS}.textContent") == expected
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{DIALOG}[open]")
    for _ in range(40):  # all round: a modal dialog keeps the focus (the browser's own controls are a stop too)
        page.keyboard.press("Tab")
        assert page.evaluate(f"!document.hasFocus() || {_INSIDE}.activeElement?.closest('dialog') != null || "
                             "document.activeElement === document.body")  # fmt: skip
    page.keyboard.press("Escape")
    page.wait_for_selector(DIALOG, state="detached")
    assert page.evaluate(f"{_FOCUS}.textContent") == "Choose", "the focus returns to where it came from"
    page.keyboard.press("Shift+Tab")
    with taken(page):
        page.keyboard.press("Enter")
    page.wait_for_selector(CORNER)
    assert page.evaluate(f"{_FOCUS}.textContent") == "Privacy", "and is not lost with the button that was pressed"
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{DIALOG}[open]")


@pytest.mark.parametrize("width", [360, 1280])
def test_what_has_the_focus_is_never_hidden(shop: Site, new_page: NewPage, width: int) -> None:
    page = visit(new_page(viewport={"width": width, "height": 700}), shop, "/long")
    page.locator("#first").focus()
    hidden = f"""() => {{
        const a = document.activeElement.getBoundingClientRect();
        const b = {_INSIDE}.querySelector('section').getBoundingClientRect();
        return a.top < b.bottom && a.bottom > b.top && a.left < b.right && a.right > b.left
            || a.bottom > innerHeight || a.top < 0; }}"""
    for _ in range(43):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "A":
            assert not page.evaluate(hidden), page.evaluate("document.activeElement.outerHTML")


def test_the_last_link_of_a_page_gets_room(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(viewport={"width": 360, "height": 700}), shop, "/long")
    page.locator("#last").focus()
    above = f"document.activeElement.getBoundingClientRect().bottom <= {_INSIDE}.querySelector('section').offsetTop"
    assert page.evaluate("document.activeElement.id") == "last" and page.evaluate(above)
    accept(page)
    assert page.evaluate("document.documentElement.style.paddingBottom") == "", "and gives it back"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_targets_are_44_pixels_and_it_fits_320(shop: Site, new_page: NewPage, lang: str) -> None:
    page = visit(new_page(viewport={"width": 320, "height": 568}, reduced_motion="reduce"), shop, lang=lang)
    small = """(root) => [...root.querySelectorAll('button, a, summary, label')].filter((one) => {
        const { width, height } = one.getBoundingClientRect(); return width < 44 || height < 44;
    }).map((one) => one.outerHTML)"""
    wide = """(root) => [...root.querySelectorAll('*')].filter((one) => one.scrollWidth > one.clientWidth + 1 &&
        one.clientWidth && getComputedStyle(one).display !== 'inline').map((one) => one.outerHTML.slice(0, 200))"""
    for shown in (BANNER, DIALOG, CORNER):
        if shown == DIALOG:
            open_dialog(page)
        if shown == CORNER:
            page.locator(f"{DIALOG} .three button").nth(0).click()
            page.wait_for_selector(f"{CORNER} button:nth-child(2)")
        root = page.locator(shown)
        assert root.evaluate(small) == [] and root.evaluate(wide) == [], shown
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_page_magnified_four_times_reaches_everything(shop: Site, new_page: NewPage) -> None:
    """A window of 1280 by 1024 at 400 % is one of 320 by 256 (WCAG 1.4.10)."""
    page = visit(new_page(viewport={"width": 320, "height": 256}, reduced_motion="reduce"), shop, "/long")
    box = page.locator(BANNER).bounding_box()
    assert box and box["height"] <= 256 * 0.8, "the page is still to be seen"
    for button in [*buttons(page).all(), *open_dialog(page).locator("input, .three button").all()]:
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box and box["y"] >= 0 and box["y"] + box["height"] <= 256
    page.locator(f"{DIALOG} .three button").nth(2).click()
    page.wait_for_selector(CORNER)


def test_text_may_be_twice_as_large(shop: Site, browser: Browser) -> None:
    """By the size that a person set in the browser, which also a page's own `html` rule does not touch."""
    options: dict[str, Any] = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox", "--disable-gpu"]}
    options["args"].append("--blink-settings=defaultFontSize=32")
    with browser.browser_type.launch(**options) as large:
        page = visit(large.new_page(viewport={"width": 640, "height": 700}, reduced_motion="reduce"), shop)
        assert page.locator(f"{BANNER} p").first.evaluate("(p) => getComputedStyle(p).fontSize") == "30px"
        for shown in (BANNER, DIALOG):
            for button in page.locator(f"{shown} .three button").all():
                button.scroll_into_view_if_needed()
                box = button.bounding_box()
                assert box and box["x"] >= 0 and box["x"] + box["width"] <= 640 and 0 <= box["y"] <= 700 - 44
                assert button.evaluate("(one) => one.scrollWidth <= one.clientWidth")
            if shown == BANNER:
                open_dialog(page)


def test_forced_colours_keep_edges_and_focus(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(forced_colors="active"), shop)
    edges = buttons(page).evaluate_all("(all) => all.map((one) => getComputedStyle(one).borderTopColor)")
    assert len(set(edges)) == 1 and "rgba(0, 0, 0, 0)" not in edges
    page.keyboard.press("Tab")
    border, outline = buttons(page).first.evaluate(
        "(one) => [getComputedStyle(one).borderTopStyle, getComputedStyle(one).outlineStyle]"
    )
    assert (border, outline) == ("solid", "solid")


def test_reduced_motion_is_honoured(shop: Site, new_page: NewPage) -> None:
    moving = "(one) => getComputedStyle(one).animationName"
    assert visit(new_page(), shop).locator(BANNER).evaluate(moving) == "rise"
    assert visit(new_page(reduced_motion="reduce"), shop).locator(BANNER).evaluate(moving) == "none"
