"""What the script does to the page that it is in: nothing that can be seen, stored or heard before a choice."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page

from consent_gateway.edge.script import SCRIPT
from tests.running import Site

from .conftest import NewPage
from .visitor import BANNER, CORNER, DIALOG, accept, buttons, on_device, open_dialog, refuse, until, visit

SMALL = 7000  # bytes, gzip: banner, preferences, gates and measurement together
_WATCH = """
    self.shifts = []; self.broken = [];
    new PerformanceObserver((list) => shifts.push(...list.getEntries().map(({ value }) => value))
        ).observe({ type: 'layout-shift', buffered: true });
    document.addEventListener('securitypolicyviolation', (event) => broken.push(event.violatedDirective));
"""


def test_it_is_small() -> None:
    assert len(gzip.compress(SCRIPT, 9)) <= SMALL


def test_from_the_first_byte_nothing_is_stored_and_only_its_own_is_asked(
    shop: Site, new_context: Callable[..., BrowserContext]
) -> None:
    context = new_context()
    page = context.new_page()
    asked: list[str] = []
    stored: list[str] = []
    context.on("request", lambda request: asked.append(request.url.removeprefix(shop.url).partition("?")[0]))
    context.on("response", lambda answer: stored.extend(answer.headers.get("set-cookie", "").split("\n")))
    page.add_init_script(
        """self.written = []; const set = (...what) => { written.push(what); };
        for (const kind of [localStorage, sessionStorage]) kind.__proto__.setItem = set;
        Object.defineProperty(document, 'cookie', { get: () => '', set });"""
    )
    visit(page, shop, "/long")
    buttons(page).nth(2).click()
    page.wait_for_selector(f"{DIALOG}[open]")
    page.keyboard.press("Escape")
    page.mouse.wheel(0, 500)
    until(page, "scrollY > 100")
    ours = [path for path in asked if path.startswith("/_cg/")]
    assert len(ours) == 3 and ours[:2] == ["/_cg/site.js", "/_cg/state"] and ours[2].startswith("/_cg/notices/")
    assert [path for path in asked if not path.startswith("/_cg/")] == ["/long", "/style.css"]
    assert not any(stored) and page.evaluate("written") == [] and on_device(context, page) == {}


def test_what_a_choice_leaves_is_one_cookie_that_no_script_reads(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(), shop)
    accept(page)
    left = on_device(page.context, page)
    assert list(left) == ["cookies"] and [cookie["name"] for cookie in left["cookies"]] == ["cg"]
    assert left["cookies"][0]["httpOnly"] and left["cookies"][0]["sameSite"] == "Lax"


def walk_through(page: Page, shop: Site, path: str) -> None:
    """Every state of it."""
    visit(page, shop, path)
    open_dialog(page).locator("summary").first.click()
    page.keyboard.press("Escape")
    refuse(page)
    open_dialog(page).locator(".three button").first.click()
    page.wait_for_selector(f"{CORNER} button:nth-child(2)")


def test_the_page_does_not_move_and_its_policy_is_kept(shop: Site, new_page: NewPage) -> None:
    faults: list[str] = []
    for width in (360, 1280):
        page = new_page(viewport={"width": width, "height": 700})
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.add_init_script(_WATCH)
        walk_through(page, shop, "/long")
        assert page.evaluate("shifts") == [] and page.evaluate("broken") == [] and faults == []
        before = page.evaluate("document.body.getBoundingClientRect().toJSON()")
        page.evaluate("document.querySelector('cg-choice').remove()")
        assert page.evaluate("document.body.getBoundingClientRect().toJSON()") == before


def test_no_style_of_the_page_reaches_it(shop: Site, new_page: NewPage) -> None:
    look = """(one) => { const style = getComputedStyle(one); const box = one.getBoundingClientRect();
        return [style.color, style.fontSize, style.display, style.opacity, style.margin, style.backgroundColor,
            box.x, box.y, box.width, box.height].join(); }"""
    seen = []
    for path in ("/", "/hostile"):
        page = visit(new_page(reduced_motion="reduce"), shop, path)
        seen.append([page.locator(BANNER).evaluate(look), *[one.evaluate(look) for one in buttons(page).all()]])
        assert page.locator("cg-choice").evaluate("(one) => getComputedStyle(one).opacity") == "1"
        open_dialog(page)
    assert seen[0] == seen[1]


def test_a_bar_on_phones_and_a_card_on_wide_screens(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce"), shop)
    bar = page.locator(BANNER).bounding_box()
    assert bar and (bar["x"], bar["width"]) == (0, 390) and bar["y"] + bar["height"] == 844
    assert bar["height"] < 844 * 0.66, "the page is to be seen"
    page.set_viewport_size({"width": 1280, "height": 800})
    card = page.locator(BANNER).bounding_box()
    assert card and card["x"] == 20 and card["width"] < 540 and card["y"] + card["height"] == 780


def test_a_handful_of_variables_themes_it(shop: Site, new_page: NewPage) -> None:
    page = visit(new_page(color_scheme="dark"), shop)
    colours = "(one) => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]"
    assert page.locator(BANNER).evaluate(colours) == ["rgb(28, 30, 34)", "rgb(241, 242, 244)"]
    page.evaluate(
        """() => { for (const [name, value] of Object.entries({ background: '#fee', text: '#300', button: '#600',
        'button-text': '#fff', radius: '0px' })) document.documentElement.style.setProperty('--cg-' + name, value); }"""
    )
    assert page.locator(BANNER).evaluate(colours) == ["rgb(255, 238, 238)", "rgb(51, 0, 0)"]
    assert buttons(page).nth(1).evaluate(colours) == ["rgb(102, 0, 0)", "rgb(255, 255, 255)"]
    page.evaluate("document.documentElement.style.setProperty('--cg-scheme', 'light')")
    assert page.locator("cg-choice").evaluate("(one) => getComputedStyle(one).colorScheme") == "light"
