"""The contract of docs/contract.md over real HTTP: state, choice, events, notices, and what each refuses and why."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.running import Answer, Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PAGE_VIEW = {"type": "page_view", "url": "https://shop.example/a"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for the tests that leave nothing behind."""
    with Site(tmp_path_factory.mktemp("site"), BACK_OFFICE="external") as started:
        yield started


def choose(site: Site, action: str, cookies: dict[str, str] | None = None, **more: Any) -> Answer:
    state = site.get("/_cg/state?language=en", cookies=cookies).json()
    body = {"action": action, "nonce": state["nonce"], "notice": state["notice"], "language": "en"}
    return site.post("/_cg/choice", body | more, cookies=cookies)


def cookie_of(answer: Answer) -> dict[str, str]:
    name, _, value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")
    return {name: value}


def why(answer: Answer) -> list[tuple[str, str]]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return [(error["field"], error["why"]) for error in answer.json().get("errors", [])]


# state and notices


def test_state_of_somebody_new(site: Site) -> None:
    answer = site.get("/_cg/state")
    state = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers, "nothing is stored on the device before a choice"
    nonce, notice = state.pop("nonce"), state.pop("notice")
    assert nonce and len(notice) == 64
    assert state == {
        "status": "unknown",
        "purposes": {"measurement": True, "analytics": False},
        "objection": False,
        "ask": True,
        "policy_version": "1",
        "touches": [],
        "announced": None,
        "script_needs_consent": False,
        "language": "en",
        "signals": {"gpc": False, "dnt": False},
        "later": False,
    }


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("?language=nl", "", "nl"),
        ("?language=nl-BE", "en", "nl"),
        ("", "nl-BE,nl;q=0.9,en;q=0.8", "nl"),
        ("", "xx,nl;q=0.5", "nl"),
        ("?language=zz", "", "en"),
        ("?language=%00", "", "en"),
    ],
)
def test_language_of_the_page_then_of_the_browser(site: Site, query: str, accepted: str, language: str) -> None:
    assert site.get(f"/_cg/state{query}", {"Accept-Language": accepted}).json()["language"] == language


def test_a_notice_is_found_by_its_hash_for_ever(site: Site) -> None:
    digest = site.get("/_cg/state?language=nl").json()["notice"]
    answer = site.get(f"/_cg/notices/{digest}")
    assert sha256(answer.body).hexdigest() == digest
    assert "immutable" in answer.headers["Cache-Control"]
    assert site.get(f"/_cg/notices/{'0' * 64}").status == 404
    assert site.get("/_cg/notices/../state").status == 404


@pytest.mark.parametrize(("header", "value", "counts"), [("Sec-GPC", "1", True), ("DNT", "1", True),
    ("Sec-GPC", "0", False), ("Sec-GPC", "true", False), ("Sec-GPC", "1 ", True), ("DNT", "0", False)])  # fmt: skip
def test_a_signal_is_an_objection_and_a_refusal(site: Site, header: str, value: str, counts: bool) -> None:
    answer = site.get("/_cg/state", {header: value})
    state = answer.json()
    assert "Set-Cookie" not in answer.headers, "a signal is judged per request and writes nothing"
    assert (state["status"], state["objection"], state["ask"]) == (
        ("refused", True, False) if counts else ("unknown", False, True)
    )


# choices


def test_a_grant_is_recorded_and_signed(site: Site) -> None:
    answer = choose(site, "accept_all")
    state, receipt = answer.json(), answer.json()["receipt"]
    assert (state["status"], state["purposes"]["analytics"]) == ("given", True)
    canonical = {name: value for name, value in receipt.items() if name != "proof"}
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key = Ed25519PrivateKey.from_private_bytes((site.keys_dir / "receipt").read_bytes()).public_key()
    key.verify(b64decode(receipt["proof"]["value"]), text)  # raises when it is not ours
    lines = [line for path in (site.data_dir / "ledger").glob("20*.jsonl") for line in path.read_text().splitlines()]
    (record,) = [found for found in map(json.loads, lines) if found["id"] == receipt["record_id"]]
    assert record["action"] == "accept_all" and record["notice"] == state["notice"] and record["consent_id"]
    line = answer.headers["Set-Cookie"]
    assert line.startswith("cg=") and "HttpOnly" in line and "SameSite=Lax" in line and "Path=/" in line
    assert site.get("/_cg/state", cookies=cookie_of(answer)).json()["status"] == "given"


