"""A site of plain files behind nginx, with the gateway beside it: the banner, the choice and the count, in Chromium."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.beside.gateway import Beside, spooled
from tests.beside.nginx import Nginx
from tests.browser.conftest import NewPage

PAGE = "<!doctype html><html lang=en><title>Files</title>{tag}<h1>A shop of files</h1></html>"


def test_a_site_of_files(tmp_path: Path, new_page: NewPage) -> None:
    root = tmp_path / "site"
    root.mkdir()
    with Beside(tmp_path / "gateway", SITE="shop", TRUSTED_PROXIES="127.0.0.1/32", BACK_OFFICE="external") as gateway:
        (root / "index.html").write_text(PAGE.format(tag=gateway.snippet()))
        with Nginx(tmp_path / "nginx", gateway=gateway.port, root=root) as nginx:
            first, second = new_page(), new_page()
            first.goto(f"{nginx.url}/")
            first.get_by_role("button", name="Accept all").click()
            first.wait_for_function("window.cg && cg.permits('analytics')")
            second.goto(f"{nginx.url}/")
            expect(second.get_by_role("button", name="Accept all")).to_be_visible()
            assert second.evaluate("cg.permits('analytics')") is False
            first.goto(f"{nginx.url}/?again")
            first.wait_for_function("window.cg && cg.permits('analytics')")
            gateway.wait_for("three views", lambda: len(views(gateway)) == 3)
            assert sorted(bool(view.get("person")) for view in views(gateway)) == [False, False, True]


def views(gateway: Beside) -> list[dict[str, object]]:
    return [event for event in spooled(gateway) if event["type"] == "page_view"]
