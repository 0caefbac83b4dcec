"""The privacy page in a real browser that runs no script: for everybody, in each language, light and dark, narrow and
wide."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from consent_gateway.config.notices import words
from consent_gateway.config.policy import LANGUAGES
from tests.running import ROOT, Site

from .conftest import NewPage
from .visitor import until

NARROW, WIDE = {"width": 320, "height": 720}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    policy = str(next((ROOT / "examples").glob("*.toml")))
    with Site(tmp_path_factory.mktemp("privacy"), SITE="shop", POLICY=policy) as site:
        site.wait_for("the back office", site.office_answers)
        yield site


def opened(site: Site, new_page: NewPage, language: str = "en", **options: object) -> Page:
    page = new_page(java_script_enabled=False, viewport=WIDE, **options)
    page.goto(f"{site.url}/_cg/privacy?language={language}")
    return page


def press(page: Page, button: str) -> None:
    """A button of a form, until its answer is there: the page before may have said that something is done, too."""
    with page.expect_navigation():
        page.click(button)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_accessible_and_fits(
    site: Site, new_page: NewPage, axe: Callable[[Page], list[str]], language: str, scheme: str
) -> None:
    """WCAG 2.2 AA by axe-core, before and after a grant, with everything unfolded; no sideways scrolling at 320 pixels
    (WCAG 1.4.10)."""
    page = new_page(color_scheme=scheme, viewport=WIDE)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if "Content Security" in message.text else None)
    page.goto(f"{site.url}/_cg/privacy?language={language}")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert axe(page) == []
    press(page, "button[value=accept_all]")
    assert page.inner_text("#done") == words("privacy", language)["done"]["accept_all"]
    for path in ("privacy", "me"):
        page.goto(f"{site.url}/_cg/{path}?language={language}")
        assert axe(page) == [], path
        for size in (NARROW, WIDE):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (path, size)
    assert not faults


def test_every_choice_works_without_a_script(site: Site, new_page: NewPage) -> None:
    page, say = opened(site, new_page), words("privacy", "en")["done"]

    def status() -> str:
        return next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "cg")

    press(page, "button[value=accept_all]")
    assert page.inner_text("#done") == say["accept_all"] and "~g~" in status()
    press(page, "#choices button[value=withdraw]")
    assert page.inner_text("#done") == say["withdraw"] and "~w~" in status()
    press(page, "button[value=object]")
    assert page.inner_text("#done") == say["object"]
    press(page, "button[value=unobject]")
    assert page.inner_text("#done") == say["unobject"]
    for box in page.query_selector_all("input[value=false]"):
        box.check()
    page.check("input[name='purposes.analytics'][value=true]")
    press(page, "button[value=save]")
    assert page.inner_text("#done") == say["save"] and "~analytics~" in status()
    assert page.is_checked("input[name='purposes.analytics'][value=true]")
    press(page, "#choices button[value=withdraw]")
    press(page, "button[value=reject_all]")
    assert page.inner_text("#done") == say["reject_all"]


def test_nothing_is_ticked_beforehand(site: Site, new_page: NewPage) -> None:
    page = opened(site, new_page)
    assert not page.query_selector_all("input:checked")
    looks = [
        page.query_selector(f"button[value={action}]").bounding_box()  # type: ignore[union-attr]
        for action in ("accept_all", "reject_all")
    ]
    assert looks[0]["width"] == looks[1]["width"] and looks[0]["height"] == looks[1]["height"]  # type: ignore[index]


def test_every_right_works_without_a_script(site: Site, new_page: NewPage) -> None:
    page, say = opened(site, new_page, "fr"), words("privacy", "fr")
    press(page, "button[value=accept_all]")
    page.goto(f"{site.url}/page/seen")
    site.forwarded()
    page.goto(f"{site.url}/_cg/privacy?language=fr")
    page.click(f"text={say['show']}")
    assert say["me"]["title"] in page.inner_text("h1") and "/page/seen" in page.inner_text("table >> nth=0")
    page.goto(f"{site.url}/_cg/privacy?language=fr")
    page.fill("#wrong", "Pas à Gand")
    press(page, "form:has(input[value=rectification]) button")
    assert say["done"]["rectification"].partition("{")[0] in page.inner_text("#done")
    press(page, "form:has(input[value=restriction]) button")
    assert say["done"]["restriction"].partition("{")[0] in page.inner_text("#done")
    press(page, "form:has(input[value=lift]) button")
    assert page.inner_text("#done") == say["done"]["lift"]
    page.check("form:has(input[value=erasure]) input[type=checkbox]")
    press(page, "form:has(input[value=erasure]) button")
    assert page.inner_text("#done").startswith((say["done"]["erasure"], say["done"]["erasure_soon"].partition("{")[0]))
    assert "~w~" in next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "cg")


def test_it_can_be_used_with_the_keyboard_alone(site: Site, new_page: NewPage) -> None:
    page = new_page(viewport=WIDE)
    page.goto(f"{site.url}/_cg/privacy?language=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    until(page, "location.hash")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "accept_all"
    page.keyboard.press("Enter")
    page.wait_for_selector("#done")
    assert page.inner_text("#done") == words("privacy", "en")["done"]["accept_all"]
