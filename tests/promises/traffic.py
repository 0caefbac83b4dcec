"""The visits that carry canaries, and what of each may be kept.

A `Visit` comes from an address in some form, with some consent status, as a page view and as an event. A `Carrier`
brings addresses in another place: forwarding headers, URLs, referrers, properties, campaigns, user agents.
"""

from __future__ import annotations

import itertools
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import quote

from consent_gateway.config.policy_file import load
from consent_gateway.edge.arrival import _FORWARDING
from consent_gateway.record.cookie import Cookies
from consent_gateway.rule.address import Packed, Prefixes, cidr, truncate
from consent_gateway.rule.consent import Consent, Status
from tests.running import Answer, Site

from .canaries import Addresses, Canary

SECRET = "a secret of the canary tests of 32 characters and more"
SITE = "shop"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
_DAY = 86_400_000
_ids = itertools.count(1)  # not random, so that no canary's four bytes are in them by chance

# Headers by which well-known proxies hand on the client's address, told apart from the package's own list.
KNOWN_HEADERS = {
    "x-forwarded-for", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "cf-connecting-ipv6",
    "fastly-client-ip", "fly-client-ip", "x-cluster-client-ip", "x-original-forwarded-for", "x-azure-clientip",
    "x-azure-socketip", "x-appengine-user-ip", "x-envoy-external-address", "x-nf-client-connection-ip",
    "x-vercel-forwarded-for", "incap-client-ip", "x-sucuri-clientip", "x-proxyuser-ip", "wl-proxy-client-ip",
    "ali-cdn-real-ip", "cloudfront-viewer-address", "do-connecting-ip", "eo-connecting-ip", "ddg-connecting-ip",
    "x-original-for", "x-forwarded-for-original", "x-remote-address", "x-qrator-ip-source", "remote-addr",
}  # fmt: skip
NEW_HEADERS = {"x-example-cdn-ip", "example-viewer-address", "x_forwarded_for", "x_real_ip", "x-clientip"}  # in no list
HEADERS = sorted({name.decode() for name in _FORWARDING} | KNOWN_HEADERS | NEW_HEADERS)


def wrap(kind: str, packed: bytes) -> bytes:
    """An IPv4 address inside an IPv6 one, after the RFC of the kind."""
    match kind:
        case "mapped":  # RFC 4291
            return bytes(10) + b"\xff\xff" + packed
        case "6to4":  # RFC 3056
            return b"\x20\x02" + packed + bytes(9) + b"\x01"
        case "teredo":  # RFC 4380: prefix, server, flags, port and address of the client, both inverted
            server, port = bytes([65, 54, 227, 120]), b"\x63\xbf"
            return b"\x20\x01\0\0" + server + b"\x80\0" + port + bytes(byte ^ 0xFF for byte in packed)
        case "nat64":  # RFC 6052
            return bytes.fromhex("0064ff9b") + bytes(8) + packed
        case "local nat64":  # RFC 8215
            return bytes.fromhex("0064ff9b0001") + bytes(6) + packed
    raise ValueError(kind)


def _v4(packed: bytes) -> str:
    return str(IPv4Address(packed))


def _v6(packed: bytes) -> str:
    return IPv6Address(packed).compressed


def _dotted(wrapped: bytes) -> str:
    return _v6(wrapped[:12] + b"\1\1\1\1").removesuffix("101:101") + _v4(wrapped[12:])


# How an address stands in a header: of which kind it is, and its text. What stands under `torn` is no address.
FORMS: dict[str, tuple[str, Callable[[bytes], str]]] = {
    "plain": ("v4", _v4),
    "with-port": ("v4", lambda packed: f"{_v4(packed)}:4711"),
    "quoted": ("v4", lambda packed: f'"{_v4(packed)}"'),
    "torn": ("v4", lambda packed: f"{_v4(packed)}.5 (a proxy)"),
    "six": ("v6", _v6),
    "six-exploded": ("v6", lambda packed: IPv6Address(packed).exploded.upper()),
    "six-bracketed": ("v6", lambda packed: f"[{_v6(packed)}]"),
    "six-with-port": ("v6", lambda packed: f"[{_v6(packed)}]:4711"),
    "six-with-zone": ("v6", lambda packed: f"{_v6(packed)}%eth0"),
    "mapped": ("mapped", _dotted),
    "mapped-in-hex": ("mapped", lambda packed: f"::ffff:{packed[12:14].hex()}:{packed[14:].hex()}"),
    "sixtofour": ("6to4", _v6),
    "teredo": ("teredo", _v6),
    "nat": ("nat64", _dotted),
    "nat-local": ("local nat64", _v6),
}