def test_withdrawing_takes_one_request_and_ends_the_old_cookie_everywhere(site: Site) -> None:
    granted = cookie_of(choose(site, "accept_all"))
    withdrawn = site.post("/_cg/choice", {"action": "withdraw"}, cookies=granted)
    assert withdrawn.json()["status"] == "withdrawn"
    assert "1~w~" in withdrawn.headers["Set-Cookie"] and "~~1~" in withdrawn.headers["Set-Cookie"], "no identifier left"
    assert site.get("/_cg/state", cookies=granted).json()["status"] == "withdrawn", "a kept copy is refused"


def test_a_refusal_needs_no_nonce_and_leaves_no_identifier(site: Site) -> None:
    answer = site.post("/_cg/choice", {"action": "reject_all"})
    assert answer.json()["status"] == "refused"
    value = next(iter(cookie_of(answer).values()))
    status, month, identifier, version, granted, _flags = value.split("~")[1:]
    assert (status, identifier, version, granted) == ("r", "", "1", "") and len(month) == 7


def test_a_form_works_without_javascript(site: Site) -> None:
    state = site.get("/_cg/state").json()
    form = f"action=save&purposes.analytics=true&nonce={state['nonce']}&notice={state['notice']}&language=en"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"{site.url}/page/x?y=1"}
    answer = site.post("/_cg/choice", form, headers)
    assert (answer.status, answer.headers["Location"]) == (303, "/page/x?y=1")
    assert site.get("/_cg/state", cookies=cookie_of(answer)).json()["purposes"]["analytics"] is True
    away = site.post("/_cg/choice", "action=reject_all", headers | {"Referer": "https://evil.example//x"})
    assert away.headers["Location"] == "/"


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"action": "accept_all"}, "nonce", "a grant needs the nonce"),
        ({"action": "accept_all", "nonce": "made-up"}, "nonce", "a grant needs the nonce"),
        ({"action": "save"}, "purposes", "at least one"),
        ({"action": "save", "purposes": {"measurement": False}}, "purposes.measurement", "object"),
        ({"action": "save", "purposes": {"nonsense": True}}, "purposes.nonsense", "no such purpose"),
        ({"action": "explode"}, "action", "Input should be"),
        ({}, "action", "Field required"),
        ({"action": "withdraw", "extra": 1}, "extra", "Extra inputs"),
        ({"action": "withdraw", "notice": "../../etc/passwd"}, "notice", "String should match"),
        ([], "body", ""),
    ],
)
def test_a_refused_choice_names_the_field_and_why(site: Site, body: Any, field: str, reason: str) -> None:
    answer = site.post("/_cg/choice", body)
    assert answer.status == 422 and "Set-Cookie" not in answer.headers
    (found, words), *_ = why(answer)
    assert found == field and reason in words


def test_the_nonce_of_another_notice_or_site_grants_nothing(site: Site, run_site: Callable[..., Site]) -> None:
    english, dutch = (site.get(f"/_cg/state?language={language}").json() for language in ("en", "nl"))
    mixed = {"action": "accept_all", "nonce": english["nonce"], "notice": dutch["notice"]}
    assert why(site.post("/_cg/choice", mixed)) == [("notice", "not the notice that this nonce was made for")]
    other = run_site(SITE="other", BACK_OFFICE="external", KEYS_DIR=str(site.keys_dir))
    foreign = {"action": "accept_all", "nonce": english["nonce"], "notice": english["notice"]}
    assert why(other.post("/_cg/choice", foreign))[0][0] == "nonce"


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "SELF"}, False),
        ({"Origin": "SELF"}, True),
        ({}, True),
    ],
)
def test_cross_site_posts_are_refused(site: Site, headers: dict[str, str], taken: bool) -> None:
    sent = {name: value.replace("SELF", site.url) for name, value in headers.items()}
    answer = site.post("/_cg/choice", {"action": "reject_all"}, sent)
    assert answer.status == (200 if taken else 403)
    assert ("Set-Cookie" in answer.headers) == taken


