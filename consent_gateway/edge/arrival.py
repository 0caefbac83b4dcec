"""One pass over a request's scope: who sent it, with which consent, and what of it the site behind may see.

The scope is scrubbed in place, so the server's access log, which is written from the same dictionary, sees no more of
the address than the site does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from starlette.types import Scope

from ..rule.address import Networks, Packed, Prefixes, behind, find, parse, to_text, truncate

_NOWHERE = "0.0.0.0"
_SECURE = frozenset({"https", "wss"})
# what is read of a request's headers: first what each event needs, then what is seldom asked for (fields of `Others`)
_OFTEN = (b"host", b"user-agent", b"referer", b"accept-language", b"cookie")
_SELDOM = (
    b"origin", b"sec-fetch-site", b"content-type", b"authorization", b"sec-gpc", b"dnt", b"x-forwarded-proto",
    b"sec-fetch-dest", b"sec-purpose", b"purpose", b"x-purpose", b"x-moz",
)  # fmt: skip
_READ = (*_OFTEN, *_SELDOM)
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


class Others(NamedTuple):
    """Headers that are seldom asked for, as they came. The last four are the names under which browsers say that they
    fetch ahead."""

    origin: bytes = b""
    fetch_site: bytes = b""
    content_type: bytes = b""
    authorization: bytes = b""
    gpc: bytes = b""
    dnt: bytes = b""
    proto: bytes = b""
    fetch_dest: bytes = b""
    sec_purpose: bytes = b""
    purpose: bytes = b""
    x_purpose: bytes = b""
    x_moz: bytes = b""


_NO_OTHERS = Others()


@dataclass(slots=True, repr=False)
class Arrival:
    """What one request showed. Raw, in memory only: no `repr`."""

    host: str = ""
    user_agent: str = ""
    referrer: str = ""
    language: str = ""
    cookie: str = ""
    others: Others = _NO_OTHERS
    address: Packed | None = None
    secure: bool = False  # https, by the server or by a trusted proxy
    forwards: Sequence[int] = ()  # which of the headers hand on an address

    @property
    def origin(self) -> str:
        return self.others.origin.decode("latin-1")

    @property
    def fetch_site(self) -> str:
        return self.others.fetch_site.decode("latin-1")

    @property
    def content_type(self) -> str:
        return self.others.content_type.decode("latin-1")

    @property
    def authorization(self) -> str:
        return self.others.authorization.decode("latin-1")

    @property
    def is_visit(self) -> bool:
        """Does the browser ask for a page to show it now? Not when it fetches one ahead, nor when a script of a page
        asks: if the address changes then, that is a view which the page's script counts."""
        others = self.others
        ahead = others[-4:]
        return others.fetch_dest != b"empty" and not (any(ahead) and any(b"prefetch" in one.lower() for one in ahead))

    @property
    def gpc(self) -> bool:
        return self.others.gpc.strip() == b"1"

    @property
    def dnt(self) -> bool:
        return self.others.dnt.strip() == b"1"

    @property
    def signal(self) -> bool:
        others = self.others
        return bool(others.gpc or others.dnt) and (self.gpc or self.dnt)


class _Plan(NamedTuple):
    """Where a set of header names, each once and in lower case, has what is read: browsers send few different sets."""

    pick: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]  # from their values, and one empty behind them
    forwards: tuple[int, ...]
    believed: int  # the header that tells the client's address; -1 when it is not among them