_PLACE = re.compile("ADDRESS|ENCODED|TWICE")
_MEANS: dict[str, Callable[[str], str]] = {
    "ADDRESS": str,
    "ENCODED": lambda text: quote(text, safe=""),
    "TWICE": lambda text: quote(quote(text, safe="")),
}


class Makers:
    """Makes canaries, and remembers them all."""

    def __init__(self) -> None:
        self._addresses = Addresses()
        self.all: list[Canary] = []

    def make(self, label: str, form: str = "plain") -> Canary:
        kind, write = FORMS[form]
        packed = self._addresses.v6() if kind == "v6" else self._addresses.v4()
        wrapped = b"" if kind in ("v4", "v6") else wrap(kind, packed)
        canary = Canary(f"{label}, {form}", write(wrapped or packed), packed, wrapped)
        self.all.append(canary)
        return canary

    def filler(self, form: str) -> Callable[..., Any]:
        """`fill(value, place)`: each ADDRESS, ENCODED or TWICE in a text, or in texts of a value, is a new canary."""

        def fill(value: Any, place: str = "") -> Any:
            if isinstance(value, str):
                return _PLACE.sub(lambda word: _MEANS[word[0]](self.make(place or value, form).sent), value)
            if isinstance(value, dict):
                return {fill(name, place): fill(some, place or name) for name, some in value.items()}
            return value

        return fill


@dataclass(frozen=True)
class Standing:
    """What a visitor chose: cookie and headers of it, and what may be kept of a visit."""

    name: str
    consent: str  # the status that a row says; empty when nothing is kept
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    network: bool = True
    address: bool = False
    age_ms: int = 0  # of the events


def standings(now: int) -> Iterator[Standing]:
    """Every consent status, as the cookie of a browser and its signals."""
    version = load(None).versions[-1].version
    ours, theirs = Cookies([SECRET]), Cookies(["another secret, of 32 characters and more"])
    number = itertools.count()

    def cookie(consent: Consent, cookies: Cookies = ours, site: str = SITE) -> str:
        return cookies.write(consent, site, secure=False, now=now).partition(";")[0]

    def given(at: int = now - _DAY, version: str = version, **more: Any) -> Consent:
        person = urlsafe_b64encode(b"canary-person-%02d" % next(number)).decode().rstrip("=")
        return Consent(
            Status.GIVEN, frozenset(["analytics"]), consent_id=person, given_at=at, policy_version=version, **more
        )

    month = f"{time.gmtime().tm_year}-{time.gmtime().tm_mon:02d}"
    refused = Consent(Status.REFUSED, month=month, policy_version=version)
    gpc, dnt = {"Sec-GPC": "1"}, {"DNT": "1"}
    granted = cookie(given())
    yield Standing("unknown", "unknown")
    yield Standing("given", "given", granted, address=True)
    yield Standing("refused", "refused", cookie(refused))
    yield Standing("withdrawn", "withdrawn", cookie(Consent(Status.WITHDRAWN, month=month, policy_version=version)))
    yield Standing("expired", "expired", cookie(given(now - 400 * _DAY)))
    yield Standing("invalidated", "invalidated", cookie(given(version="0")))
    yield Standing(
        "objected", "", cookie(Consent(Status.REFUSED, frozenset(), True, month=month, policy_version=version))
    )
    yield Standing("objected-given", "given", cookie(given(objection=True)), network=False, address=True)
    yield Standing("signal", "", headers=gpc)
    yield Standing("track", "", headers=dnt)
    yield Standing("signal-over-given", "", cookie(given()), gpc)
    yield Standing("given-despite-signal", "given", cookie(given(despite_signal=True)), gpc, False, True)
    yield Standing("no-signal", "unknown", headers={"Sec-GPC": "true"})
    yield Standing("forged", "unknown", cookie(given(), theirs))
    yield Standing("changed", "unknown", cookie(refused).replace("~r~", "~g~"))
    yield Standing("cut", "unknown", granted[:-3])
    yield Standing("elsewhere", "unknown", cookie(given(), site="another"))
    yield Standing("two-cookies", "refused", f"{granted}; {cookie(refused)}")
    yield Standing("younger", "unknown", cookie(given(now)), age_ms=25 * 60_000)


