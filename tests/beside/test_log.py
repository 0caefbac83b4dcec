"""The log of the real nginx, followed while it is rotated: each view once, of the same visitor as by their script."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.beside.gateway import Beside, spooled
from tests.beside.nginx import Nginx
from tests.running import ROOT

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BROWSER = {"User-Agent": FIREFOX, "Accept": "text/html,*/*"}


def views(gateway: Beside) -> list[dict[str, Any]]:
    return [event for event in spooled(gateway) if event["type"] == "page_view"]


def test_the_log_counts_what_the_proxy_served(tmp_path: Path) -> None:
    root = tmp_path / "site"
    root.mkdir()
    for number in range(40):
        (root / f"{number}.html").write_text("<h1>A page</h1>")
    with (
        Beside(tmp_path / "gateway", SITE="shop", TRUSTED_PROXIES="127.0.0.1/32", BACK_OFFICE="external") as gateway,
        Nginx(tmp_path / "nginx", gateway=gateway.port, root=root) as nginx,
    ):
        line = [sys.executable, "-m", "tests.replay.follower", "replay", "-f", "--no-wait", str(nginx.access_log)]
        follower = subprocess.Popen(line, env=gateway.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            for number in range(40):
                assert nginx.request("GET", f"/{number}.html", BROWSER, source="127.8.9.10").status == 200
                if number == 5:  # what lay rotated before its first start would be history
                    gateway.wait_for("the follower", lambda: len(views(gateway)) == 6)
                if number == 20:
                    nginx.access_log.rename(nginx.access_log.with_name("access.log.1"))
                if number == 25:
                    nginx.reopen_logs()
                    nginx.wait_for("a new log", nginx.access_log.exists)
            event = {"type": "custom", "url": "http://127.0.0.1/", "name": "by script"}
            assert nginx.request("POST", "/_cg/events", BROWSER, event, source="127.8.9.77").status == 204
            gateway.wait_for("the views", lambda: len(views(gateway)) >= 40)
            follower.send_signal(signal.SIGTERM)
            said, _ = follower.communicate(timeout=60)
        finally:
            follower.kill()
            follower.wait()
        assert follower.returncode == 0 and "page views" in said
        assert sorted(view["path"] for view in views(gateway)) == sorted(f"/{number}.html" for number in range(40))
        assert {event["network"] for event in spooled(gateway)} == {"127.8.9.0/24"}
        assert len({event["visitor"] for event in spooled(gateway)}) == 1
