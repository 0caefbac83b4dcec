"""The browser itself: that it reaches a site here, and that axe-core can find something."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.running import Site

from .conftest import NewPage


def test_a_real_browser_sees_a_real_site(run_site: Callable[..., Site], new_page: NewPage) -> None:
    site = run_site()
    page = new_page()
    page.goto(f"{site.url}/")
    assert page.inner_text("h1") == "A page"


def test_axe_finds_what_is_planted(new_page: NewPage, axe: Callable[[Page], list[str]]) -> None:
    page = new_page()
    page.set_content("<!doctype html><html lang=en><title>x</title><main><h1>x</h1><img src=x></main></html>")
    assert [line for line in axe(page) if line.startswith("image-alt (critical)")]
    page.set_content("<!doctype html><html lang=en><title>x</title><main><h1>x</h1></main></html>")
    assert axe(page) == []
