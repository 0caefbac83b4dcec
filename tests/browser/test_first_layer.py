"""The first layer: who asks, for what, and three buttons that weigh the same; no choice is made but by choosing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.running import Site

from .conftest import NewPage
from .pages import LANGUAGES
from .visitor import BANNER, CORNER, DIALOG, accept, buttons, on_device, open_dialog, refuse, state, taken, until, visit

THREE = {
    "nl": ["Alles aanvaarden", "Alles weigeren", "Kiezen"],
    "fr": ["Tout accepter", "Tout refuser", "Choisir"],
    "de": ["Alle annehmen", "Alle ablehnen", "Auswählen"],
    "en": ["Accept all", "Refuse all", "Choose"],
}
# everything that gives an element weight: what it measures, and every computed style that could set it apart
_WEIGHT = """(elements) => elements.map((element) => {
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const skipped = /^(perspective-origin|transform-origin)$/;
    return {
        width: Math.round(box.width), height: Math.round(box.height), tag: element.tagName, classes: element.className,
        style: Object.fromEntries([...style].filter((name) => !skipped.test(name) && !/(width|height|size)$/.test(name)
            ).map((name) => [name, style.getPropertyValue(name)])),
        font: style.fontSize + style.fontWeight, tabIndex: element.tabIndex,
    };
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_three_buttons_weigh_the_same(shop: Site, new_page: NewPage, lang: str, scheme: str) -> None:
    page = visit(new_page(color_scheme=scheme, reduced_motion="reduce"), shop, lang=lang)
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 640})
        found: list[dict[str, Any]] = buttons(page).evaluate_all(_WEIGHT)
        assert [text.strip() for text in buttons(page).all_inner_texts()] == THREE[lang]
        assert found[0] == found[1] == found[2], (lang, scheme, width)
        assert found[0]["height"] >= 44 and len(found[0]["style"]) > 200
        boxes = [box for box in (buttons(page).nth(index).bounding_box() for index in range(3)) if box]
        in_a_row = len({round(box["y"]) for box in boxes}) == 1
        in_a_column = len({round(box["x"]) for box in boxes}) == 1
        assert in_a_row or in_a_column, "none has a line of its own"
        assert all(box["y"] >= 0 and box["y"] + box["height"] <= 640 for box in boxes), "none is out of sight"


