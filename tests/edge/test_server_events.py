"""Events that a site's own server sends with a token: what it may say of a visitor, and what only the visitor may."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.running import Answer, Row, Site, files_with, wait_for

pytestmark = pytest.mark.slow
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
VISITOR = {"address": "203.0.113.77", "user_agent": FIREFOX, "language": "nl-BE,nl"}
_ids = count(1)


def order(**more: Any) -> dict[str, Any]:
    return {"type": "custom", "url": "http://127.0.0.1/checkout", "name": "order"} | VISITOR | more


def make_token(site: Site, *scopes: str) -> str:
    arguments = [part for scope in scopes for part in ("--scope", scope)]
    line = [sys.executable, "-c", "from consent_gateway.cli import app; app()", "tokens", "create", "shop", *arguments]
    return subprocess.run(line, env=site.environment, capture_output=True, check=True, text=True).stdout.strip()


def send(site: Site, token: str, body: Any, **headers: str) -> Answer:
    return site.post("/_cg/events", body, {"Authorization": f"Bearer {token}"} | headers)


def consent_of(site: Site, action: str) -> str:
    """The cookie of a visitor who chose so, as their browser sends it to the shop."""
    state = site.get("/_cg/state?language=en").json()
    body = {"action": action, "nonce": state["nonce"], "notice": state["notice"], "language": "en"}
    return site.post("/_cg/choice", body).headers["Set-Cookie"].partition(";")[0]


def why(answer: Answer) -> list[tuple[str, str]]:
    return [(fault["field"], fault["why"]) for fault in answer.json()["errors"]]


def by_name(rows: list[Row]) -> dict[str, Row]:
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


def test_what_a_server_sends_passes_the_one_rule(run_site: Callable[..., Site]) -> None:
    site = run_site(SITE="shop", EXCLUDE_PATHS="/internal")
    site.wait_for("the back office", site.office_answers)
    token, reader = make_token(site, "events"), make_token(site, "stats", "metrics")
    granted, objected = consent_of(site, "accept_all"), consent_of(site, "object")
    yesterday = datetime.now(UTC) - timedelta(hours=71)
    batch = [
        order(name="without cookie", props={"total": "20-50", "mail": "a@b.example"}),
        order(name="granted", cookie=f"session=1; {granted}"),
        order(name="before the grant", cookie=granted, at=int(time.time() * 1000) - 3_600_000),
        order(name="forged", cookie="cg=1~g~lx0~AAAAAAAAAAAAAAAAAAAAAA~1~analytics~.nothing"),
        order(name="objected", cookie=objected),
        order(name="signal", gpc=True),
        order(name="of a path left out", url="/internal/x"),
        order(name="three days ago", at=yesterday.isoformat(), url="/checkout"),
        order(name="page", type="page_view", route="/orders/{id}/joe@b.example", referrer="https://www.google.com/"),
    ]
    assert send(site, token, batch).status == 204
    assert send(site, token, order(name="alone")).status == 204

    for wrong in (reader, token[:-1] + "x", "cg_", "cg_00000000_x"):
        assert send(site, wrong, order()).status == 401, wrong
    # any other scheme is the site's own matter: this is then an event of a page, which knows no address
    assert site.post("/_cg/events", order(), {"Authorization": "Basic eDp5"}).status == 422
    answer = send(site, token, [order(consent="given"), order(name="kept", at="2026-11-28T12:00:00")])
    assert answer.status == 422
    assert ("0.consent", "Extra inputs are not permitted") in why(answer)
    assert why(answer)[1] == ("1.at", "Value error, a time is given with its offset, such as Z or +01:00")
    future = datetime.now(UTC) + timedelta(minutes=10)
    for at in (future.isoformat(), int(time.time() * 1000) - 72 * 3_600_000 - 60_000):
        found = why(send(site, token, order(at=at)))
        assert found == [("at", "an event is at most 72 hours old, and not of the future")]
    assert why(send(site, token, order(address="localhost"))) == [
        ("address", "the visitor's IP address is needed, unless ADDRESS_MODE is drop")
    ]
    assert send(site, token, [order(name="partly"), order(type="engagement")]).json()["kept"] == 1
    assert send(site, token, "[]", **{"Content-Type": "application/json"}).status == 422
    assert send(site, token, "x" * 300_000, **{"Content-Type": "application/json"}).status == 413
    assert send(site, token, "[]", **{"Content-Type": "text/plain"}).status == 415

    rows = by_name(site.stored())
    assert set(rows) == {
        "without cookie", "granted", "before the grant", "forged", "three days ago", "page", "alone", "partly",
    }  # fmt: skip
    plain = rows["without cookie"]
    assert (plain["consent"], plain["purposes"], plain["address"], plain["person"]) == (
        "unknown", "['measurement']", "", "0",
    )  # fmt: skip
    assert (plain["network"], plain["browser"], plain["language"], plain["site"]) == (
        "203.0.113.0/24", "Firefox", "nl-BE", "shop",
    )  # fmt: skip
    assert plain["props"] == "{'total':'20-50','mail':'*'}"
    assert rows["granted"]["consent"] == "given" and rows["granted"]["person"] != "0"
    assert rows["granted"]["address"] and "203.0.113.77" not in rows["granted"]["address"]
    for name in ("forged", "before the grant"):
        assert (rows[name]["person"], rows[name]["address"]) == ("0", ""), name
    assert rows["forged"]["consent"] == "unknown"
    assert rows["three days ago"]["at"][:19] == yesterday.strftime("%Y-%m-%d %H:%M:%S")
    assert rows["three days ago"]["visitor"] == "0", "the salt of that day is gone"
    assert rows["alone"]["visitor"] == plain["visitor"] != "0"
    assert (rows["page"]["type"], rows["page"]["route"]) == ("page_view", "/orders/{id}/*")
    assert (rows["page"]["channel"], rows["page"]["path"]) == ("search", "/checkout")
    assert [files_with(folder, "203.0.113.77") for folder in (site.home, site.memory_dir)] == [[], []]
    assert files_with(site.data_dir / "store", "three days ago"), "the scan finds what is there"


def test_a_repeat_is_known_also_when_the_day_has_changed(run_site: Callable[..., Site]) -> None:
    """A shop that heard no answer sends again, perhaps after midnight."""
    site = run_site(SITES="http://127.0.0.1=shop,https://other.example=other")
    site.wait_for("the back office", site.office_answers)
    token = make_token(site, "events")
    first = [order(id=f"{next(_ids):016x}", name=f"e{number}") for number in range(5)]
    assert send(site, token, [*first, first[0]]).status == 204
    assert send(site, token, first).status == 204
    site.forwarded()
    for path in site.memory_dir.glob("seen-*"):
        path.unlink()  # as midnight does
    site.kill9()
    site.start()
    site.wait_for("the back office", site.office_answers)
    late = [order(id=f"{next(_ids):016x}", name="new", url="https://other.example/x")]
    assert send(site, token, [*first, *late, order(url="https://strange.example/")]).status == 204
    rows = by_name(site.stored())
    assert {name: row["site"] for name, row in rows.items()} == {
        "e0": "shop", "e1": "shop", "e2": "shop", "e3": "shop", "e4": "shop", "new": "other",
    }  # fmt: skip


def test_a_revoked_token_and_an_absent_office(run_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    site = run_site(BACK_OFFICE="external", EVENTS_PER_SITE="3")
    token = make_token(site, "events")
    answer = send(site, token, order())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    site.start_office()
    assert send(site, token, order()).status == 204
    site.kill9_office()
    assert send(site, token, order()).status == 204, "what was heard counts for half a minute"
    from consent_gateway.access.people import People

    People(site.keys_dir).revoke(token.split("_")[1])
    site.start_office()
    other = make_token(site, "events")
    assert send(site, other, order()).status == 204
    site.kill9()
    site.start()
    wait_for("the back office", lambda: send(site, other, order()).status == 204)
    assert send(site, token, order()).status == 401
    assert send(site, other, [order()] * 60).status == 204
    full = send(site, other, order())
    assert (full.status, 1 <= int(full.headers["Retry-After"]) <= 60) == (429, True)
    assert site.post("/_cg/events", {"type": "custom", "url": "/x"}).status == 204, "a page's part is its own"
