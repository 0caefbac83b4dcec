"""One pass over a request's scope: who sent it, with which consent, and what of it the site behind may see.

The scope is scrubbed in place, so the server's access log, which is written from the same dictionary, sees no more of
the address than the site does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Scope

from ..rule.address import Networks, Packed, Prefixes, behind, find, parse, to_text, truncate

_NOWHERE = "0.0.0.0"
_FORWARDS, _PREFETCH, _COOKIE, _NOTHING = "forwards", "prefetch", "cookie", ""
_SECURE = frozenset({"https", "wss"})
# what a header is to us, by its name: a field of `Arrival`, or something of its own
_KINDS = {
    b"host": "host", b"user-agent": "user_agent", b"referer": "referrer", b"accept-language": "language",
    b"origin": "origin", b"sec-fetch-site": "fetch_site", b"content-type": "content_type", b"cookie": _COOKIE,
    b"authorization": "authorization",
    b"sec-gpc": "gpc", b"dnt": "dnt", b"x-forwarded-proto": "proto",
    b"sec-fetch-dest": "fetch_dest",
    b"sec-purpose": _PREFETCH, b"purpose": _PREFETCH, b"x-purpose": _PREFETCH, b"x-moz": _PREFETCH,
}  # fmt: skip
_MOST_NAMES = 1000  # of headers that are remembered
_MOST_PLANS, _MOST_PLANNED = 500, 40  # sets of headers, and how many are in one
_MOST_PROXIES = 1000
# headers by which proxies hand on the client's address; whoever sent them, the site sees the truncated one
_FORWARDING = {
    b"x-forwarded-for", b"forwarded", b"x-real-ip", b"x-client-ip", b"client-ip", b"x-forwarded", b"forwarded-for",
    b"x-original-forwarded-for", b"x-cluster-client-ip", b"x-remote-ip", b"x-remote-addr", b"x-originating-ip",
    b"remote-addr", b"remote-ip", b"true-client-ip", b"cf-connecting-ip", b"cf-connecting-ipv6", b"cf-pseudo-ipv4",
    b"fastly-client-ip", b"fly-client-ip", b"x-azure-clientip", b"x-azure-socketip", b"x-appengine-user-ip",
    b"x-appengine-remote-addr", b"x-envoy-external-address", b"x-nf-client-connection-ip", b"x-vercel-forwarded-for",
    b"x-vercel-proxied-for", b"x-akamai-client-ip", b"incap-client-ip", b"x-sucuri-clientip", b"x-forwarded-client-ip",
    b"x-host-ip", b"x-proxyuser-ip", b"wl-proxy-client-ip", b"proxy-client-ip", b"x-coming-from", b"cdn-real-ip",
    b"ali-cdn-real-ip", b"x-source-ip", b"x-real-client-ip", b"x-ip", b"x-bb-ip", b"x-cdn-src-ip", b"gateway-client-ip",
    b"cloudfront-viewer-address", b"do-connecting-ip", b"eo-connecting-ip", b"ddg-connecting-ip", b"x-original-for",
    b"x-forwarded-for-original", b"x-remote-address", b"x-qrator-ip-source",
}  # fmt: skip
# and whatever else is named like one of them: the list of proxies never ends
_NAMED_SO = re.compile(
    rb"(?:.*-)?(?:(?:client|real|remote|source|user)?ip(?:v[46])?|(?:client|remote|source|viewer)-?addr(?:ess)?|forwarded-for)"
)
_LONGEST_NAME = 64
# what is kept of a Forwarded header (RFC 7239) beside a new `for`; anything else in it may be an address
_KEPT = re.compile(r'(?:^|;)\s*(proto=[a-z]+|host="?[a-z0-9._:\[\]-]+"?)\s*(?=;|$)', re.IGNORECASE)


@dataclass(slots=True, repr=False)
class Arrival:
    """What one request showed. Raw, in memory only: no `repr`."""

    host: str = ""
    user_agent: str = ""
    referrer: str = ""
    language: str = ""
    origin: str = ""
    fetch_site: str = ""
    content_type: str = ""
    authorization: str = ""
    cookie: str = ""
    gpc: bool = False
    dnt: bool = False
    prefetch: bool = False
    fetched: bool = False  # by a script of a page, not to be shown as a page
    address: Packed | None = None
    secure: bool = False  # https, by the server or by a trusted proxy
    forwards: Sequence[int] = ()  # which of the headers hand on an address

    @property
    def is_visit(self) -> bool:
        """Does the browser ask for a page to show it now? Not when it fetches one ahead, nor when a script of a page
        asks: if the address changes then, that is a view which the page's script counts."""
        return not (self.prefetch or self.fetched)

    @property
    def signal(self) -> bool:
        return self.gpc or self.dnt


class _Plan(NamedTuple):
    """What a set of header names, each once and in lower case, has in it for us: browsers send few different sets."""

    forwards: tuple[int, ...]
    believes: bool  # the header that tells the client's address is among them
    prefetches: tuple[bytes, ...]


