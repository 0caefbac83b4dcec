"""Page views in a real browser: each visit is written once, by the server or by the script, whatever lies between."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.running import Site

from .conftest import ARGUMENTS, USER_AGENT
from .measured import arrive, by_server, leave, recorded, wait_for_rows, within_a_day

HOST = "shop.example"  # not a secure context, as 127.0.0.1 is


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), "tests.browser.measured:site", BACK_OFFICE="external") as site:
        yield site


@pytest.fixture(scope="module")
def whole_browser(browser: Browser) -> Iterator[Browser]:
    """A Chromium with what Playwright turns off (back-forward cache, pages loaded ahead), and with a host of ours."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    chromium = browser.browser_type.launch(
        executable_path=path,
        args=[*ARGUMENTS, f"--host-resolver-rules=MAP {HOST} 127.0.0.1"],
        ignore_default_args=["--disable-back-forward-cache", "--disable-features=Prerender2"],
    )
    yield chromium
    chromium.close()


@pytest.fixture
def page(whole_browser: Browser) -> Iterator[Page]:
    context = whole_browser.new_context(user_agent=USER_AGENT)
    yield context.new_page()
    context.close()


def views(site: Site, path: str, count: int) -> list[dict[str, Any]]:
    """Exactly so many views of the path: the next page that is visited comes behind all that was sent."""
    rows = wait_for_rows(site, count, path, "page_view")
    assert len(rows) == count, rows
    assert len({row["view_id"] for row in rows}) == count
    return rows


def test_a_page_is_counted_by_the_server_and_what_it_says_of_it_belongs_to_that_view(page: Page, site: Site) -> None:
    within_a_day()
    arrive(page, f"{site.url}/page/plain")
    page.mouse.move(40, 40)
    page.mouse.wheel(0, 900)
    page.wait_for_function("scrollY > 500")
    leave(page, site, "plain")
    [view] = views(site, "/page/plain", 1)
    assert by_server(view)
    [told] = wait_for_rows(site, 1, "/page/plain", "engagement")
    assert told["view_id"] == view["view_id"] and told["visitor"] == view["visitor"]
    assert told["engaged_ms"] > 0 and 20 < told["scroll_pct"] < 100 and told["screen"] == "lg"


def test_a_page_that_a_shared_cache_may_keep_is_counted_by_the_script(page: Page, site: Site) -> None:
    within_a_day()
    for times in (1, 2):  # the second comes out of the browser's own cache
        page.goto(f"{site.url}/page/other", referer="https://search.example/find")
        page.evaluate("location.href = '/cached/shared'")
        page.wait_for_url("**/cached/shared")
        rows = wait_for_rows(site, times, "/cached/shared", "page_view")
    leave(page, site, "shared")
    rows = views(site, "/cached/shared", 2)
    assert not any(map(by_server, rows)) and rows[0]["visitor"] == rows[1]["visitor"]
    assert rows[0]["screen"] == "lg" and rows[0]["channel"] == "internal"


def test_a_page_out_of_the_browsers_cache_is_a_view_of_its_own(page: Page, site: Site) -> None:
    """Though it carries the id of the view that the server wrote when it was sent."""
    page.goto(f"{site.url}/kept/again", wait_until="networkidle")
    leave(page, site, "kept")
    page.evaluate("location.href = '/kept/again'")
    wait_for_rows(site, 2, "/kept/again", "page_view")
    leave(page, site, "again")
    assert list(map(by_server, views(site, "/kept/again", 2))) == [True, False]


