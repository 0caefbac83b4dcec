"""The README's site, as it stands there: its page has the tag, and its view is kept."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.servers import OtherSite
from tests.running import ROOT

README = (ROOT / "README.md").read_text()
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def test_the_site_of_the_readme(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (line,) = re.findall(r"^(uvicorn .*)$", README, re.MULTILINE)
    assert len(code.splitlines()) < 15 and "`shop.py`" in README
    site = OtherSite(tmp_path / "home", line + " --port {port}", SITE="shop", BACK_OFFICE="external")
    (site.work_dir / "shop.py").write_text(code)
    with site:
        answer = site.get("/", FIREFOX)
        assert re.search(r'<script src="/_cg/site\.[0-9a-f]{16}\.js" defer></script>', answer.text)
        site.stop()
    kept = b"".join(path.read_bytes() for path in (site.data_dir / "spool" / "open").iterdir())
    assert kept.count(b'"type":"page_view"') == 1 and b'"path":"/"' in kept and b'"network":"127.0.0.0/24"' in kept