def test_over_https_only_the_host_cookie_counts(run_site: Callable[..., Site]) -> None:
    site = run_site(
        arguments=["--no-proxy-headers"], TRUSTED_PROXIES="127.0.0.1/32", BACK_OFFICE="external", SITE="shop"
    )
    https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.77"}
    state = site.get("/_cg/state", https).json()
    grant = {"action": "accept_all", "nonce": state["nonce"], "notice": state["notice"]}
    answer = site.request("POST", "/_cg/choice", https, grant)
    assert answer.headers["Set-Cookie"].startswith("__Host-cg=") and "Secure" in answer.headers["Set-Cookie"]
    ((_, value),) = cookie_of(answer).items()
    assert site.get("/_cg/state", https, {"__Host-cg": value}).json()["status"] == "given"
    assert site.get("/_cg/state", https, {"cg": value}).json()["status"] == "unknown"
    assert site.get("/_cg/state", cookies={"cg": value}).json()["status"] == "given"


# events


def test_one_event_and_a_hundred(site: Site) -> None:
    assert site.post("/_cg/events", PAGE_VIEW).status == 204
    assert site.post("/_cg/events", [PAGE_VIEW] * 100).status == 204
    assert site.post("/_cg/events", json.dumps(PAGE_VIEW), {"Content-Type": "text/plain;charset=UTF-8"}).status == 204


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"type": "nonsense", "url": "/"}, "type"),
        ({"type": "page_view"}, "url"),
        (PAGE_VIEW | {"surprise": 1}, "surprise"),
        (PAGE_VIEW | {"url": "x" * 3000}, "url"),
        (PAGE_VIEW | {"view": "123"}, "view"),
        (PAGE_VIEW | {"id": "ABCDEF0123456789"}, "id"),
        (PAGE_VIEW | {"age_ms": 1_800_001}, "age_ms"),
        (PAGE_VIEW | {"age_ms": -1}, "age_ms"),
        (PAGE_VIEW | {"scroll_pct": 101}, "scroll_pct"),
        (PAGE_VIEW | {"screen": "xxl"}, "screen"),
        (PAGE_VIEW | {"timings": {"ttfb_ms": 1, "other": 2}}, "timings.other"),
        (PAGE_VIEW | {"props": {str(n): "" for n in range(21)}}, "props"),
        (PAGE_VIEW | {"props": {"a": "x" * 257}}, "props.a"),
        ("text", "body"),
        (None, "body"),
    ],
)
def test_an_invalid_event_is_refused_by_field(site: Site, event: Any, field: str) -> None:
    answer = site.post("/_cg/events", json.dumps(event), {"Content-Type": "application/json"})
    assert answer.status == 422
    assert why(answer)[0][0] == field


def test_part_invalid_keeps_the_others_and_reports(site: Site) -> None:
    answer = site.post("/_cg/events", [PAGE_VIEW, {"type": "x", "url": "/"}, PAGE_VIEW])
    assert answer.status == 200
    assert answer.json()["kept"] == 2 and answer.json()["invalid"][0]["field"] == "1.type"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"[" + b"[" * 100_000, "application/json", 422),
        (b"{" * 1000, "application/json", 422),
        (b"", "application/json", 422),
        (b"[]", "application/json", 422),
        (json.dumps([PAGE_VIEW] * 101).encode(), "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b'{"type":"page_view","url":"/","props":{"a":"\\ud800"}}', "application/json", 422),
        (b'{"type":"page_view","url":"/","age_ms":1e999}', "application/json", 422),
        (b" " * 300_000, "application/json", 413),
        (json.dumps(PAGE_VIEW).encode(), "multipart/form-data", 415),
        (json.dumps(PAGE_VIEW).encode(), "", 415),
    ],
)
def test_rubbish_gets_a_clear_answer(site: Site, body: bytes, content_type: str, status: int) -> None:
    answer = site.post("/_cg/events", body, {"Content-Type": content_type})
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in site.log() and "a fault inside the gateway" not in site.log()