class Desk:
    """Reads arrivals and scrubs scopes, by the settings that say whom to believe and what to show."""

    def __init__(self, trusted: Networks, header: str, prefixes: Prefixes, *, keep_address: bool) -> None:
        self._trusted = trusted
        self._header = header.lower()
        self._believed = self._header.encode()
        self._forwarding: dict[bytes, bool] = {}
        self._plans: dict[tuple[bytes, ...], _Plan] = {}
        self._proxies: set[str] = set()
        self._prefixes, self._keep_address = prefixes, keep_address
        self._text: Callable[[Packed], str] = lru_cache(10_000)(to_text)  # of networks, never of addresses

    def read(self, scope: Scope) -> Arrival:
        """One pass over the headers. Of a header that comes twice the last counts, but cookies and hops add up."""
        headers = scope["headers"]
        if not isinstance(headers, list):
            headers = scope["headers"] = list(headers)  # any iterable may come, and the site wants it too
        names, values = zip(*headers, strict=True) if headers else ((), ())
        plan = self._plans.get(names) or self._make_plan(names)
        if plan is None:
            return self._read_all(scope, headers)
        hops = [values[plan.believed].decode("latin-1")] if plan.believed >= 0 else []
        return self._arrival(scope, plan.pick((*values, b"")), hops, plan.forwards)

    def _make_plan(self, names: tuple[bytes, ...]) -> _Plan | None:
        """The next request with these names is read by the plan."""
        if len(set(names)) < len(names) or len(names) > _MOST_PLANNED:
            return None
        if any(len(name) > _LONGEST_NAME or name != name.lower() for name in names):
            return None
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        place = {name: index for index, name in enumerate(names)}
        plan = self._plans[names] = _Plan(
            itemgetter(*(place.get(name, len(names)) for name in _READ)),
            tuple(index for index, name in enumerate(names) if self._hands_on(name)),
            place.get(self._believed, -1),
        )
        return plan

    def _read_all(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> Arrival:
        """Header by header."""
        found: dict[bytes, bytes] = {}
        forwards: list[int] = []
        hops: list[str] = []
        for index, (name, value) in enumerate(headers):
            low = name.lower()
            if self._hands_on(name):
                forwards.append(index)
                if low == self._believed:
                    hops.append(value.decode("latin-1"))
            elif low == b"cookie" and low in found:
                found[low] += b"; " + value
            else:
                found[low] = value
        return self._arrival(scope, tuple(found.get(name, b"") for name in _READ), hops, forwards)

    def _arrival(
        self, scope: Scope, read: tuple[bytes, ...], hops: list[str], forwards: Sequence[int]
    ) -> Arrival:  # fmt: skip
        client = scope.get("client")
        peer = client[0] if client else None
        if hops and peer in self._proxies:
            address = behind(self._header, hops, self._trusted)
        else:
            address = find(peer, self._header, hops, self._trusted)
            if peer and len(self._proxies) < _MOST_PROXIES and parse(peer) in self._trusted:
                self._proxies.add(peer)  # a proxy of ours; no visitor's address is ever remembered
        host, agent, referrer, language, cookie = read[: len(_OFTEN)]
        others = tuple.__new__(Others, read[len(_OFTEN) :])  # as `_make` does
        secure = scope.get("scheme", "http") in _SECURE
        if not secure and others.proto:
            secure = others.proto.rpartition(b",")[2].strip().lower() == b"https" and self._trusts(peer)
        return Arrival(
            host.decode("latin-1"), agent.decode("latin-1"), referrer.decode("latin-1"), language.decode("latin-1"),
            cookie.decode("latin-1"), others, address, secure, forwards,
        )  # fmt: skip

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
        scope["headers"] = [pair for pair in scope["headers"] if not self._hands_on(pair[0])]

    def _trusts(self, peer: str | None) -> bool:
        if not peer:
            return self._trusted.unix
        return peer in self._proxies or parse(peer) in self._trusted

    def _show(self, address: Packed | None) -> str:
        return self._text(truncate(address, self._prefixes)) if address and self._keep_address else _NOWHERE

    def _hands_on(self, name: bytes) -> bool:
        """Is this a header by which proxies hand on an address?"""
        known = self._forwarding.get(name)
        if known is None:
            low = name.lower()
            known = low not in _READ and (low == self._believed or _names_an_address(low))
            if len(self._forwarding) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
                self._forwarding[name] = known
        return known


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