@dataclass(frozen=True)
class Visit:
    """One visitor's page view and event, as they were sent."""

    standing: Standing
    form: str
    canary: Canary

    @property
    def path(self) -> str:
        return f"/any/{self.standing.name}/{self.form}"

    @property
    def packed(self) -> Packed | None:
        return None if self.form == "torn" else self.canary.packed

    @property
    def shown(self) -> str:
        """All that the site and the log may see of the address."""
        return cidr(truncate(self.packed, Prefixes()), Prefixes()).partition("/")[0] if self.packed else "0.0.0.0"

    @property
    def network(self) -> str:
        return cidr(truncate(self.packed, Prefixes()), Prefixes()) if self.packed and self.standing.network else ""

    @property
    def headers(self) -> dict[str, str]:
        cookie = {"Cookie": self.standing.cookie} if self.standing.cookie else {}
        return {"User-Agent": BROWSER, "X-Forwarded-For": self.canary.sent} | self.standing.headers | cookie

    def send(self, site: Site) -> Iterator[tuple[str, Answer]]:
        """A page view, an event, and a look at what the site sees."""
        if not self.standing.age_ms:
            yield "page", site.get(self.path, self.headers)
        event = {"type": "custom", "url": f"http://127.0.0.1{self.path}", "name": "Bought", "id": f"{next(_ids):016x}"}
        yield "event", site.post("/_cg/events", event | {"age_ms": self.standing.age_ms}, self.headers)
        yield "echo", site.get("/echo", self.headers)


def visits(makers: Makers) -> list[Visit]:
    now = int(time.time() * 1000)
    return [
        Visit(standing, form, makers.make(f"visitor {standing.name}", form))
        for standing in standings(now)
        for form in FORMS
    ]


@dataclass(frozen=True)
class Carrier:
    """A request that carries canaries elsewhere than in the client's address. `own`: in what is the site's to see."""

    label: str
    method: str
    path: str
    headers: dict[str, str] | list[tuple[str, str]]
    body: Any = None
    own: bool = True

    def send(self, site: Site) -> Answer:
        return site.request(self.method, self.path, self.headers, self.body)


# What a `Forwarded` header (RFC 7239) may look like, also when it is none.
FORWARDED = [
    "for=ADDRESS", 'for="ADDRESS"', "proto=http;For = ADDRESS ;by=ADDRESS", "for=_a, for=ADDRESS;host=shop.example",
    "ADDRESS", 'for="\\"ADDRESS"', 'for="ADDRESS', "for=ADDRESS,for=ADDRESS", "secret=ADDRESS", "FOR=ADDRESS;x",
    "for=ADDRESS;for=ADDRESS", "for=x;ADDRESS", "for=\tADDRESS", "for=ADDRESS ADDRESS",
]  # fmt: skip


def header_carriers(makers: Makers, client: Canary) -> Iterator[Carrier]:
    """Every forwarding header at once, in several spellings, from someone behind the trusted proxy."""
    every = [name for name in HEADERS if name not in ("x-forwarded-for", "forwarded")]
    for form in FORMS:
        fill = makers.filler(form)
        # every header in two forms, two headers in every form
        names = every if form in ("plain", "six-with-port") else ["x-real-ip", "cf-connecting-ip"]
        headers = [("X-Forwarded-For", f"{fill('ADDRESS')}, {client.sent}"), ("User-Agent", BROWSER)]
        headers += [(name.title(), fill("ADDRESS", name)) for name in names]
        headers += [("Forwarded", fill(shape, f"Forwarded: {shape}")) for shape in FORWARDED if form != "quoted"]
        yield Carrier(f"headers, {form}", "GET", "/echo", headers, own=False)
        yield Carrier(f"headers of a page, {form}", "GET", f"/any/headers/{form}", headers, own=False)
    lines = [("X-Forwarded-For", makers.filler("plain")("ADDRESS, unknown")), ("X-Forwarded-For", client.sent)]
    yield Carrier("two lines of a header", "GET", "/echo", lines, own=False)


