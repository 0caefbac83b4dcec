"""The dashboard in a real browser: each interaction, with and without script, by mouse and by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from consent_gateway.answers.reports import GROUPS
from tests.running import Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
_MILLISECONDS = 60_000  # a loaded machine takes its time


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("dashboard"), SITE="shop") as site:
        for agent in (FIREFOX, CHROME):
            for path in ("/", "/blog/a", "/blog/b"):
                event = {"type": "page_view", "url": f"http://127.0.0.1{path}"}
                site.post("/_cg/events", event, {"User-Agent": agent})
        site.forwarded()
        yield site


@pytest.fixture(scope="module")
def session(site: Site) -> list[Any]:
    """The owner's cookie, as a browser keeps it."""
    line = site.get(site.office("POST", "/sign-in-link")["path"]).headers["Set-Cookie"]
    name, _, value = line.partition(";")[0].partition("=")
    return [{"name": name, "value": value, "url": site.url}]


@pytest.fixture
def open_page(browser: Browser, site: Site, session: list[Any]) -> Iterator[Callable[..., Page]]:
    """`open_page("tab=pages", locale="nl-BE")`: the dashboard, signed in."""
    opened = []

    def make(query: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB"} | options)
        opened.append(context)
        context.set_default_timeout(_MILLISECONDS)
        context.add_cookies(session)
        page = context.new_page()
        page.goto(f"{site.url}/_cg/dashboard?{query}", wait_until="domcontentloaded")
        return page

    yield make
    for context in opened:
        context.close()


def test_a_click_on_a_row_filters_and_going_back_takes_it_away(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("link", name="Firefox", exact=True).click()
    expect(page.get_by_text("Browser is Firefox")).to_be_visible()
    expect(page).to_have_url(re.compile("filter=browser%3DFirefox"))
    page.go_back()
    expect(page.get_by_text("Browser is Firefox")).to_have_count(0)
    page.go_forward()
    page.get_by_role("link", name="Remove: Browser is Firefox").click()
    expect(page.get_by_text("Browser is Firefox")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("filter"))


def test_keys_choose_the_period_and_compare(open_page: Callable[..., Page]) -> None:
    page = open_page()
    for key, name in (("w", "7 days"), ("q", "90 days"), ("d", "Today")):
        page.keyboard.press(key)
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "true")
    page.keyboard.press("c")
    expect(page.get_by_role("link", name="Previous period")).to_have_attribute("aria-current", "true")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("link", name="Later")).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator("select[name=dimension]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("select[name=dimension]")).to_be_hidden()


def test_a_figure_explains_itself_on_hover_and_on_focus(open_page: Callable[..., Page]) -> None:
    page = open_page()
    button = page.get_by_role("button", name="Bounce rate").first
    tip = page.locator("#why-total-bounce_rate")
    expect(tip).to_be_hidden()
    button.hover()
    expect(tip).to_contain_text("Legitimate interest")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.mouse.move(0, 0)
    button.focus()
    expect(tip).to_be_visible()
    assert button.get_attribute("aria-describedby") == "why-total-bounce_rate"


def test_a_total_chooses_what_the_line_shows(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.locator(".total", has=page.get_by_role("button", name="Page views", exact=True)).get_by_role("link").click()
    expect(page.get_by_role("img", name=re.compile("^Page views"))).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.locator(".timeline table")).to_be_visible()


def test_forms_and_tabs_work_without_script(open_page: Callable[..., Page]) -> None:
    page = open_page(java_script_enabled=False)
    page.get_by_role("link", name="Pages", exact=True).first.click()
    expect(page.get_by_role("heading", name="Entry pages")).to_be_visible()
    page.locator("summary", has_text="Filter").click()
    page.locator("select[name=dimension]").select_option("path")
    page.locator("select[name=operator]").select_option("^")
    page.locator("input[name=value]").fill("/blog")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("Page begins with /blog")).to_be_visible()
    expect(page).to_have_url(re.compile("filter=path%5E%2Fblog"))


