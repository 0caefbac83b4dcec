"""The dashboard over HTTP: who gets in, what a stranger's text can't do in it, and what its address says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from consent_gateway.access.people import People, Role, Scope
from consent_gateway.answers.reports import GROUPS
from tests.running import Answer, Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PASSWORD = "a long sentence nobody guesses"
EVIL = '"><script>alert(1)</script>'
FORMULA = "=HYPERLINK(1)"
Cookies = dict[str, str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with an owner, a viewer, and a visitor who wrote what attackers write."""
    folder = tmp_path_factory.mktemp("dashboard")
    with Site(folder, SITE="shop") as site:
        people = People(site.keys_dir)
        people.add("ann", Role.OWNER, PASSWORD)
        people.add("vic", Role.VIEWER, PASSWORD)
        headers = {"User-Agent": FIREFOX, "Referer": f"https://evil.example/{quote(EVIL)}"}
        site.get("/", headers)
        url = f"http://127.0.0.1/{quote(EVIL, safe='')}"
        events = [
            {"type": "page_view", "url": url},
            {"type": "custom", "url": url, "name": EVIL, "props": {"a": EVIL}},
            {"type": "custom", "url": url, "name": FORMULA},
        ]
        assert site.post("/_cg/events", events, {"User-Agent": FIREFOX}).status == 204
        site.forwarded()
        yield site


def kept(answer: Answer) -> Cookies:
    """The cookies that an answer sets."""
    lines = answer.headers.get_all("Set-Cookie") or []
    return {name: value for name, _, value in (line.partition(";")[0].partition("=") for line in lines)}


def form(text: str) -> str:
    found = re.search(r'name="form" value="(\w+)"', text)
    assert found
    return found[1]


def post(site: Site, path: str, fields: dict[str, str], cookies: Cookies, **headers: str) -> Answer:
    body = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"} | headers
    return site.post(path, body, sent, cookies)


def sign_in(site: Site, name: str, password: str = PASSWORD) -> Answer:
    page = site.get("/_cg/sign-in")
    assert page.status == 200
    return post(site, "/_cg/sign-in", {"form": form(page.text), "name": name, "password": password}, kept(page))


@pytest.fixture(scope="module")
def ann(site: Site) -> Cookies:
    return kept(sign_in(site, "ann"))


@pytest.fixture(scope="module")
def vic(site: Site) -> Cookies:
    return kept(sign_in(site, "vic"))


def test_a_password_opens_and_a_wrong_one_does_not(site: Site, ann: Cookies) -> None:
    assert site.get("/_cg/dashboard", cookies=ann).status == 200
    for name, password in (("ann", "wrong wrong wrong"), ("nobody", PASSWORD)):
        answer = sign_in(site, name, password)
        assert answer.status == 403 and not kept(answer)
    first = sign_in(site, "ann", "wrong wrong wrong")
    assert PASSWORD not in first.text and "wrong wrong" not in first.text


def test_nobody_else_sees_anything(site: Site) -> None:
    for tab in ("overview", *GROUPS, "privacy"):
        answer = site.get(f"/_cg/dashboard?tab={tab}")
        assert answer.status == 401 and "shop" not in answer.text.lower()
    assert site.get("/_cg/stats/pages").status == 401
    assert site.get("/_cg/dashboard", {"X-Person": "owner:eve"}).status == 401
    assert site.get("/_cg/stats/pages", {"Authorization": "Bearer cg_00000000_x"}).status == 401


def test_a_viewer_sees_reports_and_nothing_of_single_persons(site: Site, vic: Cookies) -> None:
    page = site.get("/_cg/dashboard?tab=privacy", cookies=vic)
    assert page.status == 200 and "privacy-requests" not in page.text and "tab=privacy" not in page.text
    assert site.get("/_cg/stats/pages", cookies=vic).status == 200


def test_an_owner_sees_the_privacy_tab(site: Site, ann: Cookies) -> None:
    page = site.get("/_cg/dashboard?tab=privacy&language=nl", cookies=ann)
    assert all(f'id="privacy-{name}"' in page.text for name in ("requests", "ledger", "retention", "books", "audit"))
    assert 'class="wrong"' not in page.text, "a part failed"


