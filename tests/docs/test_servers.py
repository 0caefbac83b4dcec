"""docs/howto/servers.md: each of its lines starts a site that sees the shortened address of a proxy's visitor."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.faults.servers import OtherSite
from tests.running import ROOT

PORTS = {
    "uvicorn": "--port {port}",
    "gunicorn": "-b 127.0.0.1:{port} --access-logfile -",
    "granian": "--port {port} --access-log",
}
LINES = re.findall(r"^(?:uvicorn|gunicorn|granian) .*$", (ROOT / "docs/howto/servers.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.partition(" ")[0])
def test_it_leaves_the_address_to_the_gateway(tmp_path: Path, line: str) -> None:
    server = line.partition(" ")[0]
    line = line.replace("--forwarded-allow-ips ''", "--forwarded-allow-ips=").replace(" 4 ", " 2 ")
    site = OtherSite(
        tmp_path / "home", f"{line} {PORTS[server]}", workers=2, SITE="shop", BACK_OFFICE="external",
        TRUSTED_PROXIES="127.0.0.1/32",
    )  # fmt: skip
    shutil.copy(ROOT / "examples" / "deploy" / "shop.py", site.work_dir)
    with site:
        answer = site.get("/", {"X-Forwarded-For": "198.51.100.9, 203.0.113.77"})
        assert answer.status == 200 and "/_cg/site." in answer.text
        site.stop()
    assert "203.0.113.0" in site.log()
    assert not re.search(r"203\.0\.113\.77|198\.51\.100", site.log())


def test_there_is_a_line_for_each() -> None:
    assert [line.partition(" ")[0] for line in LINES] == list(PORTS)