def test_one_report_whole_and_its_files(open_page: Callable[..., Page]) -> None:
    page = open_page("tab=pages")
    page.get_by_role("link", name="Pages: All rows", exact=True).click()
    expect(page.locator(".report table tbody tr").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Pages: CSV", exact=True).click()
    assert "/blog/a" in download.value.path().read_text()


def test_the_live_count_comes_by_itself(open_page: Callable[..., Page]) -> None:
    expect(open_page().locator("[data-live]")).to_contain_text("in the last 5 minutes")


def test_signing_out(open_page: Callable[..., Page], site: Site, browser: Browser) -> None:
    page = open_page()
    page.context.clear_cookies()
    page.goto(f"{site.url}{site.office('POST', '/sign-in-link')['path']}")
    page.locator("summary", has_text="Signed in by link").click()
    with page.expect_navigation():  # the menu of the page before has the same name
        page.get_by_role("button", name="Keep this browser out").click()
    page.locator("summary", has_text="Signed in by link").click()
    expect(page.get_by_role("button", name="Count this browser again")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()


@pytest.mark.parametrize("language", ["nl", "fr", "de", "en"])
def test_no_barrier_and_nothing_wider_than_the_screen(
    open_page: Callable[..., Page], axe: Callable[[Page], list[str]], language: str
) -> None:
    dark = "dark" if language in ("fr", "en") else "light"
    page = open_page(f"language={language}", color_scheme=dark)
    for width, tab in (
        (390, "overview"),
        (1280, {"nl": "privacy", "fr": "behaviour", "de": "time", "en": "consent"}[language]),
    ):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{page.url.partition('?')[0]}?language={language}&tab={tab}", wait_until="domcontentloaded")
        expect(page.locator("html")).to_have_attribute("lang", language)
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_looked_at_can_be_sent_to_somebody(open_page: Callable[..., Page]) -> None:
    page = open_page("tab=technology")
    page.get_by_role("link", name="Chrome", exact=True).click()
    expect(page.get_by_text("Browser is Chrome")).to_be_visible()
    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Previous period").click()
    expect(page.get_by_role("link", name="Previous period")).to_have_attribute("aria-current", "true")
    other = open_page(page.url.partition("?")[2], java_script_enabled=False)
    for shown in (page, other):
        expect(shown.get_by_text("Browser is Chrome")).to_be_visible()
        expect(shown.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    assert other.locator("main").inner_text() == page.locator("main").inner_text()


@pytest.mark.parametrize("tab", ["overview", *GROUPS])
def test_each_box_has_its_files(open_page: Callable[..., Page], site: Site, tab: str) -> None:
    page = open_page(f"tab={tab}&filter=browser%3DChrome")
    boxes = page.locator(".box:has(footer)")
    assert boxes.count() >= 2
    for box in boxes.all():
        title, files = box.locator("h2").inner_text(), box.locator("a[download]")
        links = [
            files.and_(page.get_by_role("link", name=f"{title}: {form}", exact=True)).get_attribute("href") or ""
            for form in ("CSV", "JSON")
        ]
        assert all("filter=browser%3DChrome" in link for link in links)
        csv, json = (page.request.get(f"{site.url}{link}") for link in links)
        assert (csv.status, json.status) == (200, 200), links
        assert csv.text().splitlines()[0].split(",") == [one["name"] for one in json.json()["columns"]]


def test_a_row_of_paths_opens_its_own_report(open_page: Callable[..., Page]) -> None:
    """Where a filter is about a report's own rows, the other reports have nothing to say to it."""
    page = open_page("tab=behaviour")
    page.locator(".box", has_text="which page follows which").locator("th a", has_text="/blog/a").click()
    expect(page.get_by_text("From is /blog/a")).to_be_visible()
    expect(page.locator(".report tbody tr")).not_to_have_count(0)
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_role("heading", name="Sources")).to_be_visible()
    assert page.get_by_text("From is").count() == 0 and page.locator(".wrong").count() == 0


def test_the_live_view(open_page: Callable[..., Page], site: Site) -> None:
    site.post("/_cg/events", {"type": "page_view", "url": "http://127.0.0.1/blog/a"}, {"User-Agent": FIREFOX})
    site.forwarded()
    page = open_page("tab=time")
    expect(page.get_by_role("heading", name="Live", exact=True)).to_be_visible()
    # of two, one may have become another at midnight
    expect(page.locator("[data-live]")).to_have_text(re.compile("1 visitor in|[23] visitors in"))
    page.get_by_role("link", name="Live pages", exact=True).click()
    expect(page.locator(".report").get_by_text("/blog/a").first).to_be_visible()


def test_nothing_is_drawn_of_hours_to_come(open_page: Callable[..., Page]) -> None:
    earlier = datetime.now(UTC).hour
    page = open_page("figure=page_views")
    page.keyboard.press("d")
    expect(page.get_by_role("link", name="Today", exact=True)).to_have_attribute("aria-current", "true")
    points = page.locator(".hit title").all_text_contents()
    found = [": –" in text for text in points]
    assert found in [[number > hour for number in range(24)] for hour in (earlier, datetime.now(UTC).hour)]


STATES = {
    "filtered and compared": "compare=previous&filter=browser%3DChrome&filter=path%5E/blog",
    "one report whole": "report=pages&compare=year",
    "live": "report=live",
    "funnel": "report=funnel&step=/&step=/blog*",
    "what the ledger can't tell": "tab=consent&filter=browser%3DChrome",
    "cannot be asked": "from=yesterday",
    "nothing": "from=2024-01-01&to=2024-01-31",
}


@pytest.mark.parametrize("state", STATES)
def test_no_barrier_in_any_state(open_page: Callable[..., Page], axe: Callable[[Page], list[str]], state: str) -> None:
    number = list(STATES).index(state)
    language, scheme = ("nl", "fr", "de", "en")[number % 4], ("dark", "light")[number % 2]
    page = open_page(f"{STATES[state]}&language={language}", color_scheme=scheme)
    for width in (360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    if state == "filtered and compared":
        for summary in page.locator("details.menu > summary").all():
            summary.click()
            assert axe(page) == []
            page.keyboard.press("Escape")
    assert axe(page) == []
    page.emulate_media(media="print")
    expect(page.locator(".tabs")).to_be_hidden() if page.locator(".tabs").count() else None
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440


def test_the_sign_in_page_has_no_barrier_and_keeps_its_language(
    browser: Browser, site: Site, axe: Callable[[Page], list[str]]
) -> None:
    page = browser.new_context(locale="en-GB", color_scheme="dark").new_page()
    page.goto(f"{site.url}/_cg/sign-in?language=de")
    assert axe(page) == []
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Passwort").fill("wrong wrong wrong")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_role("alert")).to_have_text("Name oder Passwort stimmt nicht.")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert axe(page) == []
    page.context.close()


def test_every_tab_shows_its_reports(open_page: Callable[..., Page]) -> None:
    page = open_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    for tab in GROUPS:
        page.goto(f"{page.url.partition('?')[0]}?tab={tab}", wait_until="domcontentloaded")
        assert page.locator(".box").count() >= 2, tab
    assert problems == []
