"""`site.js` as a browser gets it: the same bytes for everybody, kept where it may be kept, small, and in the wheel."""

from __future__ import annotations

import gzip
import re
import shutil
import tomllib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from consent_gateway import script_tag
from consent_gateway.edge.packer import pack
from consent_gateway.edge.script import DIGEST, SCRIPT, STATIC
from tests.running import ROOT, Site

HIDDEN = ("cookie", "consent", "banner", "gdpr", "analytics", "track")  # words that ad-block lists hide


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


def test_the_same_bytes_for_everybody(site: Site) -> None:
    one = site.get("/_cg/site.js", {"Accept-Language": "nl", "Sec-GPC": "1"}, cookies={"cg": "x"})
    other = site.get("/_cg/site.js")
    assert one.body == other.body == SCRIPT
    assert sha256(SCRIPT).hexdigest() == DIGEST
    assert one.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "Set-Cookie" not in one.headers and one.headers["Vary"] == "Accept-Encoding"
    assert one.headers["Cache-Control"].startswith("public, max-age=3600")


def test_it_is_sent_compressed_and_not_twice(site: Site) -> None:
    packed = site.get("/_cg/site.js", {"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == SCRIPT
    plain = site.get("/_cg/site.js")
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for tag in (plain.headers["ETag"], f"W/{packed.headers['ETag']}", f'"other", {plain.headers["ETag"]}'):
        again = site.get("/_cg/site.js", {"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
    assert site.get("/_cg/site.js", {"If-None-Match": '"other"'}).status == 200
    assert site.request("HEAD", "/_cg/site.js").status == 200


def test_under_its_hash_it_may_be_kept_for_ever(site: Site) -> None:
    named = re.search(r'src="([^"]+)"', script_tag())
    assert named
    answer = site.get(named[1])
    assert answer.body == SCRIPT and answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    old = site.get("/_cg/site.0123456789abcdef.js")  # of a page that a cache has kept since yesterday
    assert old.body == SCRIPT and old.headers["Cache-Control"] == "no-cache"
    more = site.get("/_cg/more.js", {"Accept-Encoding": "gzip"})
    assert gzip.decompress(more.body) == pack(STATIC / "more.js") and more.headers["Vary"] == "Accept-Encoding"
    assert site.get("/_cg/other.js").status == 404
    assert site.request("POST", "/_cg/site.js").status == 405


def test_the_tag() -> None:
    assert script_tag(immutable=False) == '<script src="/_cg/site.js" defer></script>'
    assert script_tag("/p", origin="https://www.example.eu/", nonce='a"b', immutable=False) == (
        '<script src="https://www.example.eu/p/site.js" nonce="a&quot;b" defer></script>'
    )
    assert script_tag(more=True, immutable=False) == (
        '<script src="/_cg/site.js" defer></script>\n<script src="/_cg/more.js" defer></script>'
    )
    assert DIGEST[:16] in script_tag()
    assert script_tag().__html__() == script_tag()


def test_a_template_puts_the_tag_in_as_it_is() -> None:
    jinja2 = pytest.importorskip("jinja2")
    environment = jinja2.Environment(autoescape=True)
    environment.globals["script_tag"] = script_tag
    assert environment.from_string("{{ script_tag() }}").render() == script_tag()


def test_nothing_in_it_is_named_after_what_lists_hide() -> None:
    """In what a list can see: the addresses that are asked, and the names and classes of elements."""
    texts = set(re.findall(rb'"[^"]*"|`[^`]*`', SCRIPT + pack(STATIC / "more.js"))) - {
        b'"banner"'
    }  # where a choice was made: in a body only
    assert [text for text in texts for word in HIDDEN if word.encode() in text] == []


def test_they_are_small(tmp_path: Path) -> None:
    """Banner, preferences, gates and measurement; the measurement's part; and the extras. In bytes, compressed."""
    folder = shutil.copytree(STATIC, tmp_path / "static")
    sizes = {name: len(gzip.compress(pack(folder / f"{name}.js"), 9)) for name in ("site", "more")}
    entry = (folder / "site.js").read_text()
    (folder / "site.js").write_text(entry.replace('import "./measure/measure.js";\n', ""))
    without = len(gzip.compress(pack(folder / "site.js"), 9))
    assert sizes["site"] <= 7000 and 0 < sizes["site"] - without <= 2000 and sizes["more"] < 2000


def test_a_wheel_carries_the_sources() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    assert STATIC.parent.name == "consent_gateway" and STATIC / "site.js" in files
    assert [path.name for path in files if f"**/*{path.suffix}" not in settings] == []
