"""`make screenshots`: every state of the banner, and the privacy page, as a picture in `screenshots/`, by language,
scheme and width; with text twice as large, and in forced colours.

Three more are of the demo, as the README shows it: its banner twice, and its dashboard. Those of the owners' pages in
every state (`owners`) are in `screenshots/owners/`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.running import ROOT, Site

from . import owners
from .pages import LANGUAGES, POLICY
from .visitor import BANNER, CORNER, DIALOG, buttons, open_dialog, visit

DEMO = str(ROOT / "consent_gateway" / "demo" / "policy.toml")
FOLDER = ROOT / "screenshots"
SCHEMES = ("light", "dark")
WIDTHS = {"narrow": (320, 640), "phone": (390, 844), "wide": (1280, 800)}
Shot = Callable[[str], None]


def take_all(browser: Browser, site: Site, demo: Site) -> None:
    for lang in LANGUAGES:
        for scheme in SCHEMES:
            for name, (width, height) in WIDTHS.items():
                page = open_page(browser, scheme, width, height)
                walk(page, site, lang, partial(save, page, lang, scheme, name))
                page.goto(f"{site.url}/_cg/privacy?language={lang}")
                page.screenshot(path=FOLDER / f"{lang}-{scheme}-{name}-9-privacy.png", full_page=True)
                page.context.close()
                print(f"{lang} {scheme} {name}", flush=True)
        page = open_page(browser, "dark", *WIDTHS["phone"], forced_colors="active")
        walk(page, site, lang, partial(save, page, lang, "forced", "phone"))
        page.context.close()
    for scheme, width, height in (("light", 960, 600), ("dark", 390, 700)):
        page = open_page(browser, scheme, width, height)
        page.goto(demo.url)
        page.wait_for_selector(BANNER)
        save(page, "readme", scheme)


def dashboard(browser: Browser, folder: Path) -> None:
    """The demo's, signed in by its own link, crisp on screens with many pixels."""
    line = [sys.executable, "-c", "from consent_gateway.cli import app; app()", "demo", "--port", "0"]
    plain = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, text=True, env=plain) as demo:
        assert demo.stdout is not None
        links = (re.search(r"Dashboard +(\S+)", told) for told in demo.stdout)
        link = next(found[1] for found in links if found)
        context = browser.new_context(viewport={"width": 1180, "height": 640}, device_scale_factor=2, locale="en-GB")
        page = context.new_page()
        page.goto(link)
        page.wait_for_load_state("networkidle")
        save(page, "readme", "dashboard")
        context.close()
        demo.terminate()


def take_large(browser: Browser, site: Site) -> None:
    """In a browser whose owner set text twice as large."""
    for lang in LANGUAGES:
        page = open_page(browser, "light", *WIDTHS["phone"])
        walk(page, site, lang, partial(save, page, lang, "large", "phone"))
        page.context.close()


def open_page(browser: Browser, scheme: Any, width: int, height: int, **options: Any) -> Page:
    viewport: Any = {"width": width, "height": height}
    return browser.new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce", **options)


def walk(page: Page, site: Site, lang: str, shot: Shot) -> None:
    """Through every state that a visitor meets, in one go."""
    visit(page, site, "/gated", lang=lang)
    page.wait_for_selector("cg-frame")
    shot("1-asking")
    dialog = open_dialog(page)
    shot("2-preferences")
    dialog.locator("summary").first.click()
    dialog.locator("input").first.check()
    shot("3-details")
    dialog.locator("h3").first.scroll_into_view_if_needed()
    dialog.locator(".scroll").evaluate("(one) => { one.scrollTop = one.scrollHeight; }")
    shot("4-objection")
    page.keyboard.press("Escape")
    page.wait_for_selector(DIALOG, state="detached")
    buttons(page).nth(0).focus()
    page.keyboard.press("Tab")
    shot("5-focus")
    buttons(page).nth(1).click()
    page.wait_for_selector("cg-choice output:not(:empty)")
    shot("6-refused")
    open_dialog(page).locator(".three button").first.click()
    page.wait_for_selector(f"{CORNER} button:nth-child(2)")
    page.wait_for_selector("cg-choice output:not(:empty)")
    shot("7-given")
    page.locator(f"{CORNER} button").nth(1).click()
    page.wait_for_selector("cg-choice output button")
    shot("8-withdrawn")


def save(page: Page, *names: str) -> None:
    page.screenshot(path=FOLDER / f"{'-'.join(names)}.png")


def main() -> int:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        print("there is no chromium here: apt install chromium", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as home, sync_playwright() as playwright:
        policy = str(Path(home) / "policy.toml")
        Path(policy).write_text(POLICY)
        options: Any = {"executable_path": path, "args": ["--no-sandbox", "--disable-gpu"]}
        browser = playwright.chromium.launch(**options)
        options["args"].append("--blink-settings=defaultFontSize=32")
        large = playwright.chromium.launch(**options)
        with (
            Site(Path(home) / "shop", "tests.browser.pages:site", BACK_OFFICE="external", POLICY=policy) as site,
            Site(Path(home) / "demo", "consent_gateway.demo.site:site", BACK_OFFICE="external", POLICY=DEMO) as demo,
        ):
            take_all(browser, site, demo)
            take_large(large, site)
        dashboard(browser, Path(home))
        owners.take_all(browser, Path(home) / "owners")
        browser.close()
        large.close()
    print(f"{len(list(FOLDER.rglob('*.png')))} pictures in {FOLDER.name}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