def test_events_become_rows(run_site: Callable[..., Site]) -> None:
    site = run_site(SITE="shop")
    agent = {"User-Agent": FIREFOX, "Accept-Language": "nl-BE,nl;q=0.9"}
    event = {
        "type": "custom",
        "url": f"{site.url}/buy?utm_source=news&token=secret",
        "view": "00000000000000ff",
        "id": "0123456789abcdef",
        "name": "order",
        "props": {"plan": "gold", "mail": "alice@example.org"},
        "timings": {"ttfb_ms": 12.5},
        "screen": "md",
        "referrer": "https://www.google.com/search?q=secret",
    }
    assert site.post("/_cg/events", event, agent).status == 204
    assert site.post("/_cg/events", event, agent).status == 204, "a repeat is lawfully dropped"
    site.forwarded()
    counts = {(name, term): count for name, term, count in site.office("GET", "/books")}
    assert counts["shop", "dropped.duplicate"] == 1
    (row,) = site.stored()
    expected = {
        "site": "shop", "type": "custom", "path": "/buy", "query": "utm_source=news", "name": "order", "screen": "md",
        "view_id": "255", "referrer_host": "www.google.com", "language": "nl-BE", "browser": "Firefox", "bot": "false",
        "utm_source": "news", "consent": "unknown", "person": "0", "address": "", "network": "127.0.0.0/24",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert "gold" in row["props"] and "alice" not in row["props"] and "secret" not in str(row)
    assert row["at"].endswith(row["received_at"][-4:]) and "12.5" in row["timings"]


# the rest


def test_methods_and_unknown_routes(site: Site) -> None:
    assert site.get("/_cg/choice").status == 405
    assert site.get("/_cg/choice").headers["Allow"] == "POST"
    assert site.get("/_cg/nothing").status == 404
    assert site.get("/_cg/health").text == "ok"
    assert site.get("/_cgx").status == 404 and "problem" not in site.get("/_cgx").headers["Content-Type"]


@pytest.mark.parametrize("path", ["/_cg/state", "/_cg/nothing", "/_cg/health", "/_cg/choice"])
def test_security_headers_on_everything(site: Site, path: str) -> None:
    headers = site.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_reports_need_the_owner(run_site: Callable[..., Site]) -> None:
    site = run_site(SITE="shop")
    site.get("/", {"User-Agent": FIREFOX})
    site.forwarded()
    assert site.get("/_cg/stats/pages").status == 401
    assert site.get("/_cg/dashboard").status == 401
    for path in ("/_cg/forward", "/_cg/sign-in-link", "/_cg/books", "/_cg/stats/../books", "/_cg/public/dashboard"):
        assert site.get(path).status == 404, path
        assert site.post(path, b"").status == 404, path
    link = site.office("POST", "/sign-in-link")["path"]
    opened = site.get(link)
    assert opened.status == 303 and opened.headers["Location"] == "/_cg/dashboard"
    assert site.get(link).status == 403, "a link works once"
    owner = cookie_of(opened)
    rows = site.get("/_cg/stats/pages", cookies=owner).json()["rows"]
    assert rows == [{"path": "/", "visitors": 1, "page_views": 1, "engaged": None, "scroll": None}]
    page = site.get("/_cg/dashboard", cookies=owner)
    assert page.status == 200 and "<table>" in page.text
    assert site.get("/_cg/stats/nonsense", cookies=owner).status == 422
    assert site.get("/_cg/stats/pages?from=yesterday", cookies=owner).status == 422
    assert site.get("/_cg/stats/pages?site=other", cookies=owner).status == 422


def test_a_path_in_the_data_dir_may_be_long(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    with Site(deep) as site:
        site.forwarded()