def test_a_page_that_was_asked_for_anew_is_the_servers_again(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/any/anew", wait_until="networkidle")
    page.reload(wait_until="networkidle")
    leave(page, site, "anew")
    assert all(map(by_server, views(site, "/any/anew", 2)))


def test_a_page_out_of_the_back_forward_cache_is_a_view_of_its_own(page: Page, site: Site) -> None:
    arrive(page, f"{site.url}/page/back")
    page.evaluate("addEventListener('pageshow', ({ persisted }) => { window.wasKept = persisted })")
    page.mouse.move(50, 50)
    leave(page, site, "back")
    page.evaluate("history.back()")
    page.wait_for_url("**/page/back", wait_until="commit")
    page.wait_for_function("window.wasKept")
    wait_for_rows(site, 2, "/page/back", "page_view")
    page.mouse.move(80, 80)
    leave(page, site, "back-again")
    first, second = views(site, "/page/back", 2)
    assert by_server(first) and not by_server(second) and second["channel"] == "internal"
    told = wait_for_rows(site, 2, "/page/back", "engagement")
    assert [row["view_id"] for row in told] == [first["view_id"], second["view_id"]]


@pytest.mark.parametrize("kind", ["prefetch", "prerender"])
def test_a_page_that_was_loaded_ahead_is_a_view_when_it_is_shown(page: Page, site: Site, kind: str) -> None:
    page.goto(f"{site.url}/{kind}/{kind}", wait_until="networkidle")
    path = f"/any/{kind}"
    site.wait_for("the page to be loaded ahead", lambda: f"GET {path} " in site.log())
    leave(page.context.new_page(), site, f"{kind}-waits")
    assert not recorded(site, path)
    page.evaluate(f"location.href = '{path}'")
    page.wait_for_url(f"**{path}")
    [view] = wait_for_rows(site, 1, path, "page_view")
    leave(page, site, kind)
    views(site, path, 1)
    assert not by_server(view) and site.log().count(f"GET {path} ") == 1


@pytest.mark.parametrize("path", ["/nothing/here", "/missing"])
def test_an_error_is_no_view(page: Page, site: Site, path: str) -> None:
    page.goto(f"{site.url}{path}", wait_until="networkidle")
    leave(page, site, path.rpartition("/")[2])
    assert [row["type"] for row in recorded(site, path) if row["type"] != "custom"] == ["page_error"]


def test_an_answer_to_a_form_is_no_view(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/page/with-form")
    page.click("#contact button")
    page.wait_for_url("**/form")
    page.wait_for_load_state("networkidle")
    leave(page, site, "form")
    assert recorded(site, "/form") == []


def test_where_the_servers_word_cannot_be_read_a_view_is_not_counted_twice(page: Page, site: Site) -> None:
    """Plain http, other than to this machine: the script can't tell who counts, but for what no server has seen."""
    url = f"http://{HOST}:{site.port}"
    arrive(page, f"{url}/page/plain-http")
    assert page.evaluate("isSecureContext") is False
    page.mouse.move(50, 50)
    page.goto(f"{url}/kept/plain-http", wait_until="networkidle")
    page.goto(f"{url}/page/next-http", wait_until="networkidle")
    page.evaluate("location.href = '/kept/plain-http'")
    wait_for_rows(site, 2, "/kept/plain-http", "page_view")
    page.goto(f"{url}/page/after-http", wait_until="networkidle")
    assert by_server(*views(site, "/page/plain-http", 1))
    assert list(map(by_server, views(site, "/kept/plain-http", 2))) == [True, False]
    [told] = wait_for_rows(site, 1, "/page/plain-http", "engagement")
    assert told["engaged_ms"] > 0


@pytest.mark.parametrize("way", ["navigation", "history"])
def test_views_of_a_single_page_app(new_context: Callable[..., BrowserContext], site: Site, way: str) -> None:
    page = new_context().new_page()
    if way == "history":
        page.add_init_script("Object.defineProperty(window, 'navigation', { value: undefined })")
    root = f"/page/{way}"
    arrive(page, f"{site.url}{root}")
    page.mouse.move(40, 40)
    go = "({ how, to }) => history[how]({}, '', to)"
    for how, to in (
        ("pushState", f"{root}?q=1"),  # a search: a view
        ("replaceState", f"{root}?q=2"),  # a filter that is written into the address: none
        ("pushState", f"{root}?q=2#part"),  # a place in the page: none
        ("replaceState", f"{root}?q=2#part"),  # what changes nothing: none
        ("pushState", f"{root}/details"),
        ("replaceState", f"{root}/moved"),  # another page in its place: a view
    ):
        page.evaluate(go, {"how": how, "to": to})
    page.evaluate("history.back()")  # to ?q=2#part
    wait_for_rows(site, 3, root, "page_view")
    leave(page, site, way)
    assert [row.get("referrer_host", "") for row in views(site, root, 3)] == [""] * 3
    assert [row["channel"] for row in views(site, root, 3)] == ["direct", "internal", "internal"]
    for path in (f"{root}/details", f"{root}/moved"):
        views(site, path, 1)
    told = recorded(site, root, "engagement")
    assert {row["view_id"] for row in told} <= {row["view_id"] for row in views(site, root, 3)}


def test_what_a_script_fetches_is_a_view_by_its_address_and_not_twice(page: Page, site: Site) -> None:
    """As Turbo and htmx do it: fetch the next page, show its body, push its address."""
    arrive(page, f"{site.url}/page/turbo")
    page.evaluate(
        """async () => {
        const text = await (await fetch("/page/turbo-next")).text();
        document.body.replaceWith(new DOMParser().parseFromString(text, "text/html").body);
        history.pushState({}, "", "/page/turbo-next");
        }"""
    )
    wait_for_rows(site, 1, "/page/turbo-next", "page_view")
    leave(page, site, "turbo")
    assert not by_server(*views(site, "/page/turbo-next", 1))


def test_without_script_the_server_counts_all_the_same(new_context: Callable[..., BrowserContext], site: Site) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto(f"{site.url}/page/no-script")
    assert by_server(*views(site, "/page/no-script", 1))
