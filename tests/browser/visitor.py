"""What a visitor does with the banner, and what of it can be watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext, Error, Locator, Page

from tests.running import Site, wait_for

BANNER = "cg-choice .ask"
CORNER = "cg-choice .corner"
DIALOG = "cg-choice dialog"


def until(page: Page, expression: str) -> None:
    """Wait until it is so in the page. (Playwright's own way needs a page whose policy allows `eval`.)"""

    def is_so() -> Any:
        try:
            return page.evaluate(expression)
        except Error as error:  # on the way to another page
            if "context was destroyed" not in str(error):
                raise
            return False

    wait_for(expression, is_so)


def visit(page: Page, site: Site, path: str = "/", lang: str = "en", shows: str = BANNER) -> Page:
    """Open a page, and wait for what the script shows there."""
    page.goto(f"{site.url}{path}{'&' if '?' in path else '?'}lang={lang}")
    page.wait_for_selector(shows)
    return page


def buttons(page: Page) -> Locator:
    """The three of the first layer: accept, refuse, choose."""
    return page.locator(f"{BANNER} .three button")


@contextmanager
def taken(page: Page) -> Iterator[None]:
    """What is done in it ends when the page has taken a state. Before that the page is as it was, whatever the server
    has on record; and a dialog that was opened meanwhile would be closed with it."""
    page.evaluate(
        "self.heard = false; document.addEventListener('cg:change', () => { self.heard = true; }, { once: true })"
    )
    yield
    until(page, "self.heard")


def accept(page: Page) -> None:
    buttons(page).nth(0).click()
    page.wait_for_selector(f"{CORNER} button:nth-child(2)")
    until(page, "cg.permits('analytics')")


def refuse(page: Page) -> None:
    with taken(page), page.expect_response("**/_cg/choice"):
        buttons(page).nth(1).click()
    page.wait_for_selector(CORNER)


def open_dialog(page: Page) -> Locator:
    """The preferences, from whatever stands there."""
    page.locator(f"{BANNER} .three button:nth-child(3), {CORNER} button:nth-child(1)").click()
    page.wait_for_selector(f"{DIALOG}[open]")
    return page.locator(DIALOG)


def state(page: Page) -> dict[str, Any]:
    """What the server says of this browser."""
    found: dict[str, Any] = page.evaluate("fetch('/_cg/state').then((answer) => answer.json())")
    return found


def on_device(context: BrowserContext, page: Page) -> dict[str, Any]:
    """Everything that a page can leave in a browser, by where it lies; empty when it left nothing."""
    found: dict[str, Any] = page.evaluate(
        """async () => ({
            local: Object.keys(localStorage), session: Object.keys(sessionStorage), script: document.cookie,
            databases: (await indexedDB.databases()).map(({ name }) => name),
            caches: self.caches ? await caches.keys() : [],
            workers: navigator.serviceWorker ? (await navigator.serviceWorker.getRegistrations()).length : 0,
        })"""
    )
    return {name: value for name, value in (found | {"cookies": context.cookies()}).items() if value}