def test_what_strangers_write_stays_text(site: Site, ann: Cookies) -> None:
    for query in (
        "",
        *(f"tab={group}" for group in GROUPS),
        "report=pages",
        "report=events",
        f"filter=event%3D{quote(EVIL)}",
    ):
        page = site.get(f"/_cg/dashboard?{query}", cookies=ann)
        assert page.status == 200, query
        assert "<script>alert" not in page.text and "onerror=" not in page.text, query
    for query in (f"tab={quote(EVIL)}", f"language={quote(EVIL)}", f"site={quote(EVIL)}", f"filter={quote(EVIL)}"):
        assert "<script>alert" not in site.get(f"/_cg/dashboard?{query}", cookies=ann).text
    assert "<script>alert" not in site.get(f"/_cg/sign-in?next={quote(EVIL)}").text


def test_a_spreadsheet_runs_nothing(site: Site, ann: Cookies) -> None:
    text = site.get("/_cg/stats/events?format=csv", cookies=ann).text
    assert f"'{FORMULA}" in text and f"\n{FORMULA}" not in text


def test_the_page_allows_no_inline_script_style_or_frame(site: Site, ann: Cookies) -> None:
    page = site.get("/_cg/dashboard", cookies=ann)
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert "<style" not in page.text and " style=" not in page.text and not re.search(r"\son\w+=", page.text)
    for path in re.findall(r'(?:href|src)="(/_cg/dashboard/\w+\.(?:css|js))"', page.text):
        served = site.get(path)
        assert served.status == 200 and "immutable" in served.headers["Cache-Control"]


def test_a_form_from_elsewhere_is_refused(site: Site, ann: Cookies, vic: Cookies) -> None:
    token = form(site.get("/_cg/dashboard", cookies=ann).text)
    for path in ("/_cg/own", "/_cg/sign-out"):
        assert post(site, path, {"form": token}, ann, **{"Sec-Fetch-Site": "cross-site"}).status == 403
        for wrong in ("", "0" * 64, form(site.get("/_cg/dashboard", cookies=vic).text)):
            assert post(site, path, {"form": wrong, "out": "yes"}, ann).status == 422
        assert post(site, path, {"form": token}, {}).status == 401
    page = site.get("/_cg/sign-in")
    fields = {"form": form(page.text), "name": "ann", "password": PASSWORD}
    assert post(site, "/_cg/sign-in", fields, {}).status == 403, "without the cookie of the form"


def test_guessing_is_slowed(site: Site) -> None:
    statuses = []
    for number in range(16):  # the waits double, so however slow the machine is, one is met
        answer = sign_in(site, "bob", f"guess number {number}")
        statuses.append(answer.status)
        if answer.status == 429:
            break
    assert statuses[:5] == [403] * 5 and statuses[-1] == 429
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_session_ends_with_the_password(site: Site) -> None:
    people = People(site.keys_dir)
    people.add("eve", Role.OWNER, PASSWORD)
    stolen = kept(sign_in(site, "eve"))
    assert site.get("/_cg/dashboard", cookies=stolen).status == 200
    people.set_password("eve", PASSWORD + "!")
    assert site.get("/_cg/dashboard", cookies=stolen).status == 401


def test_signing_out_ends_the_session_itself(site: Site) -> None:
    cookies = kept(sign_in(site, "vic"))
    token = form(site.get("/_cg/dashboard", cookies=cookies).text)
    assert post(site, "/_cg/sign-out", {"form": token}, cookies).status == 303
    assert site.get("/_cg/dashboard", cookies=cookies).status == 401


def test_a_token_does_what_its_scope_says(site: Site, ann: Cookies) -> None:
    people = People(site.keys_dir)
    stats, metrics = (people.make_token("job", [scope], 1) for scope in (Scope.STATS, Scope.METRICS))

    def status(path: str, token: str) -> int:
        return site.get(path, {"Authorization": f"Bearer {token}"}).status

    assert status("/_cg/stats/pages", stats) == 200 and status("/_cg/stats/pages", metrics) == 401
    assert status("/_cg/metrics", metrics) == 200 and status("/_cg/metrics", stats) == 401
    assert site.get("/_cg/health", {"Authorization": f"Bearer {stats}"}).text == "ok"
    assert status("/_cg/dashboard", stats) == 401, "pages are for people"
    refused = site.get("/_cg/stats/pages", {"Authorization": f"Bearer {metrics}"}, cookies=ann)
    assert refused.status == 401, "a session does not lend its rights to a token"
    people.revoke(stats.split("_")[1])
    assert status("/_cg/stats/pages", stats) == 401


