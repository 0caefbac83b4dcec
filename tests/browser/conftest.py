"""A real Chromium for the tests of this folder: Debian's, driven by Playwright. With CI=true a missing one fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser import pages
from tests.browser.axe import findings
from tests.running import Site

# an ordinary browser's: a headless one's counts as a program's, which reports leave out
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-domain-reliability", "--no-default-browser-check",
    f"--user-agent={USER_AGENT}",  # that of a context is not sent with a beacon of a page that ends
]  # fmt: skip
_SECONDS = 60.0  # a loaded machine takes its time
expect.set_options(timeout=_SECONDS * 1000)  # 5 s otherwise

NewPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker("browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module's tests; each opens contexts of its own, which share nothing.

    Not for the session: the driver keeps an event loop running in this thread, and other tests want theirs.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        words = "there is no chromium here: apt install chromium"
        pytest.fail(words) if os.environ.get("CI") == "true" else pytest.skip(words)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """`new_context(locale="nl-BE", color_scheme="dark")`: a browser profile of its own, closed at the end."""
    opened: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{"user_agent": USER_AGENT, "locale": "en-GB"} | options)
        context.set_default_timeout(_SECONDS * 1000)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()


@pytest.fixture
def new_page(new_context: Callable[..., BrowserContext]) -> NewPage:
    """A page in a context of its own, with that context's options."""
    return lambda **options: new_context(**options).new_page()


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """`axe(page)`: what axe-core finds against WCAG 2.2 AA and its best practices; empty when nothing."""
    return findings


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site of `pages.py`, with a policy that has one purpose more; for tests that leave nothing behind."""
    home = tmp_path_factory.mktemp("shop")
    (home / "policy.toml").write_text(pages.POLICY)
    with Site(home, app="tests.browser.pages:site", BACK_OFFICE="external", POLICY=str(home / "policy.toml")) as site:
        yield site
