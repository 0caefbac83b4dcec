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

from ..rule.address import Networks, Packed, Prefixes, find, to_text, truncate

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
}  # fmt: skip
_FOR = re.compile(r'((?:for|by)\s*=\s*)("[^"]*"|[^;,\s]*)', re.IGNORECASE)


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
        self._scrubbed = _FORWARDING | {self._believed}
        self._find: Callable[[str | None, tuple[str, ...]], Packed | None] = lru_cache(10_000)(self._find_client)
        self._shown: Callable[[Packed | None], str] = lru_cache(10_000)(
            lambda address: to_text(truncate(address, prefixes)) if address and keep_address else _NOWHERE
        )

    def read(self, scope: Scope) -> Arrival:
        arrival = Arrival()
        hops: list[str] = []
        for name, value in scope["headers"]:
            field = _WANTED.get(name)
            if field is not None:
                setattr(arrival, field, value.decode("latin-1"))
            elif name == b"cookie":
                text = value.decode("latin-1")
                arrival.cookie = f"{arrival.cookie}; {text}" if arrival.cookie else text
            elif name in self._scrubbed:
                arrival.forwards = True
                if name == self._believed:
                    hops.append(value.decode("latin-1"))
            elif name == b"sec-gpc":
                arrival.gpc = value == b"1"
            elif name == b"dnt":
                arrival.dnt = value == b"1"
            elif name in _PREFETCH:
                arrival.prefetch = arrival.prefetch or b"prefetch" in value.lower()
        client = scope.get("client")
        arrival.address = self._find(client[0] if client else None, tuple(hops))
        return arrival

    def scrub(self, scope: Scope, arrival: Arrival) -> None:
        """Leave the truncated address where an address stands: client, and every forwarding header."""
        shown = self._shown(arrival.address)
        scope["client"] = (shown, 0)
        if arrival.forwards:
            scope["headers"] = [(name, self._treat(name, value, shown)) for name, value in scope["headers"]]

    def scrub_blind(self, scope: Scope) -> None:
        """When reading failed: no address at all, so that a fault of ours shows nobody more than the rule would."""
        scope["client"] = (_NOWHERE, 0)
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in self._scrubbed]

    def _find_client(self, peer: str | None, hops: tuple[str, ...]) -> Packed | None:
        return find(peer, self._header, hops, self._trusted)

    def _treat(self, name: bytes, value: bytes, shown: str) -> bytes:
        if name not in self._scrubbed:
            return value
        if name == b"forwarded":
            address = f'"[{shown}]"' if ":" in shown else shown
            return _FOR.sub(lambda match: match[1] + address, value.decode("latin-1")).encode("latin-1")
        return shown.encode()
