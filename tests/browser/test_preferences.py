"""The preferences: a real dialog, each purpose in full, nothing ticked, the objection under its own heading."""

from __future__ import annotations

import pytest

from tests.running import Site

from .conftest import NewPage
from .pages import LANGUAGES
from .visitor import BANNER, CORNER, DIALOG, accept, open_dialog, refuse, state, until, visit


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_purpose_is_there_in_full(shop: Site, new_page: NewPage, lang: str) -> None:
    page = visit(new_page(), shop, lang=lang)
    dialog = open_dialog(page)
    assert dialog.evaluate("(dialog) => dialog instanceof HTMLDialogElement && dialog.matches(':modal')")
    for details in dialog.locator("details").all():
        details.locator("summary").click()
    notice = page.evaluate(
        "async (lang) => fetch('/_cg/notices/' + (await (await fetch('/_cg/state?language=' + lang)).json()).notice"
        ").then((answer) => answer.json())",
        lang,
    )
    parts = dialog.locator(".purpose").all_inner_texts()
    for purpose in notice["purposes"]:
        part = next(text for text in parts if purpose["text"] in text)
        told = [purpose["basis_name"], purpose["retention"], *purpose["data"]]
        told += [cookie["name"] for cookie in purpose["cookies"]] + [one["name"] for one in purpose["services"]]
        assert [words for words in told if words not in part] == []
    assert len(parts) == len(notice["purposes"])
    assert dialog.locator("h3").first.inner_text() == notice["words"]["object_title"]


def test_nothing_is_ticked_before_a_choice(shop: Site, new_page: NewPage) -> None:
    dialog = open_dialog(visit(new_page(), shop))
    boxes = dialog.locator("input[type=checkbox]")
    assert boxes.count() == 3 and not any(box.is_checked() for box in boxes.all())


def test_one_purpose_alone_can_be_allowed_and_taken_back(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    open_dialog(page).get_by_label("Marketing").check()
    page.locator(f"{DIALOG} .three button").nth(2).click()
    until(page, "cg.permits('marketing')")
    assert state(page)["purposes"] == {"measurement": True, "analytics": False, "marketing": True}
    dialog = open_dialog(page)
    assert dialog.get_by_label("Marketing").is_checked()
    dialog.get_by_label("Marketing").uncheck()
    dialog.locator(".three button").nth(2).click()
    until(page, "!cg.permits('marketing')")
    assert state(page)["status"] == "withdrawn"


def test_the_objection_stands_apart_and_goes_with_any_button(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    for index, granted in ((1, False), (0, True)):
        dialog = open_dialog(page)
        dialog.get_by_label("I object").set_checked(not granted)
        dialog.locator(".three button").nth(index).click()
        page.wait_for_selector(f"{CORNER} button:nth-child({2 if granted else 1})")
        until(page, f"cg.permits('measurement') === {str(granted).lower()}")
        found = state(page)
        assert found["objection"] is not granted and found["purposes"]["marketing"] is granted


def test_an_objection_alone_is_no_choice_about_the_rest(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    accept(page)
    dialog = open_dialog(page)
    dialog.get_by_label("I object").check()
    dialog.locator(".three button").nth(2).click()
    until(page, "!cg.permits('measurement')")
    assert state(page)["purposes"] == {"measurement": False, "analytics": True, "marketing": True}


def test_the_three_buttons_of_the_dialog_weigh_the_same(shop: Site, new_page: NewPage) -> None:
    dialog = open_dialog(visit(new_page(reduced_motion="reduce"), shop))
    page = dialog.page
    page.mouse.move(0, 0)
    found = dialog.locator(".three button").evaluate_all(
        """(all) => all.map((one) => [one.offsetWidth, one.offsetHeight, getComputedStyle(one).backgroundColor,
        getComputedStyle(one).color, getComputedStyle(one).font])"""
    )
    assert found[0] == found[1] == found[2]


def test_a_small_permanent_button_brings_it_back_on_every_page(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    refuse(page)
    for path in ("/", "/other", "/long"):
        visit(page, shop, path, shows=CORNER)
        box = page.locator(f"{CORNER} button").bounding_box()
        assert box and box["height"] >= 44 and box["width"] < 140
        assert open_dialog(page).locator(".now").inner_text().startswith("You refused.")
        page.keyboard.press("Escape")


def test_a_links_own_address_is_the_way_without_the_script(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    page.locator("[data-cg-open]").click()
    page.wait_for_selector(f"{DIALOG}[open]")
    plain = new_page(java_script_enabled=False)
    plain.goto(f"{shop.url}/")
    assert plain.locator("cg-choice").count() == 0
    assert plain.locator("[data-cg-open]").get_attribute("href") == "/_cg/privacy"


def test_a_signal_of_the_browser_is_followed_and_said(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(extra_http_headers={"Sec-GPC": "1"}), shop, shows=CORNER)
    assert page.locator(BANNER).count() == 0, "it has answered already"
    dialog = open_dialog(page)
    assert "Your browser says" in dialog.locator(".now").inner_text()
    assert dialog.get_by_label("I object").is_checked()