# Where an address may stand in what a visit says: ADDRESS as it is, ENCODED with percent signs, TWICE with more.
PATHS = [
    "/any/ADDRESS", "/any/ADDRESS/more", "/any/ENCODED", "/any/TWICE", "/any/from-ADDRESS-here", "/any/a;ip=ADDRESS",
    "/missing/ADDRESS", "/mounted/ENCODED/page", "/page/ENCODED", "/any/content?ip=ENCODED&ENCODED=1&ENCODED",
    "/any/content?utm_source=ENCODED&utm_medium=ENCODED&utm_campaign=ENCODED&utm_term=ENCODED&utm_content=ENCODED",
    "/any/content?ref=ENCODED", "/any/content?utm_campaign=from+TWICE+here", "/cached?utm_source=ENCODED",
    "/_cg/state?language=ENCODED", "/_cg/notices/ENCODED",
]  # fmt: skip
HEADERS_OF_A_PAGE = [
    ("Referer", "https://ADDRESS/"), ("Referer", "https://www.example.org/ADDRESS/x"), ("Referer", "ADDRESS"),
    ("Referer", "https://www.google.com/search?q=ENCODED"), ("Referer", "https://ENCODED:x@www.example.org/"),
    ("Referer", "https://www.example.org/#ADDRESS"), ("Referer", "android-app://ADDRESS/"), ("Referer", "//ADDRESS/x"),
    ("User-Agent", "ADDRESS"), ("User-Agent", "Mozilla/5.0 (ADDRESS; Linux x86_64) Gecko/20100101 Firefox/150.0"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/ADDRESS"), ("User-Agent", "bot/1.0 (+http://ADDRESS/)"),
    ("Accept-Language", "ADDRESS"), ("Cookie", "seen=ENCODED; cg=ENCODED"), ("Host", "ADDRESS"), ("Origin", "http://ADDRESS"),
]  # fmt: skip
EVENTS: list[dict[str, Any]] = [
    {"type": "custom", "name": "ADDRESS"},
    {"type": "custom", "name": "from ADDRESS here"},
    {"type": "custom", "props": {"ADDRESS": "x", "ENCODED": "y", "value": "ADDRESS", "other": "from TWICE here"}},
    {"type": "page_view", "url": "http://127.0.0.1/any/ADDRESS"},
    {"type": "page_view", "url": "http://127.0.0.1/any?utm_campaign=ENCODED&ip=ENCODED#ENCODED"},
    {"type": "page_view", "url": "http://ENCODED@127.0.0.1/any/content"},
    {"type": "page_view", "url": "http://ADDRESS/any/content"},
    {"type": "page_view", "url": "ADDRESS"},
    {"type": "page_view", "referrer": "https://www.example.org/ADDRESS"},
    {"type": "engagement", "referrer": "https://ADDRESS/", "engaged_ms": 1000},
    {"type": "wrong", "url": "ADDRESS"},
    {"type": "custom", "ADDRESS": "ADDRESS"},
]
CONTENT_FORMS = ("plain", "with-port", "six", "six-bracketed", "mapped", "mapped-in-hex", "sixtofour", "teredo", "nat")


def content_carriers(makers: Makers, standing: Standing, client: Canary) -> Iterator[Carrier]:
    """Addresses in all that a visit says, in spellings that a person would know for an address."""
    for form in CONTENT_FORMS:
        fill = makers.filler(form)
        base = {"User-Agent": BROWSER, "X-Forwarded-For": client.sent, "Cookie": standing.cookie}
        for path in PATHS:
            yield Carrier(path, "GET", fill(path), base)
        for name, value in HEADERS_OF_A_PAGE:
            yield Carrier(f"{name}: {value}", "GET", "/any/content", base | {name: fill(value, name)})
        whole = {"url": "http://127.0.0.1/any/content"}
        events = [fill(whole | event | {"id": f"{next(_ids):016x}"}) for event in EVENTS]
        yield Carrier("events", "POST", "/_cg/events", base, events)
        yield Carrier("beacon", "POST", "/_cg/events", base | {"Content-Type": "text/plain"}, fill("ADDRESS"))
        yield Carrier("choice", "POST", "/_cg/choice", base, fill({"action": "ADDRESS", "language": "ADDRESS"}))
        yield Carrier("nonce", "POST", "/_cg/choice", base, fill({"action": "accept_all", "nonce": "ADDRESS"}))
