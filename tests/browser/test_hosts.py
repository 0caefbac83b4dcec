"""Pages of other hosts: an allowed origin of the same registrable domain has the banner, another site has not."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser

from consent_gateway import script_tag
from tests.running import Site

from .visitor import BANNER, CORNER, accept, state, until


class _Blog(BaseHTTPRequestHandler):
    """One page, with the script of another host in it."""

    tag = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        page = f"<!doctype html><html lang=en><title>A blog</title>{self.tag}<body><h1>A blog</h1></html>"
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: what is asked here is of no interest."""


@contextmanager
def blog() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blog) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_one_choice_for_the_hosts_of_a_domain_and_none_for_another(tmp_path: Path, browser: Browser) -> None:
    names = "MAP *.example.eu 127.0.0.1, MAP *.example.com 127.0.0.1"
    arguments = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={names}"]
    path = shutil.which("chromium")
    with blog() as port:
        near, far = f"http://blog.example.eu:{port}", f"http://blog.example.com:{port}"
        with (
            Site(tmp_path, "tests.browser.pages:site", BACK_OFFICE="external", ALLOWED_ORIGINS=f"{near},{far}") as site,
            browser.browser_type.launch(executable_path=path, args=arguments) as other,
        ):
            home = f"http://www.example.eu:{site.port}"
            _Blog.tag = script_tag(origin=home, immutable=False)
            page = other.new_context().new_page()
            page.goto(f"{near}/")
            page.wait_for_selector(BANNER)
            accept(page)
            page.goto(f"{home}/")
            page.wait_for_selector(CORNER)
            assert state(page)["status"] == "given", "one choice, wherever it was made"
            page.evaluate("cg.withdraw()")
            page.goto(f"{near}/")
            page.wait_for_selector(CORNER)
            assert not page.evaluate("cg.permits('analytics')")

            with page.expect_event("requestfailed", lambda request: "/_cg/state" in request.url):
                page.goto(f"{far}/")
            until(page, "window.cg && !cg.permits('measurement')")
            assert page.locator("cg-choice").count() == 0
