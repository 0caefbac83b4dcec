"""`authorize=`: the site's own sign-in decides who reads the answers, and nothing else opens them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from consent_gateway.access.audit import Audit
from consent_gateway.access.people import People, Role, Scope
from tests.running import Answer, Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("authorize"), "guarded", SITE="shop") as site:
        site.wait_for("the back office", site.office_answers)
        yield site


def ask(site: Site, told: str, path: str = "/_cg/dashboard?tab=privacy", **more: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return site.get(path, headers | ({"X-Signed-In": told} if told else {}))


def test_whom_the_site_names_may_read(site: Site) -> None:
    for told in ("owner", "owner:ann", "owner:a:b"):
        assert 'id="privacy-audit"' in ask(site, told).text
    viewer = ask(site, "viewer:vic")
    assert viewer.status == 200 and "privacy-audit" not in viewer.text
    assert ask(site, "viewer", "/_cg/stats/pages").status == 200
    read = {(line["who"], line["how"], line["role"]) for line in Audit(site.data_dir).read()}
    assert read == {("", "site", "owner"), ("ann", "site", "owner"), ("a:b", "site", "owner"),
                    ("vic", "site", "viewer"), ("", "site", "viewer")}  # fmt: skip


@pytest.mark.parametrize("told", ["", "boom", "yes", "admin", "Owner", "ownerx:ann", "owner ", "none"])
def test_nobody_else_does(site: Site, told: str) -> None:
    for path in ("/_cg/dashboard", "/_cg/stats/pages"):
        answer = ask(site, told, path)
        assert answer.status == 401 and "privacy" not in answer.text
    assert site.get("/").status == 200


def test_a_fault_of_the_sites_function_is_in_its_log(site: Site) -> None:
    ask(site, "boom")
    site.wait_for("the log", lambda: "authorize failed, so nobody is let in" in site.log())
    assert "the site's own fault" in site.log()


def test_what_a_stranger_sends_names_nobody(site: Site) -> None:
    for forged in ("owner", "owner:eve", "viewer"):
        assert ask(site, "", X_Person=forged).status == 401
        assert "privacy-audit" not in ask(site, "viewer:vic", X_Person=forged).text


def test_our_own_sign_in_is_closed(site: Site) -> None:
    """A session that was opened before the site decided counts no more, and no link or password opens another."""
    link = site.office("POST", "/sign-in-link")["path"]
    assert site.get(link).status == 422 and site.get("/_cg/sign-in").status == 422
    People(site.keys_dir).add("ann", Role.OWNER, "a long sentence nobody guesses")
    assert ask(site, "", "/_cg/dashboard", Cookie="cg-owner=anything").status == 401


def test_a_program_still_has_its_token(site: Site) -> None:
    token = People(site.keys_dir).make_token("job", [Scope.STATS], 1)
    assert ask(site, "", "/_cg/stats/pages", Authorization=f"Bearer {token}").status == 200
    assert ask(site, "", "/_cg/dashboard", Authorization=f"Bearer {token}").status == 401


def test_a_form_is_bound_to_whom_the_site_names(site: Site) -> None:
    found = re.search(r'name="form" value="(\w+)"', ask(site, "owner:ann").text)
    assert found
    for told, status in (("owner:ann", 303), ("owner:bob", 422), ("", 401)):
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        headers |= {"X-Signed-In": told} if told else {}
        assert site.post("/_cg/own", f"form={found[1]}&out=yes", headers).status == status, told
