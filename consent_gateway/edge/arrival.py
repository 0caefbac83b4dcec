"""One pass over a request's scope: who sent it, with which consent, and what of it the site behind may see.

The scope is scrubbed in place, so the server's access log, which is written from the same dictionary, sees no more of
the address than the site does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from starlette.types import Scope

from ..rule.address import Networks, Packed, Prefixes, find, parse, to_text, truncate

Headers = list[tuple[bytes, bytes]]

_NOWHERE = "0.0.0.0"
_WANTED = {
    b"host": "host",
    b"user-agent": "user_agent",
    b"referer": "referrer",
    b"accept-language": "language",
    b"origin": "origin",
    b"sec-fetch-site": "fetch_site",
    b"content-type": "content_type",
}
_PREFETCH = {b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"}
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
    cookie: str = ""
    gpc: bool = False
    dnt: bool = False
    prefetch: bool = False
    address: Packed | None = None
    secure: bool = False  # https, by the server or by a trusted proxy
    forwards: bool = False  # some header hands on an address

    @property
    def signal(self) -> bool:
        return self.gpc or self.dnt


class Desk:
    """Reads arrivals and scrubs scopes, by the settings that say whom to believe and what to show."""

    def __init__(self, trusted: Networks, header: str, prefixes: Prefixes, *, keep_address: bool) -> None:
        self._trusted = trusted
        self._header = header.lower()
        self._believed = self._header.encode()
        self._hands_on: Callable[[bytes], bool] = lru_cache(1000)(self._names_an_address)
        self._prefixes, self._keep_address = prefixes, keep_address
        self._text: Callable[[Packed], str] = lru_cache(10_000)(to_text)  # of networks, never of addresses

    def read(self, scope: Scope) -> Arrival:
        arrival = Arrival()
        hops: list[str] = []
        proto = b""
        for name, value in scope["headers"]:
            field = _WANTED.get(name)
            if field is not None:
                setattr(arrival, field, value.decode("latin-1"))
            elif name == b"cookie":
                text = value.decode("latin-1")
                arrival.cookie = f"{arrival.cookie}; {text}" if arrival.cookie else text
            elif self._is_scrubbed(name):
                arrival.forwards = True
                if name == self._believed:
                    hops.append(value.decode("latin-1"))
            elif name == b"x-forwarded-proto":
                proto = value.rpartition(b",")[2].strip().lower()
            elif name == b"sec-gpc":
                arrival.gpc = value.strip() == b"1"
            elif name == b"dnt":
                arrival.dnt = value.strip() == b"1"
            elif name in _PREFETCH:
                arrival.prefetch = arrival.prefetch or b"prefetch" in value.lower()
        client = scope.get("client")
        peer = client[0] if client else None
        arrival.address = find(peer, self._header, hops, self._trusted)
        arrival.secure = scope["scheme"] in ("https", "wss") or (proto == b"https" and self._trusts(peer))
        return arrival

    def scrub(self, scope: Scope, arrival: Arrival) -> None:
        """Leave the truncated address where an address stands: client, and every forwarding header."""
        shown = self._show(arrival.address)
        scope["client"] = (shown, 0)
        if arrival.forwards:
            scope["headers"] = [(name, self._treat(name, value, shown)) for name, value in scope["headers"]]

    def scrub_blind(self, scope: Scope) -> None:
        """When reading failed: no address at all, so that a fault of ours shows nobody more than the rule would."""
        scope["client"] = (_NOWHERE, 0)
        scope["headers"] = [pair for pair in scope["headers"] if not self._is_scrubbed(pair[0])]

    def _trusts(self, peer: str | None) -> bool:
        return parse(peer) in self._trusted if peer else self._trusted.unix

    def _show(self, address: Packed | None) -> str:
        return self._text(truncate(address, self._prefixes)) if address and self._keep_address else _NOWHERE

    def _treat(self, name: bytes, value: bytes, shown: str) -> bytes:
        if not self._is_scrubbed(name):
            return value
        if name == b"forwarded":
            address = f'for="[{shown}]"' if ":" in shown else f"for={shown}"
            elements = value.decode("latin-1").split(",")
            return ", ".join(";".join([address, *_KEPT.findall(element)]) for element in elements).encode("latin-1")
        return shown.encode()

    def _is_scrubbed(self, name: bytes) -> bool:
        return len(name) <= _LONGEST_NAME and self._hands_on(name)

    def _names_an_address(self, name: bytes) -> bool:
        plain = name.replace(b"_", b"-")
        return name == self._believed or plain in _FORWARDING or _NAMED_SO.fullmatch(plain) is not None
