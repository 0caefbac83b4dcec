"""Receipts and the ledger behind them, through a real server: a choice can be proved, also offline, by its bearer."""

from __future__ import annotations

import json
import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.running import Answer, Site

ROOT = Path(__file__).parent.parent.parent
CANARY = "203.0.113.77"
AGENT = "Mozilla/5.0 CanaryAgent/7.7"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("receipts"), SITE="shop", TRUSTED_PROXIES="127.0.0.1/32") as started:
        started.wait_for("the back office", started.office_answers)
        yield started


def choose(site: Site, action: str, cookie: str = "", **more: Any) -> Answer:
    cookies = {"cg": cookie} if cookie else {}
    state = site.get("/_cg/state?language=nl", cookies=cookies).json()
    body = {"action": action, "notice": state["notice"], "language": "nl", "nonce": state["nonce"]} | more
    headers = {"X-Forwarded-For": CANARY, "User-Agent": AGENT, "Referer": f"{site.url}/canary-page"}
    return site.request("POST", "/_cg/choice", headers, body, cookies)


def cookie_of(answer: Answer) -> str:
    return (answer.headers["Set-Cookie"] or "").partition("=")[2].partition(";")[0]


@pytest.mark.parametrize(
    ("action", "state"),
    [("accept_all", "ConsentGiven"), ("reject_all", "ConsentRefused"), ("object", "ConsentUnknown")],
)
def test_every_choice_has_a_receipt_that_says_what_was_shown_and_chosen(site: Site, action: str, state: str) -> None:
    answer = choose(site, action, where="banner").json()
    receipt, told = answer["receipt"], answer["receipt"]["pii_processing"]
    assert receipt["@type"] == "ConsentReceipt" and receipt["schema_version"] == "ISO/IEC TS 27560:2023"
    assert told["notice_sha256"] == answer["notice"] and told["language"] == "nl"
    (purpose,) = told["purposes"]
    assert purpose["purpose"] == "analytics" and purpose["lawful_basis"] == "Consent"
    assert purpose["granted"] == (action == "accept_all") and purpose["dct:title"] == "Uw bezoeken herkennen"
    (event,) = receipt["events"]
    assert event["event_state"] == state and event["event_place"] == "banner" and len(event["script_sha256"]) == 64
    assert bool(receipt["pii_principal_id"]) == (action == "accept_all"), "a refusal leaves no identifier"


def test_a_receipt_is_checked_offline_as_the_documents_say(site: Site) -> None:
    """The example in docs/receipts.md, as it stands there."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "receipts.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    receipt = choose(site, "accept_all").json()["receipt"]
    keys = site.get("/.well-known/cg-keys.json").json()
    assert names["is_genuine"](receipt, keys)
    assert not names["is_genuine"](receipt | {"site": "other"}, keys)
    key = keys["keys"][0]
    raw = urlsafe_b64decode(key["x"] + "=")
    public = Ed25519PublicKey.from_public_bytes(raw)
    assert key["kty"] == "OKP" and len(b64decode(receipt["proof"]["value"])) == 64 and public


def test_the_bearer_of_a_granted_cookie_sees_the_own_choices(site: Site) -> None:
    given = choose(site, "accept_all")
    cookie = cookie_of(given)
    answer = site.get("/_cg/receipt", cookies={"cg": cookie})
    assert answer.status == 200 and "attachment" in (answer.headers["Content-Disposition"] or "")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["record_id"] == given.json()["receipt"]["record_id"] and answer.json()["history"] == []
    objected = choose(site, "object", cookie)
    shown = site.get("/_cg/receipt", cookies={"cg": cookie_of(objected)}).json()
    assert [shown["events"][0]["event_type"], shown["history"][0]["events"][0]["event_type"]] == [
        "object",
        "accept_all",
    ]


def test_without_an_identifier_there_is_an_honest_answer(site: Site) -> None:
    for cookies in ({}, {"cg": cookie_of(choose(site, "reject_all"))}, {"cg": "forged"}):
        answer = site.get("/_cg/receipt", cookies=cookies)
        assert (
            answer.status == 404 and "a refusal is kept without anything that stands for you" in answer.json()["title"]
        )


def test_the_bearer_of_a_receipt_sees_its_history_after_the_withdrawal_too(site: Site) -> None:
    given = choose(site, "accept_all")
    withdrawn = choose(site, "withdraw", cookie_of(given)).json()["receipt"]
    assert withdrawn["events"][0]["supersedes"] == given.json()["receipt"]["pii_principal_id"]
    for receipt in (given.json()["receipt"], withdrawn):
        answer = site.post("/_cg/receipt/verify", receipt).json()
        assert answer["genuine"] and len(answer["history"]) == 1
    assert site.get("/_cg/receipt", cookies={"cg": cookie_of(given)}).status == 404, "that consent has ended"


@pytest.mark.parametrize("wrong", ["changed", "no proof", "not json", "a list", "too large", "deep"])
def test_what_is_no_receipt_of_ours(site: Site, wrong: str) -> None:
    receipt = choose(site, "accept_all").json()["receipt"]
    if wrong == "changed":
        receipt["pii_processing"]["purposes"][0]["granted"] = False
        assert site.post("/_cg/receipt/verify", receipt).json() == {"genuine": False}
    elif wrong == "no proof":
        del receipt["proof"]
        assert site.post("/_cg/receipt/verify", receipt).json() == {"genuine": False}
    else:
        body = {"not json": "{", "a list": "[]", "too large": '"' + "x" * 70_000 + '"', "deep": "[" * 5000}[wrong]
        answer = site.request("POST", "/_cg/receipt/verify", {"Content-Type": "application/json"}, body)
        assert answer.status == (413 if wrong == "too large" else 422) and answer.json()["title"]


def test_well_known_files_stand_at_the_root_and_shadow_nothing_else(site: Site) -> None:
    support = site.get("/.well-known/gpc.json")
    assert support.json() == {"gpc": True, "lastUpdate": "2026-01-01"}
    assert support.headers["Content-Type"] == "application/json"
    assert site.get("/.well-known/security.txt").status == 404
    assert site.request("POST", "/.well-known/gpc.json").status == 405


def test_the_ledger_holds_no_address_no_agent_and_no_page_and_reaches_the_store(site: Site) -> None:
    choose(site, "accept_all", where="preferences")
    found = [path.read_bytes() for path in (site.data_dir / "ledger").iterdir()]
    for canary in (CANARY, AGENT, "CanaryAgent", "canary-page"):
        assert not any(canary.encode() in data for data in found), canary
    lines = [json.loads(text) for data in found for text in data.splitlines() if b'"action"' in text]
    assert any(line["where"] == "preferences" for line in lines), "what the scan looked at is the ledger"
    site.wait_for("the copy", lambda: site.office("GET", "/ledger")["stored"] >= 1)
    state = site.office("GET", "/ledger")
    assert state["faults"] == [] and state["records"] == len(lines)
    site.stop()
    rows = site.tables()["consents"]
    assert {row["record"] for row in rows} == {line["id"] for line in lines}
    assert {row["status"] for row in rows} == {"given", "refused", "withdrawn", "unknown"}
    site.start()
