"""Pictures of the owners' pages: sign-in, every tab, a report whole, filtered, compared, live, printed, a new site.

The traffic is that of the tests of answers, of the last weeks and of an ordinary site. `take_all` is called by
`make screenshots`; `python -m tests.browser.owners` makes these alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, Page, sync_playwright

from consent_gateway.access.people import People, Role
from tests.answers import traffic
from tests.browser.conftest import ARGUMENTS
from tests.browser.pages import LANGUAGES
from tests.running import ROOT, Site

FOLDER = ROOT / "screenshots" / "owners"
SITE = "zevenspaak"
WIDTHS = (360, 768, 1440)
SCHEMES = ("light", "dark")
TABS = ("overview", "time", "pages", "sources", "places", "technology", "events", "behaviour", "consent", "quality",
        "privacy")  # fmt: skip
PATHS = (
    "/", "/workshop", "/articles/a-quiet-way-to-count-visitors-without-knowing-who-they-are", "/articles/cookies",
    "/pricing", "/cart", "/order/thanks", "/contact",
)  # fmt: skip
ORIGINS = (
    *traffic.ORIGINS[:-1],
    ("referral", "a-very-long-name.of-a-site.example.org", "a-very-long-name.of-a-site.example.org", ""),
    ("mail", "newsletter", "", "autumn 2026: everything about the new workshop"),
)  # fmt: skip
PLACES = (
    ("BE", "BE-VLG", "Gent"), ("BE", "BE-WAL", "Liège"), ("NL", "NL-NH", "Amsterdam"), ("FR", "FR-HDF", "Lille"),
    ("DE", "DE-NW", "Köln"), ("GB", "", ""), ("MK", "", ""), ("", "", ""),
)  # fmt: skip
FUNNEL = "&".join(f"step={step}" for step in ("/", "/workshop", "/cart", "event:signup"))
_FILL = """
import json, sys
from consent_gateway.store import client, consents, schema
from tests.answers import traffic
first, *lines = open(sys.argv[2]).read().splitlines()
connected = client.connect(sys.argv[1])
schema.apply(connected, zone="Europe/Brussels")
by_month = {}
for row in map(json.loads, lines):
    by_month.setdefault(traffic.month(row), []).append(row)
for rows in by_month.values():
    traffic.insert(connected, rows)
for statement in consents.statements(days=1000):
    connected.command(statement)
traffic.insert_records(connected, json.loads(first))
connected.close()
"""


def fill(site: Site, days: int = 45) -> None:
    """Bring the traffic of the days until now into a site's store, before it starts."""
    now = datetime.now(ZoneInfo("Europe/Brussels"))
    ours = {"FIRST": now.date() - timedelta(days=days), "LAST": now.date(), "PATHS": PATHS, "ORIGINS": ORIGINS}
    ours |= {"PLACES": PLACES}
    kept = {name: getattr(traffic, name) for name in ours}
    try:
        for name, value in ours.items():
            setattr(traffic, name, value)
        lines = [json.dumps([row | {"site": SITE} for row in traffic.records(a_day=14)])]
        lines += map(json.dumps, filter(lambda row: row["ms"] < now.timestamp() * 1000, awake(traffic.made(a_day=70))))
    finally:
        for name, value in kept.items():
            setattr(traffic, name, value)
    site.data_dir.mkdir(parents=True, exist_ok=True)
    told = site.home / "traffic"
    told.write_text("\n".join(lines))
    subprocess.run([sys.executable, "-c", _FILL, site.dsn, str(told)], check=True, cwd=ROOT, env=site.environment)


def awake(rows: Sequence[traffic.Row]) -> Iterator[traffic.Row]:
    """The same on our site, most of it by day, and less of it on a weekend."""
    chance, later = Random(5), {}
    for row in rows:
        visitor = row.get("visitor", 0)
        day = datetime.fromtimestamp(row["ms"] / 1000, UTC)
        if visitor not in later:
            hour = chance.choice((0, 6, 7, 8, 8, 9, 9, 11, 12, 13, 14, 17, 18, 19))
            later[visitor] = -1 if day.weekday() > 4 and chance.random() < 0.4 else hour if day.hour < 4 else 0
        if later[visitor] >= 0:
            yield row | {"site": SITE, "ms": row["ms"] + later[visitor] * 3_600_000}


def take_all(browser: Browser, home: Path, only: Sequence[str] = ()) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    policy = str(ROOT / "examples" / "insurance-technology.toml")
    settings: Any = {"BACK_OFFICE": "external", "TIMEZONE": "Europe/Brussels", "POLICY": policy}
    full = Site(home / "full", SITE=SITE, **settings)
    fill(full)
    People(full.keys_dir).add("ann", Role.OWNER, "a long sentence nobody guesses")
    with full, Site(home / "new", SITE="new", **settings) as empty:
        for site in (full, empty):
            site.start_office()
        for name, walk in WALKS.items():
            if not only or name in only:
                walk(browser, full if name != "new" else empty)
                print(name, flush=True)


