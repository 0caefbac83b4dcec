"""What the event path costs at the least in Python with these libraries: its stages in a straight line.

It is no gateway. It has one site and one policy, believes what it gets, and knows no bots, channels, repeats, limits,
withdrawals or faults: what is left is what no arrangement of the code can leave out. See docs/performance.md.
"""

from __future__ import annotations

import os
import struct
import tempfile
import time
from functools import lru_cache
from hashlib import blake2b
from mmap import mmap
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from itsdangerous import Signer

from load import traffic

_NO_STORE = [(b"cache-control", b"no-store")]
_COUNT = struct.Struct("<Q")


class Sent(msgspec.Struct, forbid_unknown_fields=True):
    """One event, as it comes."""

    type: str
    url: str
    view: str = ""
    id: str = ""
    age_ms: int = 0
    referrer: str = ""
    name: str = ""
    props: dict[str, str] = {}
    engaged_ms: int = 0
    scroll_pct: int = 0
    timings: dict[str, float] = {}
    screen: str = ""


class Kept(msgspec.Struct, omit_defaults=True):
    """One row, as it is written."""

    at: str
    received_at: str
    consent: str
    network: str
    visitor: int
    country: str
    browser: str
    language: str
    type: str
    path: str
    referrer_host: str
    view_id: int = 0
    address: str = ""
    engaged_ms: int = 0
    scroll_pct: int = 0
    name: str = ""
    screen: str = ""
    timings: dict[str, float] = {}
    props: dict[str, str] = {}


class Whose(NamedTuple):
    """What a request's headers say."""

    agent: bytes
    language: bytes
    packed: bytes
    network: bytes
    granted: bool


class Floor:
    """Around a site. `secret` signs the cookies; lines go to a file that has no name."""

    def __init__(self, site: Any, secret: str) -> None:
        self._site = site
        self._signer = Signer(secret, salt="consent-gateway.cookie.bench", key_derivation="hmac")
        self._consent = lru_cache(10_000)(self._check)
        self._one = msgspec.json.Decoder(Sent).decode
        self._many = msgspec.json.Decoder(list[Sent]).decode
        self._encode = msgspec.json.Encoder().encode
        self._cipher, self._salt = AESGCM(os.urandom(32)), os.urandom(32)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._handle = self._file.fileno()
        self._books = mmap(-1, 4096)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        whose = self._read(scope["headers"])
        if scope["method"] != "POST":
            await self._page(whose, scope, receive, send)
            return
        body = (await receive())["body"]
        now = int(time.time() * 1000)
        events = self._many(body) if body[:1] == b"[" else [self._one(body)]
        self._keep([self._line(event, whose, now) for event in events])
        await send({"type": "http.response.start", "status": 204, "headers": list(_NO_STORE)})
        await send({"type": "http.response.body"})

    async def _page(self, whose: Whose, scope: Any, receive: Any, send: Any) -> None:
        scope["client"] = (_text(whose.network), 0)
        if scope["path"].startswith(traffic.EXCLUDED):
            await self._site(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"server-timing", b'cg;desc="%016x"' % 7))
            await send(message)
            if message["type"] == "http.response.body":
                event = Sent("page_view", scope["path"])
                self._keep([self._line(event, whose, int(time.time() * 1000))])

        await self._site(scope, receive, sending)

    def _read(self, headers: Any) -> Whose:
        agent = language = forwarded = cookie = b""
        for name, value in headers:
            if name == b"user-agent":
                agent = value
            elif name == b"accept-language":
                language = value
            elif name == b"x-forwarded-for":
                forwarded = value
            elif name == b"cookie":
                cookie = value
        hop = forwarded.decode().rpartition(",")[2]
        packed = inet_pton(AF_INET6 if ":" in hop else AF_INET, hop)
        network = packed[:3] if len(packed) == 4 else packed[:6]
        granted = b"-cg=" in cookie and self._consent(cookie.rpartition(b"-cg=")[2].decode())
        return Whose(agent, language, packed, network, granted)

    def _line(self, event: Sent, whose: Whose, now: int) -> bytes:
        agent, language, packed, network, granted = whose
        visitor = int.from_bytes(blake2b(network + agent, digest_size=8, key=self._salt).digest(), "little")
        row = Kept(
            _when(now - event.age_ms), _when(now), "given" if granted else "unknown", _text(network), visitor,
            _country(network), _browser(agent), _language(language), event.type, _path(event.url),
            _path(event.referrer), int(event.view, 16) if event.view else 0, self._sealed(packed) if granted else "",
            event.engaged_ms, event.scroll_pct, event.name, event.screen, event.timings, event.props,
        )  # fmt: skip
        body = b'{"batch":"202611-0123456789ab-000001",%b,"id":"%b"' % (self._encode(row)[1:-1], event.id.encode())
        return b'%b,"crc":"%08x"}\n' % (body, crc32(body))

    def _keep(self, lines: list[bytes]) -> None:
        os.write(self._handle, b"".join(lines))
        _COUNT.pack_into(self._books, 0, _COUNT.unpack_from(self._books, 0)[0] + len(lines))

    def _check(self, value: str) -> bool:
        self._signer.validate(value)
        return value.startswith("1~g")  # another's secret: no cookie would be valid

    def _sealed(self, packed: bytes) -> str:
        nonce = os.urandom(12)
        text = inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)
        return (nonce + self._cipher.encrypt(nonce, text.encode(), None)).hex()


@lru_cache(4096)
def _when(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}"


@lru_cache(10_000)
def _text(network: bytes) -> str:
    return ".".join(map(str, network))


@lru_cache(10_000)
def _country(network: bytes) -> str:
    return "BE"


@lru_cache(5000)
def _browser(agent: bytes) -> str:
    return agent.decode().partition("/")[0]


@lru_cache(1000)
def _language(accepted: bytes) -> str:
    return accepted.decode().partition(",")[0]


@lru_cache(5000)
def _path(url: str) -> str:
    return url.partition("?")[0]
