"""A site with a policy of its own: its purposes everywhere, and a new version that asks again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.config.policy_file import load
from consent_gateway.record.cookie import Cookies
from consent_gateway.rule.consent import Consent, Status
from tests.config.test_policy import MARKETING, VERSIONS, WORDS
from tests.running import Site

CONTRACT = f"""
[[purposes]]
id = "account"
basis = "contract"
retention_days = 3650
names = {WORDS}
texts = {WORDS}
"""
SECRET = "s" * 40


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(VERSIONS + MARKETING + CONTRACT)
    return path


def grant(site: Site, purposes: dict[str, bool]) -> Any:
    state = site.get("/_cg/state").json()
    body = {
        "action": "save",
        "purposes": purposes,
        "notice": state["notice"],
        "language": "en",
        "nonce": state["nonce"],
    }
    return site.post("/_cg/choice", body)


def test_the_purposes_of_the_policy_are_asked_for_and_kept(policy: Path, run_site: Callable[..., Site]) -> None:
    site = run_site(SITE="shop", POLICY=str(policy))
    state = site.get("/_cg/state").json()
    assert state["purposes"] == {"measurement": True, "analytics": False, "marketing": False}
    assert state["policy_version"] == "4" and state["ask"]
    notice = site.get(f"/_cg/notices/{state['notice']}").json()
    assert [purpose["id"] for purpose in notice["purposes"] if purpose["asked"]] == ["analytics", "marketing"]
    answer = grant(site, {"marketing": True, "analytics": True})
    assert answer.status == 200 and answer.json()["purposes"]["marketing"]
    cookie = {"cg": answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]}
    assert site.get("/", cookies=cookie).status == 200
    refused = grant(site, {"account": True})
    assert refused.status == 422 and refused.json()["errors"] == [
        {"field": "purposes.account", "why": "rests on no consent"}
    ]
    rows = [row for row in site.stored() if row["type"] == "page_view"]
    assert [(row["purposes"], row["policy_version"]) for row in rows] == [
        ("['measurement','analytics','marketing']", "4")
    ]


def test_the_site_sees_what_each_basis_permits(policy: Path, run_site: Callable[..., Site]) -> None:
    from consent_gateway.edge.middleware import SeenConsent

    bases = load(policy).bases
    for consent, permitted in (
        (Consent(), {"measurement", "account", "accountability"}),
        (Consent(objection=True), {"account", "accountability"}),
        (Consent(Status.GIVEN, frozenset(["marketing"])), {"measurement", "marketing", "account", "accountability"}),
    ):
        seen = SeenConsent(consent, bases)
        assert {name for name in [*bases, "unheard_of"] if seen.permits(name)} == permitted


def test_a_material_change_asks_again_and_leaves_the_rest(policy: Path, run_site: Callable[..., Site]) -> None:
    """Version 5 touches analytics: who granted both under version 4 keeps marketing."""
    policy.write_text(
        policy.read_text()
        + '\n[[versions]]\nversion = "5"\nannounced = 2026-08-01\neffective = 2026-09-01\nmaterial = true\n'
        + f'touches = ["analytics"]\nchanges = {WORDS}\n[[versions]]\nversion = "6"\nannounced = 2026-10-01\n'
        + f"effective = 2099-01-01\nchanges = {WORDS}\n"
    )
    site = run_site(SITE="shop", POLICY=str(policy), SECRET=SECRET)
    site.wait_for("the back office", site.office_answers)
    now = int(time.time() * 1000)
    old = Consent(
        Status.GIVEN,
        frozenset(["analytics", "marketing"]),
        consent_id="i" * 22,
        given_at=now - 1000,
        policy_version="4",
    )
    cookie = {"cg": Cookies([SECRET]).write(old, "shop", secure=False, now=now).partition("=")[2].partition(";")[0]}
    state = site.get("/_cg/state", cookies=cookie).json()
    assert state["status"] == "given" and state["ask"] and state["touches"] == ["analytics"]
    assert state["purposes"] == {"measurement": True, "analytics": False, "marketing": True}
    assert state["announced"] == {"version": "6", "effective": "2099-01-01", "changes": "d"}
    page = site.get("/_cg/privacy", {"Accept-Language": "en"}).text
    assert "A new version of this policy takes effect on" in page and "2099" in page, "told ahead on the page too"
    site.get("/", cookies=cookie)
    (row,) = [row for row in site.stored() if row["type"] == "page_view"]
    assert row["address"] == "" and row["person"] == "0" and row["purposes"] == "['measurement','marketing']"
    notices = {json.loads(path.read_text())["version"] for path in (site.data_dir / "notices").iterdir()}
    assert notices == {"5"}


def test_a_wrong_policy_is_refused_at_start(policy: Path, run_site: Callable[..., Site]) -> None:
    policy.write_text("consent_months = 14\n")
    with pytest.raises(AssertionError, match=r"policy\.toml, line 1, consent_months: "):
        run_site(SITE="shop", POLICY=str(policy))


def test_a_withdrawn_id_is_refused_whatever_it_granted(policy: Path, run_site: Callable[..., Site]) -> None:
    site = run_site(SITE="shop", POLICY=str(policy))
    granted = grant(site, {"marketing": True}).headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    assert site.get("/_cg/state", cookies={"cg": granted}).json()["purposes"]["marketing"]
    assert site.post("/_cg/choice", {"action": "withdraw"}, cookies={"cg": granted}).status == 200
    kept = site.get("/_cg/state", cookies={"cg": granted}).json()
    assert kept["status"] == "withdrawn" and not kept["purposes"]["marketing"]
