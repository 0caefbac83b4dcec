"""URLs without what could identify a person.

Of a URL go: userinfo, port, fragment, every query key that is not on the allow-list (`campaign`), matrix parameters
(`;jsessionid=…`), and each path segment that gives a person away, which becomes `*`. What is kept keeps its own
spelling, so that a page has one name whoever reports it: percent-encoded, what isn't ASCII included. Scrubbing twice
changes nothing. Nothing here raises, and paths are at most 500 characters, cut between segments.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from ..rule.event import Page
from . import campaign
from .personal import ORDINARY, gives_away, is_address, is_token, plain, printable, scrub_text

__all__ = ["path_of", "read_page", "scrub_host", "scrub_path", "scrub_segment", "scrub_text", "split_url"]

PATH_LIMIT = 500
_LONGEST_HOST, _LONGEST_LABEL = 253, 63  # RFC 1035
_SPELLED = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@%-]*")
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"[a-z0-9_*-]+(?:\.[a-z0-9_*-]+)*")
# 0.5 µs, where judging each segment takes 5. Atomic, or a path that fails at its end would be tried in 2^n ways.
_ORDINARY_PATH = re.compile(rf"(?>/{ORDINARY.replace(' ', '')}?(?=/|\Z))++")
_ORDINARY_HOST = re.compile(r"(?:[a-z][a-z-]{0,18}\.){1,4}[a-z]{2,10}")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)$")

# Only what came out as it went in is remembered: a cache keyed by what was scrubbed would hold it for hours.
_harmless: set[str] = set()
_pages: dict[str, Page] = {}
_HARMLESS_LIMIT = 5000


def scrub_segment(text: str) -> str:
    """One path segment, percent-encoded, or `*`."""
    text = printable(text)
    if gives_away(text):
        return "*"
    return text if _SPELLED.fullmatch(text) else quote(text, safe="!$&'()*+,=:@%", errors="replace")


def scrub_path(path: str) -> str:
    """A path, always with a leading slash, without query, fragment and matrix parameters."""
    if path in _harmless or (len(path) <= PATH_LIMIT and _ORDINARY_PATH.fullmatch(path)):
        return path
    kept = printable(path.split("#", 1)[0].split("?", 1)[0])
    if not kept.startswith("/"):
        kept = "/" + kept
    if ";" in kept:
        kept = re.sub(r";[^/]*", "", kept)
    # Cut before judging, to bound the work, and after it, because encoding makes longer.
    kept = _cut("/".join(map(scrub_segment, _cut(kept).split("/"))))
    if kept == path:
        if len(_harmless) >= _HARMLESS_LIMIT:
            _harmless.clear()
        _harmless.add(path)
    return kept


def _cut(path: str) -> str:
    if len(path) <= PATH_LIMIT:
        return path
    return path[: path.rfind("/", 0, PATH_LIMIT + 1)] or "/*"


def split_url(url: str) -> tuple[str, str, str, str]:
    """Scheme, host, path and query of a URL as they stand, *not scrubbed*. Scheme and host are lower case.

    A URL without `scheme://` is all path: `//a/b` is what a careless link makes of `/a/b`.
    """
    url, _, _ = url.partition("#")
    scheme = _SCHEME.match(url)
    if not scheme:
        path, _, query = url.partition("?")
        return "", "", path, query
    rest, _, query = url[scheme.end() :].partition("?")
    authority, slash, path = rest.replace("\\", "/").partition("/")
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        host = host.partition("]")[0] + "]"
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    return scheme[1].lower(), host.strip().rstrip(".").lower(), slash + path, query


def scrub_host(host: str) -> str:
    """A lower-case host name in its ASCII form; empty when it is none, `*` when it is or holds an address.

    A label that is a token becomes `*` alone, so that the site remains: `*.safeframe.example`.
    """
    if _ORDINARY_HOST.fullmatch(host):
        return host
    if not host or len(host) > _LONGEST_HOST:  # before any work: what a name may become grows faster than it does
        return ""
    meant = plain(host)
    if meant is None or len(meant) > _LONGEST_HOST or any(len(label) > _LONGEST_LABEL for label in meant.split(".")):
        return ""
    # A last label that is a number makes a browser read the whole as IPv4 (WHATWG URL, "ends in a number").
    if is_address(meant) or "@" in meant or _NUMERIC.fullmatch(meant.rpartition(".")[2]):
        return "*"
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return ""
    if len(host) > 253 or not _HOST.fullmatch(host):
        return ""
    return host if len(host) < 8 else ".".join(map(_scrub_label, host.split(".")))


def _scrub_label(label: str) -> str:
    # Long names of letters alone are names, and the digits of punycode say nothing.
    if len(label) < 8 or label.isalpha() or label.startswith("xn--"):
        return label
    return "*" if is_token(label) or is_address(label) else label


def path_of(url: str) -> str:
    """The path of a URL as it stands, *not scrubbed*."""
    known = _pages.get(url)
    return known.path if known is not None else split_url(url)[2]


def read_page(url: str) -> Page:
    """What is kept of a page's URL, absolute or path alone. A host that is an address is `*`: see `split_url`."""
    known = _pages.get(url)
    if known is not None:
        return known
    scheme, host, path, query = split_url(url)
    kept, values = campaign.read(query)
    page = Page(scrub_host(host), scrub_path(path), kept, values)
    if not query and url == f"{scheme}://{page.host}{page.path}":
        if len(_pages) >= _HARMLESS_LIMIT:
            _pages.clear()
        _pages[url] = page
    return page
