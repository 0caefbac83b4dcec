"""The second script: load times and shifts, what happens on a page as custom events; all of it down in the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tests.running import Row, Site

from .conftest import NewPage
from .measured import arrive, leave, recorded, wait_for_rows, within_a_day


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), "tests.browser.measured:site", BACK_OFFICE="external") as site:
        yield site


# When the browser tells of such an entry: after the frame that it is about, which on a loaded machine takes its time.
_WATCH = """self.told = (options, fits = () => true) => new Promise((resolve) => {
    new PerformanceObserver((list) => list.getEntries().some(fits) && resolve()).observe(options);
})"""


def stay(page: Page) -> None:
    """Links and forms do what they do, but the page stays."""
    page.evaluate(
        """for (const type of ["click", "auxclick", "submit"])
        addEventListener(type, (event) => { if (event.target.matches("a, form")) event.preventDefault(); });"""
    )


def test_the_timings_of_a_page(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script(_WATCH)
    arrive(page, f"{site.url}/page/timed?more")
    for kind in ("paint", "largest-contentful-paint"):
        page.evaluate("(type) => told({ type, buffered: true }, ({ name }) => name !== 'first-paint')", kind)
    page.evaluate(
        """async () => {
        const shift = told({ type: "layout-shift" });  // told only after it: with an input so soon it would not count
        document.querySelector("h1").style.marginTop = "300px";  // a shift of what was there
        await shift;
        addEventListener("keydown", () => { const end = performance.now() + 120; while (performance.now() < end); });
        self.heard = told({ type: "event", durationThreshold: 40 }, ({ interactionId }) => interactionId);
        }"""
    )
    page.keyboard.press("a")
    page.evaluate("heard")
    page.evaluate("history.pushState({}, '', '/page/timed-next')")
    page.mouse.move(10, 10)
    leave(page, site, "timed")
    [told] = wait_for_rows(site, 1, "/page/timed", "engagement")
    times = told["timings"]
    assert set(times) == {"ttfb_ms", "dom_ms", "load_ms", "fcp_ms", "lcp_ms", "inp_ms", "cls"}
    assert 0 < times["ttfb_ms"] <= times["dom_ms"] <= times["load_ms"] and times["ttfb_ms"] <= times["fcp_ms"]
    assert times["fcp_ms"] <= times["lcp_ms"] and times["inp_ms"] >= 100 and 0 < times["cls"] < 2
    [later] = wait_for_rows(site, 1, "/page/timed-next", "engagement")
    assert "timings" not in later, "a view within a page has no load of its own"


def test_a_prerendered_page_begins_when_it_is_shown(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script(
        """const load = performance.getEntriesByType("navigation")[0];
        Object.defineProperty(load, "activationStart", { value: 1e6 });
        performance.getEntriesByType = () => [load];"""
    )
    arrive(page, f"{site.url}/page/shown-late?more")
    page.mouse.move(10, 10)
    leave(page, site, "shown-late")
    [told] = wait_for_rows(site, 1, "/page/shown-late", "engagement")
    assert told["timings"]["ttfb_ms"] == 0


@pytest.mark.parametrize(
    ("what", "act", "name", "props"),
    [
        ("out", "document.querySelector('#out').click()", "outbound", {"to": "elsewhere.invalid/a/b"}),
        ("middle", "document.querySelector('#out').dispatchEvent(new MouseEvent('auxclick', {button:1, bubbles:true}))",
         "outbound", {"to": "elsewhere.invalid/a/b"}),
        ("file", "document.querySelector('#file').click()", "download", {"file": "/files/price-list.pdf"}),
        ("form", "document.querySelector('#contact button').click()", "form", {"form": "contact"}),
    ],
)  # fmt: skip
def test_what_happens_on_a_page(
    site: Site, new_page: NewPage, what: str, act: str, name: str, props: dict[str, str]
) -> None:
    """No query of an address, nothing that was typed into a form."""
    page = new_page()
    arrive(page, f"{site.url}/page/{what}?more")
    stay(page)
    page.evaluate("document.querySelector('#next').click()")  # a link within the site: its page is the event
    page.evaluate(act)
    [row] = wait_for_rows(site, 1, f"/page/{what}", "custom")
    leave(page, site, what)
    assert len(recorded(site, f"/page/{what}", "custom")) == 1
    assert (row["name"], row["props"]) == (name, props)
    [view] = recorded(site, f"/page/{what}", "page_view")
    assert row["view_id"] == view["view_id"]


def test_a_form_that_leads_on_is_known_before_the_page_goes(site: Site, new_page: NewPage) -> None:
    page = new_page()
    arrive(page, f"{site.url}/page/sends?more")
    page.click("#contact button")
    page.wait_for_url("**/form")
    [row] = wait_for_rows(site, 1, "/page/sends", "custom")
    assert row["name"] == "form" and "ann@" not in json.dumps(row)


def test_a_missing_page_says_who_led_there(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{site.url}/page/broken", wait_until="networkidle")
    page.evaluate("location.href = '/gone/away'")
    [row] = wait_for_rows(site, 1, "/gone/away", "custom")
    assert (row["name"], row["props"]) == ("not_found", {"from": "/page/broken"})


def test_it_says_nothing_by_itself(site: Site, new_page: NewPage) -> None:
    """Neither without the first script, nor against an objection."""
    page = new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("**/_cg/site.js", lambda route: route.abort())
    page.goto(f"{site.url}/page/alone?more", wait_until="networkidle")
    stay(page)
    page.click("#out")
    page.goto("about:blank")
    assert errors == [] and recorded(site, "/page/alone", "custom") == recorded(site, "/page/alone", "engagement") == []


def test_from_the_browser_to_the_store(run_site: Callable[..., Site], new_page: NewPage) -> None:
    """Every kind of event, through a back office of its own, in the columns that the contract names."""
    within_a_day()
    site = run_site("tests.browser.measured:site")
    page = new_page()

    def until_sent(count: int) -> None:
        site.wait_for(f"{count} requests of the script", lambda: site.log().count("POST /_cg/events") >= count)

    arrive(page, f"{site.url}/cached/whole?more&utm_source=mail")
    until_sent(1)  # else two events would share a request
    page.mouse.move(10, 10)
    page.evaluate("cg.event('signup', { plan: 'pro' })")
    until_sent(2)
    arrive(page, f"{site.url}/page/whole")
    page.mouse.move(10, 10)
    page.goto(f"{site.url}/page/end", wait_until="networkidle")
    until_sent(4)
    rows = site.stored()

    def of(path: str) -> dict[str, Row]:
        return {row["type"]: row for row in rows if row["path"] == path}

    cached, page_rows = of("/cached/whole"), of("/page/whole")
    assert set(cached) == {"page_view", "engagement", "custom"} and set(page_rows) == {"page_view", "engagement"}
    assert len(rows) == 6
    view, told, signup = cached["page_view"], cached["engagement"], cached["custom"]
    assert view["utm_source"] == "mail" and view["screen"] == "lg" and view["http_status"] == "0"
    assert int(told["engaged_ms"]) > 0 and "'ttfb_ms'" in told["timings"] and int(told["scroll_pct"]) > 0
    assert (signup["name"], signup["props"]) == ("signup", "{'plan':'pro'}")
    assert len({row["view_id"] for row in cached.values()}) == len({row["view_id"] for row in page_rows.values()}) == 1
    assert len({row["visitor"] for row in rows}) == 1 and {row["bot"] for row in rows} == {"false"}
    assert page_rows["page_view"]["http_status"] == "200"
