"""A fixed set of realistic requests, made beforehand: many visitors, agents, languages, consent states, addresses.

Cookies are signed with the site's own secret. An event's id must be new each time, so a request holds `ID` where the
generator puts one; with `distinct` it holds `ADDRESS` too. Both generators (`wrk.lua` and `drive.py`) read the file
that `write` makes: for each request eight digits of its length, then its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from consent_gateway.config.policy_file import load
from consent_gateway.demo.crowd import AGENTS, COUNTRIES, SOURCES
from consent_gateway.demo.crowd import PAGES as PAGES
from consent_gateway.record.cookie import Cookies
from consent_gateway.rule.consent import Consent, Status
from consent_gateway.rule.purposes import ANALYTICS

T = TypeVar("T")

ID = b"@" * 16
ADDRESS = b"@ADDRESS@"
HOST = "www.example.eu"
SITE = "bench"
EXCLUDED = "/internal"  # in EXCLUDE_PATHS
BATCH = 20
REQUESTS = 20_000
VISITORS = 8_000

LANGUAGES = ("nl-BE,nl;q=0.9,en;q=0.8", "fr-BE,fr;q=0.9", "en-GB,en;q=0.9", "nl", "de-DE,de;q=0.9,en;q=0.7", "en-US,en")
# how visitors stand: the share, and the consent in their cookie (none: they have not chosen)
STATES: tuple[tuple[float, str], ...] = (
    (44, "unknown"),
    (30, "given"),
    (20, "refused"),
    (3, "withdrawn"),
    (1, "objection"),
    (2, "signal"),
)


@dataclass(frozen=True)
class Visitor:
    address: str
    agent: str
    language: str
    cookies: str
    signal: bool


def visitors(secret: str, count: int, now: int, seed: int = 7) -> list[Visitor]:
    """Visitors of the demo's crowd, with cookies as this site would have signed them. `now` in milliseconds."""
    chance = Random(seed)
    cookies, version = Cookies([secret]), load(None).versions[-1].version
    month = f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m}"
    made = []
    for _ in range(count):
        state = pick(chance, STATES)
        pattern, versions = pick(chance, AGENTS)
        parts = [f"session={chance.getrandbits(128):032x}", f"theme={chance.choice(['dark', 'light'])}"]
        consent = _consent(chance, state, month, version, now)
        if consent is not None:
            line = cookies.write(consent, SITE, secure=True, now=now)
            parts.append(line.partition(";")[0])
        network = ip_network(chance.choice(pick(chance, COUNTRIES)))
        made.append(
            Visitor(
                str(network[chance.randrange(1, network.num_addresses - 1)]),
                pattern.format(v=chance.choice(versions)),
                chance.choice(LANGUAGES),
                "; ".join(parts),
                state == "signal",
            )
        )
    return made


def _consent(chance: Random, state: str, month: str, version: str, now: int) -> Consent | None:
    if state in ("unknown", "signal"):
        return None
    if state == "given":
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        return Consent(
            Status.GIVEN,
            frozenset([ANALYTICS]),
            consent_id="".join(chance.choices(letters, k=22)),
            given_at=now - chance.randrange(3_600_000, 30 * 86_400_000),
            policy_version=version,
        )
    if state == "objection":
        return Consent(Status.REFUSED, objection=True, month=month, policy_version=version)
    return Consent(Status(state), month=month, policy_version=version)


def event(chance: Random, *, view: str = "", event_id: str = ID.decode()) -> dict[str, Any]:
    """One event as the page's script sends it: a view, engagement or something of the site's own."""
    page = chance.choice(PAGES)
    made: dict[str, Any] = {
        "type": chance.choices(("page_view", "engagement", "custom"), (55, 30, 15))[0],
        "url": f"https://{HOST}{page}",
        "view": view or f"{chance.getrandbits(64):016x}",
        "id": event_id,
    }
    if made["type"] == "page_view":
        source = pick(chance, SOURCES)
        referrer = source.referrer if source.referrer != "-" else ""
        made["referrer"] = referrer or f"https://{HOST}{chance.choice(PAGES)}"
        if source.query:
            made["url"] += "?" + source.query.format(token=f"{chance.getrandbits(160):040x}")
        made["screen"] = chance.choice(("sm", "md", "lg"))
        made["timings"] = {
            "ttfb_ms": round(chance.uniform(20, 400), 1),
            "dom_ms": round(chance.uniform(300, 1500), 1),
            "load_ms": round(chance.uniform(500, 3000), 1),
            "lcp_ms": round(chance.uniform(500, 2500), 1),
        }
    elif made["type"] == "engagement":
        made |= {"engaged_ms": chance.randrange(500, 120_000), "scroll_pct": chance.randrange(101)}
    else:
        made |= {"name": chance.choice(("download", "signup", "search")), "props": {"plan": chance.choice("ABC")}}
        made["age_ms"] = chance.randrange(5000)
    return made


def headers(visitor: Visitor, *, address: str = "") -> dict[str, str]:
    """What a browser sends, and what the proxy in front adds."""
    sent = {
        "Host": HOST,
        "User-Agent": visitor.agent,
        "Accept-Language": visitor.language,
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Cookie": visitor.cookies,
        "X-Forwarded-For": address or visitor.address,
        "X-Forwarded-Proto": "https",
    }
    return sent | ({"Sec-GPC": "1"} if visitor.signal else {})


def posted(visitor: Visitor, body: Any, *, path: str = "/_cg/events", address: str = "") -> bytes:
    sent = headers(visitor, address=address) | {
        "Accept": "*/*",
        "Origin": f"https://{HOST}",
        "Referer": f"https://{HOST}/workshop",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "no-cors",
        "Content-Type": "text/plain;charset=UTF-8",
    }
    return request("POST", path, sent, json.dumps(body, separators=(",", ":")).encode())


def got(visitor: Visitor, path: str) -> bytes:
    sent = headers(visitor) | {
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Referer": f"https://{HOST}/",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "navigate",
    }
    return request("GET", path, sent, b"")


def request(method: str, path: str, sent: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def requests(kind: str, people: Sequence[Visitor], count: int, seed: int = 11) -> Iterator[bytes]:
    """`event`, `batch` (of 20), `page`, `excluded` (a page), or `distinct` (events, the address left to be filled)."""
    chance = Random(seed)
    for _ in range(count):
        visitor = chance.choice(people)
        if kind in ("event", "distinct"):
            yield posted(visitor, event(chance), address=ADDRESS.decode() if kind == "distinct" else "")
        elif kind == "batch":
            view = f"{chance.getrandbits(64):016x}"
            yield posted(visitor, [event(chance, view=view) for _ in range(BATCH)])
        else:
            path = chance.choice(PAGES)
            yield got(visitor, EXCLUDED + path if kind == "excluded" else path)


def write(path: Path, made: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        for one in made:
            file.write(b"%08d%b" % (len(one), one))


def read(path: Path) -> list[list[bytes]]:
    """The requests, each cut at its ids."""
    data, at, made = path.read_bytes(), 0, []
    while at < len(data):
        size = int(data[at : at + 8])
        made.append(data[at + 8 : at + 8 + size].split(ID))
        at += 8 + size
    return made


def pick(chance: Random, table: Sequence[tuple[float, T]]) -> T:
    return chance.choices(table, weights=[weight for weight, _ in table])[0][1]