def test_an_owners_own_browser_is_not_counted(site: Site, ann: Cookies) -> None:
    def dropped() -> int:
        return sum(count for _, term, count in site.office("GET", "/books") if term == "dropped.own_browser")

    token = form(site.get("/_cg/dashboard", cookies=ann).text)
    own = kept(post(site, "/_cg/own", {"form": token, "out": "yes"}, ann))
    before = dropped()
    site.get("/", {"User-Agent": FIREFOX}, own)
    site.post("/_cg/events", {"type": "page_view", "url": "http://127.0.0.1/"}, {"User-Agent": FIREFOX}, own)
    forged = {name: value[:-2] for name, value in own.items()}
    site.get("/", {"User-Agent": FIREFOX}, forged)
    site.wait_for("the count", lambda: dropped() >= before + 2)
    assert dropped() == before + 2


def test_reading_is_on_the_record(site: Site, ann: Cookies) -> None:
    site.get("/_cg/stats/countries?format=csv&filter=path%3D%2Fsecret", cookies=ann)
    text = (site.data_dir / "audit" / "audit.jsonl").read_text()
    assert '"ann"' in text and "countries of shop" in text and '"exported"' in text
    assert "secret" not in text and "127.0.0" not in text and PASSWORD not in text


def test_everything_stands_in_the_address(site: Site, ann: Cookies) -> None:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    query = f"from={day}&to={day}&compare=previous&filter=country%3DBE&filter=browser!%3DX&tab=pages&language=de"
    page = site.get(f"/_cg/dashboard?{query}", cookies=ann).text
    assert 'lang="de"' in page and "Land ist Belgien" in page and "Browser ist nicht X" in page
    links = re.findall(r'href="(/_cg/dashboard\?[^"]*)"', page)
    tab = next(link for link in links if "tab=sources" in link)
    assert "filter=country%3DBE" in tab and "language=de" in tab and "compare=previous" in tab
    added = site.get("/_cg/dashboard?dimension=path&operator=%5E&value=%2Fblog", cookies=ann)
    assert added.status == 303 and "filter=path%5E%2Fblog" in added.headers["Location"]


def test_a_wrong_question_gets_a_page(site: Site, ann: Cookies) -> None:
    answer = site.get("/_cg/dashboard?from=yesterday", cookies=ann)
    assert answer.status == 422 and "<html" in answer.text and "yesterday" in answer.text


def test_going_on_leads_to_the_dashboard_and_nowhere_else(site: Site) -> None:
    for target in ("https://evil.example/", "//evil.example/_cg/dashboard", "/_cg/own", "/\\evil.example"):
        page = site.get(f"/_cg/sign-in?next={quote(target, safe='')}")
        fields = {"form": form(page.text), "name": "vic", "password": PASSWORD}
        opened = post(site, f"/_cg/sign-in?next={quote(target, safe='')}", fields, kept(page))
        assert opened.status == 303 and opened.headers["Location"] == "/_cg/dashboard"


def test_a_choice_is_in_the_decisions_at_once(site: Site) -> None:
    """The copy of the ledger is brought up to date before it is asked."""
    state = site.get("/_cg/state?language=fr").json()
    choice = {"notice": state["notice"], "language": "fr", "nonce": state["nonce"]}
    for action in ("reject_all", "accept_all"):
        assert site.post("/_cg/choice", choice | {"action": action}, {"Sec-Fetch-Site": "same-origin"}).status == 200
    (row,) = site.office("GET", "/stats/decisions_by_language")["rows"]
    assert (row["notice_language"], row["answered"], row["all_refused"], row["all_accepted"]) == ("fr", 2, 1, 1)
    purposes = site.office("GET", "/stats/decisions_by_purpose")["rows"]
    assert [(one["purpose"], one["granted"], one["grant_rate"]) for one in purposes] == [("analytics", 1, 0.5)]
