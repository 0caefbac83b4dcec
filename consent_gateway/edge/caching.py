"""What the site's answer says of itself, read in one pass, and who may keep it.

Names and values are bytes, as ASGI has them; names in small letters.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from starlette.datastructures import MutableHeaders

Header = tuple[bytes, bytes]

VARY = "Cookie, Sec-GPC, DNT"
_NOT_SHARED = frozenset({"private", "no-store"})
_NONE: frozenset[str] = frozenset()


class Answer:
    """The headers of one response. `headers` is a list of our own: the site may keep its own for its next visitor, may
    have made it of anything iterable, and may write `Content-Type`, as Django does."""

    __slots__ = ("content_type", "expires", "headers", "sets_cookies", "told")

    def __init__(self, headers: Iterable[Header]) -> None:
        self.headers = [(name.lower(), value) for name, value in headers]
        self._read()

    def _read(self) -> None:
        self.content_type = b""
        self.expires = self.sets_cookies = False
        self.told = _NONE
        for name, value in self.headers:
            if name == b"content-type":
                self.content_type = self.content_type or value
            elif name == b"set-cookie":
                self.sets_cookies = True
            elif name == b"cache-control":
                self.told = self.told | _parts(value) if self.told else _parts(value)
            elif name == b"expires":
                self.expires = True

    def is_html(self, status: int) -> bool | None:
        """Was the answer HTML? `None` where its type does not say: a 304 has none, and the plain "Not Found" of a
        framework stands for the page that was asked for."""
        kind = self.content_type
        if kind.startswith(b"text/html"):
            return True
        if (not kind and status == 304) or (status >= 400 and kind.startswith(b"text/plain")):
            return None
        return False

    @property
    def is_shared(self) -> bool:
        """May somebody else get this very answer?"""
        return not self.told & _NOT_SHARED

    @property
    def shared_may_keep(self) -> bool:
        """May a shared cache answer with this response without asking us (RFC 9111 section 3)?"""
        told = self.told
        if not told:
            return self.expires
        if not self.is_shared or "no-cache" in told or "s-maxage=0" in told:
            return False
        ages = {part for part in told if part.startswith(("s-maxage=", "max-age="))}
        fresh = any(not age.endswith("=0") for age in ages)
        return fresh or "public" in told or (not ages and self.expires)

    def make_private(self) -> None:
        """No shared cache may keep this response, nor a content network that has a header of its own (RFC 9213)."""
        if self.is_shared:
            if not self.told:
                self.headers.append((b"cache-control", b"private"))
            else:
                headers = MutableHeaders(raw=self.headers)
                headers["Cache-Control"] = f"{headers.get('cache-control', '')}, private"
            self.told |= {"private"}
        if any(map(_is_of_a_network, [name for name, _ in self.headers])):
            self.headers[:] = [pair for pair in self.headers if not _is_of_a_network(pair[0])]

    def keep_for_this_visitor(self) -> None:
        """What it says depends on the visitor's choice."""
        headers = MutableHeaders(raw=self.headers)
        headers["Cache-Control"] = "private, no-store"
        headers.add_vary_header(VARY)
        self._read()
        self.make_private()


@lru_cache(1000)
def _is_of_a_network(name: bytes) -> bool:
    return name.endswith(b"-cache-control") or name == b"surrogate-control"


@lru_cache(1000)
def _parts(value: bytes) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in value.decode("latin-1").split(","))