def test_a_browser_that_is_too_old_for_its_looks_is_asked_nothing(shop: Site, new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script("CSS.supports = () => false")
    page.goto(f"{shop.url}/gated", wait_until="networkidle")
    until(page, "window.cg?.permits('measurement')")
    assert page.evaluate("cg.permits('measurement') && !cg.permits('marketing') && cg.open() === undefined")
    assert page.locator("cg-choice, cg-frame").count() == 0 and not page.evaluate("window.ran")
    page.locator("[data-cg-open]").click()
    page.wait_for_url("**/_cg/privacy*")


def test_it_says_who_asks_for_what_a_sentence_each(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    assert page.inner_text(f"{BANNER} h2") == "Zevenspaak asks for your permission"
    asked = page.locator(f"{BANNER} li").all_inner_texts()
    assert [text.partition(" ")[0] for text in asked] == ["Recognising", "Marketing"]
    assert "Films of others" in asked[1] and all(len(text) < 300 for text in asked)


@pytest.mark.parametrize(
    ("lang", "locale", "shown"),
    [("nl-BE", "fr-BE", "nl"), ("fr", "en-GB", "fr"), ("de-AT", "nl-NL", "de"), ("pl", "fr-BE", "fr"), ("", "de", "de"),
     ("pl", "pl", "en")],
)  # fmt: skip
def test_the_language_of_the_page_then_the_browsers(
    shop: Site, new_page: NewPage, lang: str, locale: str, shown: str
) -> None:
    page = new_page(locale=locale)
    notices: list[str] = []
    page.on("response", lambda answer: notices.append(answer.url) if "/notices/" in answer.url else None)
    with page.expect_response("**/notices/*"):
        visit(page, shop, lang=lang)
    assert buttons(page).first.inner_text() == THREE[shown][0]
    assert page.locator("cg-choice").get_attribute("lang") == shown
    assert len(notices) == 1, "one language is served at a time"
    served = page.evaluate("(url) => fetch(url).then((answer) => answer.json())", notices[0])
    assert page.inner_text(f"{BANNER} li") == " ".join([served["purposes"][1]["name"], served["purposes"][1]["text"]])


def test_accepting_takes_one_click_and_so_does_withdrawing(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    accept(page)
    assert state(page)["purposes"] == {"measurement": True, "analytics": True, "marketing": True}
    visit(page, shop, "/other", shows=CORNER)
    page.locator(f"{CORNER} button", has_text="Withdraw").click()
    until(page, "!cg.permits('analytics')")
    found = state(page)
    assert found["status"] == "withdrawn" and not found["purposes"]["marketing"]
    assert page.locator(f"{CORNER} button").count() == 1, "nothing left to withdraw"


def test_refusing_takes_one_click_and_leaves_no_identifier(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    refuse(page)
    assert state(page)["status"] == "refused"
    value = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "cg")
    assert re.match(r"1~r~\d{4}-\d\d~~", value)
    visit(page, shop, "/other", shows=CORNER)
    assert page.locator(BANNER).count() == 0, "who refused is not asked again"


@pytest.mark.parametrize("way", ["ignore", "escape", "leave the dialog", "scroll", "click beside"])
def test_what_is_no_choice_chooses_nothing(shop: Site, new_page: NewPage, way: str) -> None:
    page = visit(new_page(), shop, "/long")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.url.endswith("/choice") else None)
    if way == "escape":
        buttons(page).first.focus()
        page.keyboard.press("Escape")
        page.wait_for_selector(CORNER)
    elif way == "leave the dialog":
        open_dialog(page).locator("input").first.check()
        page.keyboard.press("Escape")
        page.wait_for_selector(DIALOG, state="detached")
    elif way == "scroll":
        page.mouse.wheel(0, 2000)
    elif way == "click beside":
        page.locator("#first").click(position={"x": 2, "y": 2}, modifiers=["Shift"], no_wait_after=True)
    page.goto(f"{shop.url}/other")
    page.wait_for_selector(BANNER)
    assert posts == [] and state(page)["status"] == "unknown" and on_device(page.context, page) == {}


def test_the_page_stays_usable_behind_it(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(viewport={"width": 390, "height": 844}), shop, "/long")
    page.mouse.wheel(0, 600)
    until(page, "scrollY > 300")
    page.evaluate("scrollTo(0, 0)")
    page.locator("#first").click()
    page.wait_for_url("**/?lang=en")
    assert page.evaluate("getComputedStyle(document.body).overflow") == "visible"
    assert not page.evaluate("document.body.inert")


def test_only_a_persons_click_on_what_they_see_grants(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(reduced_motion="reduce"), shop)  # a banner that still rises can't be seen in full
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.url.endswith("/choice") else None)
    click = "document.querySelector('cg-choice').shadowRoot.querySelectorAll('.three button')[0]"
    page.evaluate(f"{click}.click()")
    page.evaluate(f"{click}.dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))")
    # a person's click that lands on the button although something lies on top of it, or nothing is to be seen
    page.evaluate("document.documentElement.style.opacity = 0")
    buttons(page).first.focus()
    page.keyboard.press("Enter")
    page.evaluate("document.documentElement.style.opacity = ''")
    page.evaluate(
        """() => { const cover = document.createElement('dialog'); cover.append('Win a bicycle!');
        Object.assign(cover.style, { inset: 0, width: '100%', height: '100%', position: 'fixed', zIndex: 2 ** 31 - 1 });
        document.documentElement.append(cover); cover.show(); }"""
    )
    buttons(page).first.focus()
    page.keyboard.press("Enter")
    assert posts == [] and page.locator(BANNER).count() == 1
    page.evaluate("document.querySelector('html > dialog').remove()")
    buttons(page).first.focus()
    page.keyboard.press("Enter")
    until(page, "cg.permits('analytics')")


def test_boxes_ticked_by_a_script_grant_nothing(shop: Site, new_page: NewPage) -> None:
    page: Page = visit(new_page(), shop)
    dialog = open_dialog(page)
    dialog.locator("input").first.evaluate("(box) => { box.checked = true; box.dispatchEvent(new Event('change')); }")
    with taken(page):  # the banner goes before the choice is on record
        dialog.locator(".three button").nth(2).click()
    page.wait_for_selector(CORNER)
    assert state(page)["status"] == "refused"