class Desk:
    """Reads arrivals and scrubs scopes, by the settings that say whom to believe and what to show."""

    def __init__(self, trusted: Networks, header: str, prefixes: Prefixes, *, keep_address: bool) -> None:
        self._trusted = trusted
        self._header = header.lower()
        self._believed = self._header.encode()
        self._kinds = dict(_KINDS)
        self._plans: dict[tuple[bytes, ...], _Plan] = {}
        self._proxies: set[str] = set()
        self._prefixes, self._keep_address = prefixes, keep_address
        self._text: Callable[[Packed], str] = lru_cache(10_000)(to_text)  # of networks, never of addresses

    def read(self, scope: Scope) -> Arrival:
        """One pass over the headers. Of a header that comes twice the last counts, but cookies and hops add up."""
        headers = scope["headers"]
        if not isinstance(headers, list):
            headers = scope["headers"] = list(headers)  # any iterable may come, and the site wants it too
        found = dict(headers)
        plan = self._plans.get(tuple(found)) if len(found) == len(headers) else None
        if plan is None:
            return self._read_all(scope, headers)
        hops = [found[self._believed].decode("latin-1")] if plan.believes else []
        prefetch = any(b"prefetch" in found[name].lower() for name in plan.prefetches) if plan.prefetches else False
        return self._arrival(scope, found.get, found.get(b"cookie", b""), hops, plan.forwards, prefetch)

    def _read_all(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> Arrival:
        """Header by header. If each came once, the next request with these names is read by the plan."""
        found: dict[bytes, bytes] = {}
        forwards: list[int] = []
        hops: list[str] = []
        prefetches: list[bytes] = []
        prefetch = False
        for index, (name, value) in enumerate(headers):
            kind = self._kind(name)
            if kind is _FORWARDS:
                forwards.append(index)
                if name.lower() == self._believed:
                    hops.append(value.decode("latin-1"))
            elif kind is _PREFETCH:
                prefetches.append(name)
                prefetch = prefetch or b"prefetch" in value.lower()
            elif kind is _COOKIE and b"cookie" in found:
                found[b"cookie"] += b"; " + value
            elif kind:
                found[name.lower()] = value
        names = tuple(name for name, _ in headers)
        if len(set(names)) == len(names) <= _MOST_PLANNED and all(
            len(name) <= _LONGEST_NAME and name == name.lower() for name in names
        ):
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[names] = _Plan(tuple(forwards), bool(hops), tuple(prefetches))
        return self._arrival(scope, found.get, found.get(b"cookie", b""), hops, forwards, prefetch)

    def _arrival(
        self, scope: Scope, get: Callable[..., bytes], cookie: bytes, hops: list[str],
        forwards: Sequence[int], prefetch: bool,
    ) -> Arrival:  # fmt: skip
        client = scope.get("client")
        peer = client[0] if client else None
        if hops and peer in self._proxies:
            address = behind(self._header, hops, self._trusted)
        else:
            address = find(peer, self._header, hops, self._trusted)
            if peer and len(self._proxies) < _MOST_PROXIES and parse(peer) in self._trusted:
                self._proxies.add(peer)  # a proxy of ours; no visitor's address is ever remembered
        secure = scope.get("scheme", "http") in _SECURE
        if not secure and (proto := get(b"x-forwarded-proto", b"")):
            secure = proto.rpartition(b",")[2].strip().lower() == b"https" and self._trusts(peer)
        return Arrival(
            get(b"host", b"").decode("latin-1"),
            get(b"user-agent", b"").decode("latin-1"),
            get(b"referer", b"").decode("latin-1"),
            get(b"accept-language", b"").decode("latin-1"),
            get(b"origin", b"").decode("latin-1"),
            get(b"sec-fetch-site", b"").decode("latin-1"),
            get(b"content-type", b"").decode("latin-1"),
            get(b"authorization", b"").decode("latin-1"),
            cookie.decode("latin-1"),
            get(b"sec-gpc", b"").strip() == b"1",
            get(b"dnt", b"").strip() == b"1",
            prefetch,
            get(b"sec-fetch-dest", b"") == b"empty",
            address,
            secure,
            forwards,
        )

    def scrub(self, scope: Scope, arrival: Arrival) -> None:
        """Leave the truncated address where an address stands: client, and every forwarding header."""
        shown = self._show(arrival.address)
        scope["client"] = (shown, 0)
        if arrival.forwards:
            headers = list(scope["headers"])
            for index in arrival.forwards:
                name, value = headers[index]
                headers[index] = (name, _treated(name, value, shown))
            scope["headers"] = headers

    def scrub_blind(self, scope: Scope) -> None:
        """When reading failed: no address at all, so that a fault of ours shows nobody more than the rule would."""
        scope["client"] = (_NOWHERE, 0)
        scope["headers"] = [pair for pair in scope["headers"] if self._kind(pair[0]) != _FORWARDS]

    def _trusts(self, peer: str | None) -> bool:
        if not peer:
            return self._trusted.unix
        return peer in self._proxies or parse(peer) in self._trusted

    def _show(self, address: Packed | None) -> str:
        return self._text(truncate(address, self._prefixes)) if address and self._keep_address else _NOWHERE

    def _kind(self, name: bytes) -> str:
        kind = self._kinds.get(name)
        if kind is None:
            low = name.lower()
            kind = _KINDS.get(low) or (_FORWARDS if low == self._believed or _names_an_address(low) else _NOTHING)
            if len(self._kinds) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
                self._kinds[name] = kind
        return kind


def _names_an_address(name: bytes) -> bool:
    plain = name.replace(b"_", b"-")
    return len(name) <= _LONGEST_NAME and (plain in _FORWARDING or _NAMED_SO.fullmatch(plain) is not None)


def _treated(name: bytes, value: bytes, shown: str) -> bytes:
    """A forwarding header's value with the truncated address in it, and nothing else that may be one."""
    if name != b"forwarded":
        return shown.encode()
    address = f'for="[{shown}]"' if ":" in shown else f"for={shown}"
    elements = value.decode("latin-1").split(",")
    return ", ".join(";".join([address, *_KEPT.findall(element)]) for element in elements).encode("latin-1")
