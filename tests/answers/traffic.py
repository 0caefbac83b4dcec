"""Known traffic: thousands of events of some weeks, as plain dicts, with everything that makes counting hard.

Programs, objections (rows without visitor), visitors with every consent standing, persons who come back, visits across
a pause and across midnight, a night when the clock goes back, late rows in any order, repeated and growing engagement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from consent_gateway.rule.privacy import when

Row = dict[str, Any]

ZONE = ZoneInfo("Europe/Brussels")
FIRST, LAST = date(2026, 10, 19), date(2026, 11, 4)  # the clock went back on 25 October
NOW = int(datetime(2026, 11, 4, 18, 0, tzinfo=ZONE).timestamp() * 1000)
PATHS = ("/", "/a", "/b", "/blog/1", "/blog/2", "/cart", "/thanks", "/it's")
ORIGINS = (
    ("direct", "", "", ""), ("search", "Google", "google.com", ""), ("search", "Bing", "bing.com", ""),
    ("ai", "ChatGPT", "chatgpt.com", ""), ("social", "Mastodon", "mastodon.social", ""),
    ("mail", "newsletter", "", "autumn"), ("referral", "example.eu", "example.eu", ""),
)  # fmt: skip
AGENTS = (
    ("Firefox", "145", "Linux", "desktop"),
    ("Chrome", "141", "Windows", "desktop"),
    ("Safari", "26", "iOS", "mobile"),
)
PLACES = (("BE", "BE-VLG", "Gent"), ("NL", "NL-NH", "Amsterdam"), ("FR", "", "Lille"), ("", "", ""))
LANGUAGES = ("nl-BE", "fr-BE", "en", "")
STATES = ("unknown", "unknown", "given", "refused", "withdrawn", "invalidated")
ACTIONS = ("accept_all", "accept_all", "reject_all", "save", "withdraw", "object", "unobject")


def made(seed: int = 1, a_day: int = 40) -> list[Row]:
    """The events, in no order."""
    chance = Random(seed)
    rows: list[Row] = []
    day = FIRST
    while day <= LAST:
        for number in range(a_day):
            rows += _of_one(chance, day, 1000 * (day - FIRST).days + number + 1, number)
        day += timedelta(days=1)
    chance.shuffle(rows)
    return rows


def _of_one(chance: Random, day: date, visitor: int, number: int) -> Iterator[Row]:
    """A visitor's day: one to three visits, with pauses just below, at and above half an hour."""
    browser, version, system, device = chance.choice(AGENTS)
    country, region, city = chance.choice(PLACES)
    state = chance.choice(STATES)
    objected = chance.random() < 0.05
    person = 7_000_000 + number % 23 if state == "given" or objected else 0
    bot = chance.random() < 0.08
    common: Row = {
        "site": "shop", "bot": bot, "browser": "Spider" if bot else browser, "browser_version": version, "os": system,
        "os_version": "1", "device": device, "country": country, "region": region,
        "language": chance.choice(LANGUAGES), "policy_version": "1", "visitor": 0 if objected else visitor,
    }  # fmt: skip
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp() * 1000)
    last = int(datetime(day.year, day.month, day.day, 23, 59, 59, 999000, tzinfo=ZONE).timestamp() * 1000)
    at = midnight + chance.choice((0, 3_600_000, 2 * 3_600_000, chance.randrange(86_400_000)))
    for _ in range(chance.choice((1, 1, 2, 3))):
        channel, source, host, campaign = chance.choice(ORIGINS)
        for place in range(chance.choice((1, 1, 2, 3, 5))):
            if at > last:
                return
            if state in ("unknown", "invalidated") and chance.random() < 0.3:
                state = chance.choice(("given", "refused"))
                person = 7_000_000 + number % 23 if state == "given" else 0
            given = person != 0
            own: Row = common | {
                "consent": state, "person": person, "city": city if given else "",
                "purposes": (["analytics"] if objected else ["measurement"] + ["analytics"] * given),
                "path": chance.choice(PATHS),
            }  # fmt: skip
            if objected:  # what measurement is not permitted leaves empty
                kept = ("site", "consent", "person", "city", "purposes", "policy_version", "bot")
                own = {name: own[name] for name in kept} | {"bot": False}
            view = chance.getrandbits(60) + 1
            yield _row(chance, own, at, type="page_view", **({} if objected else {
                "view_id": view, "http_status": chance.choice((200, 200, 304, 0)),
                "server_ms": chance.randrange(1, 900) / 4,
                "route": chance.choice(("/blog/{id}", "/cart", "")), "channel": "internal" if place else channel,
                "source": "" if place else source, "referrer_host": "" if place else host,
                "utm_campaign": "" if place else campaign, "utm_source": "" if place or not campaign else source,
                "utm_medium": "" if place or not campaign else "email",
            }))  # fmt: skip
            if objected:
                at += 60_000
                continue
            for engaged in range(chance.choice((0, 1, 2))):
                told = at + chance.randrange(1000, 1_500_000)
                if told <= last:
                    yield _row(chance, own, told, type="engagement", view_id=view, engaged_ms=(engaged + 1) * 1500,
                               scroll_pct=chance.randrange(101), screen="md",
                               timings={"ttfb_ms": chance.randrange(1, 400) / 4})  # fmt: skip
            if chance.random() < 0.15:
                name = chance.choice(("signup", "download"))
                yield _row(chance, own, at + 5, type="custom", view_id=view, name=name,
                           props={"plan": chance.choice("AB"), "kind": "x"})  # fmt: skip
            if chance.random() < 0.05:
                yield _row(chance, own, at + 20, type="page_error", http_status=chance.choice((404, 500)))
            at += chance.choice((1, 30_000, 400_000, 1_799_999, 1_800_000))
        at += chance.choice((1_800_000, 1_800_001, 5_000_000))


