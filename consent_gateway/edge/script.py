"""`GET site.js`: the script of a page, packed once when the gateway is imported, the same bytes for everybody. And
`GET more.js`, a second one, for pages that want it.

Also under a name with its hash in it, which may be kept for ever. An old hash, from a page that a cache kept, gets
today's script, for this time only: a page without its banner would be the greater fault.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from .packer import pack

STATIC = Path(__file__).parent.parent / "static"
_NAME = re.compile(r"/(?P<name>[a-z]+)(?:\.(?P<hash>[0-9a-f]{16}))?\.js")
_FRESH = "public, max-age=3600, stale-while-revalidate=86400"
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Script:
    """One packed script, also compressed."""

    plain: bytes
    packed: bytes
    digest: str

    @property
    def short(self) -> str:
        """What of the digest stands in the name."""
        return self.digest[:16]


def _make(name: str) -> Script:
    plain = pack(STATIC / f"{name}.js")
    return Script(plain, gzip.compress(plain, 9, mtime=0), sha256(plain).hexdigest())


_SCRIPTS = {name: _make(name) for name in ("site", "more")}
SCRIPT = _SCRIPTS["site"].plain
DIGEST = _SCRIPTS["site"].digest


def is_script(path: str) -> bool:
    """Is this, below the prefix, the path of a script of ours?"""
    found = _NAME.fullmatch(path)
    return found is not None and found["name"] in _SCRIPTS


def answer(path: str, request: Request) -> Response:
    """The script, or that the sender has it (304). Nothing in it, nor in its headers, differs by visitor."""
    found = _NAME.fullmatch(path)
    assert found is not None
    script = _SCRIPTS[found["name"]]
    compressed = "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{script.short}{"-gzip" if compressed else ""}"'
    kept = "no-cache" if found["hash"] not in (None, script.short) else _FOR_EVER if found["hash"] else _FRESH
    headers = {
        "ETag": tag,
        "Cache-Control": kept,
        "Vary": "Accept-Encoding",
        "Cross-Origin-Resource-Policy": "cross-origin",  # public bytes; who may ask the rest is ALLOWED_ORIGINS' matter
    }
    if script.short in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if compressed:
        return Response(script.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type="text/javascript")
    return Response(script.plain, headers=headers, media_type="text/javascript")


class Tag(str):
    """HTML that a template engine (Jinja, and all that know `__html__`) puts in as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def script_tag(
    prefix: str = "/_cg", *, origin: str = "", immutable: bool = True, nonce: str = "", more: bool = False
) -> Tag:
    """The script's tag, for a template: `{{ script_tag() }}` with this function among its globals.

    `prefix` is the setting PREFIX, `origin` names the gateway's host for pages of another one, `nonce` is that of the
    page's policy. An immutable one names the script with its hash, so no browser asks for it twice; only pages that are
    made by the running gateway should, because a new version has another hash. `more` adds the second script: load
    times, links that lead away, downloads, forms and missing pages.
    """
    word = f' nonce="{escape(nonce)}"' if nonce else ""
    place = escape(origin.rstrip("/") + prefix)
    names = [
        f"{name}.{_SCRIPTS[name].short}.js" if immutable else f"{name}.js" for name in ("site", "more")[: 1 + more]
    ]
    return Tag("\n".join(f'<script src="{place}/{name}"{word} defer></script>' for name in names))