def tabs(browser: Browser, site: Site) -> None:
    """Each tab in each language; the three widths and two schemes go round, and the overview is in all of them."""
    every = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
    for number, tab in enumerate(TABS):
        for place, language in enumerate(LANGUAGES):
            whole = tab in ("overview", "privacy")
            for width, scheme in every if whole else [every[(number + place * 3 + step) % 6] for step in (0, 1)]:
                name = f"{tab}-{language}-{width}-{scheme}"
                shot(browser, site, name, f"tab={tab}&language={language}", width, scheme)


def special(browser: Browser, site: Site) -> None:
    """Filtered and compared, one report whole, a funnel, one day, a year, a question that can't be asked."""
    for place, language in enumerate(LANGUAGES):
        for number, width in enumerate(WIDTHS):
            scheme, end = SCHEMES[(place + number) % 2], f"{language}-{width}"
            asked = f"compare=previous&filter=country%3DBE&filter=path%5E/articles&language={language}"
            shot(browser, site, f"compared-{end}", asked, width, scheme)
            shot(browser, site, f"report-{end}", f"report=pages&compare=year&language={language}", width, scheme)
        others = {
            "funnel": f"report=funnel&{FUNNEL}",
            "today": f"from={_day(0)}&to={_day(0)}&figure=page_views",
            "year": f"from={_day(364)}&to={_day(0)}&figure=engaged",
            "wrong": "from=yesterday",
        }
        for number, (name, query) in enumerate(others.items()):
            at = place + number
            shot(browser, site, f"{name}-{language}", f"{query}&language={language}", WIDTHS[at % 3], SCHEMES[at % 2])


def live(browser: Browser, site: Site) -> None:
    event = {"type": "page_view", "url": "http://127.0.0.1/workshop"}
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    site.post("/_cg/events", event, {"User-Agent": agent})
    site.forwarded()
    for place, language in enumerate(LANGUAGES):
        asked = f"report=live&language={language}"
        shot(browser, site, f"live-{language}", asked, WIDTHS[place % 3], SCHEMES[place % 2])


def print_(browser: Browser, site: Site) -> None:
    for tab in ("overview", "pages", "consent", "privacy"):
        page = opened(browser, site, 794, "dark")
        page.emulate_media(media="print")
        page.goto(f"{site.url}/_cg/dashboard?tab={tab}&compare=previous&language=en", wait_until="load")
        page.screenshot(path=FOLDER / f"print-{tab}.png", full_page=True)
        page.context.close()


def sign_in(browser: Browser, site: Site) -> None:
    for place, language in enumerate(LANGUAGES):
        for width in WIDTHS[::2]:
            scheme: Any = SCHEMES[place % 2]
            page = browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
            page.goto(f"{site.url}/_cg/sign-in?language={language}")
            if width == WIDTHS[0]:
                page.fill("input[name=name]", "nobody")
                page.fill("input[name=password]", "wrong wrong wrong")
                page.click("form button")
            page.screenshot(path=FOLDER / f"sign-in-{language}-{width}.png")
            page.context.close()


def menus(browser: Browser, site: Site) -> None:
    """What opens: the explanation of a figure, the person's menu, the days, a filter."""
    for place, language in enumerate(LANGUAGES):
        for width in WIDTHS[:2]:
            page = opened(browser, site, width, SCHEMES[place % 2])
            page.goto(f"{site.url}/_cg/dashboard?language={language}", wait_until="load")
            for name, selector in (("person", ".menu.right"), ("days", ".period .menu"), ("filter", ".tools > .menu")):
                page.locator(f"{selector} > summary").click()
                page.screenshot(path=FOLDER / f"menu-{name}-{language}-{width}.png")
                page.keyboard.press("Escape")
            page.locator(".total button").nth(4).focus()
            page.screenshot(path=FOLDER / f"menu-why-{language}-{width}.png")
            page.context.close()


def new(browser: Browser, site: Site) -> None:
    for place, language in enumerate(LANGUAGES):
        for tab in ("overview", "privacy", "time"):
            shot(
                browser,
                site,
                f"new-{tab}-{language}",
                f"tab={tab}&language={language}",
                WIDTHS[place % 3],
                SCHEMES[place % 2],
            )


WALKS = {
    "tabs": tabs,
    "special": special,
    "live": live,
    "print": print_,
    "sign_in": sign_in,
    "menus": menus,
    "new": new,
}


def shot(browser: Browser, site: Site, name: str, query: str, width: int, scheme: str) -> None:
    page = opened(browser, site, width, scheme)
    page.goto(f"{site.url}/_cg/dashboard?{query}", wait_until="load")
    if page.locator("[data-live]").count():
        page.locator("[data-live]:not(:empty)").wait_for(state="attached")
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        print(f"{name}: {wide} wide", flush=True)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True)
    page.context.close()


def opened(browser: Browser, site: Site, width: int, scheme: Any) -> Page:
    if site.url not in _COOKIES:
        line = site.get(site.office("POST", "/sign-in-link")["path"]).headers["Set-Cookie"]
        name, _, value = line.partition(";")[0].partition("=")
        _COOKIES[site.url] = [{"name": name, "value": value, "url": site.url}]
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(90_000)
    context.add_cookies(_COOKIES[site.url])
    return context.new_page()


_COOKIES: dict[str, Any] = {}


def _day(ago: int) -> str:
    return str(datetime.now(UTC).date() - timedelta(days=ago))


def main() -> int:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        take_all(browser, Path(home), sys.argv[1:])
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