def _row(chance: Random, common: Row, at: int, **more: Any) -> Row:
    late = chance.choice((0, 0, 30, 90_000_000))
    return common | {"ms": at, "received_ms": at + late} | more


def records(seed: int = 3, a_day: int = 9) -> list[Row]:
    """Choices on record, as the copy of the ledger has them; some of another site, some on the border of a day."""
    chance = Random(seed)
    found: list[Row] = []
    for day in range((LAST - FIRST).days + 1):
        midnight = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=ZONE) + timedelta(days=day)
        for number in range(a_day):
            action = chance.choice(("accept_all", "accept_all", "reject_all", "save", "withdraw", "object", "unobject"))
            granted = {"accept_all": ["analytics", "marketing"], "save": chance.choice(([], ["marketing"]))}.get(
                action, []
            )
            ended = action in ("withdraw", "reject_all", "save") and chance.random() < 0.6
            status = "given" if granted else "withdrawn" if ended or action == "withdraw" else "refused"
            found.append({
                "ms": int(midnight.timestamp() * 1000) + chance.choice((0, 1, chance.randrange(86_400_000))),
                "record": f"{day}-{number}", "site": chance.choice(("shop", "shop", "shop", "other")), "action": action,
                "status": status, "granted": granted, "supersedes": "id" if ended else "",
                "language": chance.choice(("nl", "fr", "en")), "objection": action == "object",
            })  # fmt: skip
    return found


def insert_records(client: Client, rows: Sequence[Row]) -> None:
    lines = [json.dumps({k: v for k, v in row.items() if k != "ms"} | {"at": when(row["ms"])}) for row in rows]
    client.raw_insert("consents", insert_block="\n".join(lines).encode(), fmt="JSONEachRow")


def insert(client: Client, rows: Sequence[Row], batch: str = "b") -> None:
    """As the forwarder does, but by month, so that one insert is one partition."""
    lines = []
    for row in rows:
        values = {name: value for name, value in row.items() if name not in ("ms", "received_ms")}
        values |= {"at": when(row["ms"]), "received_at": when(row["received_ms"]), "batch": batch}
        lines.append(json.dumps(values))
    client.raw_insert("events", insert_block="\n".join(lines).encode(), fmt="JSONEachRow")


def month(row: Row) -> str:
    return when(row["ms"])[:7]
