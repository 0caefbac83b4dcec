"""A new version of the policy: announced ahead, then asked for anew where it touches a purpose, with what changed."""

from __future__ import annotations

from pathlib import Path

from tests.running import Site

from .conftest import NewPage
from .pages import POLICY, changed
from .visitor import BANNER, CORNER, accept, buttons, open_dialog, state, until, visit


def test_what_a_new_version_touches_is_asked_anew_and_nothing_else(tmp_path: Path, new_page: NewPage) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    page = new_page()
    with Site(tmp_path, "tests.browser.pages:site", BACK_OFFICE="external", POLICY=str(policy)) as site:
        visit(page, site, lang="fr")
        accept(page)
        site.stop()

        policy.write_text(changed("2099-05-31"))
        site.start()
        visit(page, site, lang="fr", shows=CORNER)
        told = open_dialog(page).inner_text()
        assert "31/05/2099" in told and "Something new (fr)." in told, "announced, and not asked yet"
        site.stop()

        policy.write_text(changed("2026-01-03"))
        site.start()
        visit(page, site, lang="fr")
        assert "Something new (fr)." in page.inner_text(BANNER)
        assert page.locator(f"{BANNER} li").count() == 1
        assert page.evaluate("[cg.permits('analytics'), cg.permits('marketing')]") == [False, True]
        buttons(page).nth(0).click()
        until(page, "cg.permits('analytics')")
        found = state(page)
        assert found["purposes"] == {"measurement": True, "analytics": True, "marketing": True} and not found["ask"]
