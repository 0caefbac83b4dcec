"""Where the time of one event goes: each stage of the way from request to spool, timed in this process, one by one.

A stage in a tight loop has warm caches; in a live server it costs 1.3 to 2.6 times as much. So read the shares, and
take the sum from the live server. Times are CPU, the best of some rounds, so other programs hardly show. Where the
caches of the gateway decide (cookie, address), both are given.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from load import traffic

Item = dict[str, Any]
_ROUNDS = 7
_ITEMS = 4000


@dataclass
class Stage:
    """µs per event. `part_of` names the stage that it is a part of; empty for one of the whole way."""

    name: str
    micros: float
    part_of: str = ""
    calls: float = 0  # of functions, Python's and C's: the one figure here that no busy machine changes


def profile(home: Path, secret: str, settings: dict[str, str]) -> list[Stage]:
    """All stages. The settings are those of the measured gateway; its data go into `home`."""
    from consent_gateway.app import ConsentGateway
    from consent_gateway.config.settings import Settings

    values: dict[str, Any] = settings | {
        "DATA_DIR": str(home / "data"),
        "KEYS_DIR": str(home / "keys"),
        "SITE": "bench",
    }
    gateway = ConsentGateway(_nothing, Settings(**values))
    worker = gateway.open()
    people = traffic.visitors(secret, 4000, int(time.time() * 1000))
    items = [
        _item(raw.replace(traffic.ID, b"%016x" % (index * 0x9E3779B97F4A7C15 % 2**64)))
        for index, raw in enumerate(traffic.requests("event", people, _ITEMS))
    ]
    try:
        return _measure(worker, items)
    finally:
        gateway.close()


async def _nothing(scope: Any, receive: Any, send: Any) -> None: ...


def _item(raw: bytes) -> Item:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
    return {"headers": headers, "body": body, "path": first.split()[1].decode()}


def _scope(item: Item) -> Any:
    return {
        "type": "http", "method": "POST", "path": item["path"], "root_path": "", "query_string": b"", "scheme": "http",
        "headers": item["headers"], "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 80), "http_version": "1.1",
    }  # fmt: skip


def _measure(worker: Any, items: Sequence[Item]) -> list[Stage]:

    from consent_gateway.edge import endpoints, events
    from consent_gateway.edge import recorder as writing
    from consent_gateway.edge.wire import WireEvent, read_events
    from consent_gateway.record import spool
    from consent_gateway.record.cookie import Cookies
    from consent_gateway.rule import address, privacy
    from consent_gateway.rule.event import OF_VISITOR, DropReason, Event

    edge, rule = worker.edge, worker.edge.recorder.rule
    desk, cookies, recorder = edge.desk, edge.cookies, edge.recorder
    writing._SLOW_WRITE = 1e9  # on a busy machine a pause of ours would read as a slow disk, and a thread would write
    now = int(time.time() * 1000)
    for item in items:
        item["arrival"] = desk.read(_scope(item))
        item["consent"] = edge.declared(item["arrival"], traffic.SITE, now=now).under_signal(item["arrival"].signal)
        item["wire"] = read_events(item["body"])[0][0]
        item["sender"] = _sender(item, now)
        item["seen"] = events._observe(item["wire"], item["sender"])
        item["scope"] = _scope(item)
    kept = [item for item in items if not isinstance(rule.judge(item["seen"]), DropReason)]
    encode = recorder._encode
    for item in kept:
        item["event"] = rule.judge(item["seen"])
        item["json"] = encode(item["event"])
        item["common"] = privacy._common(rule, item["seen"], None)
        own = json.loads(item["json"]).keys() - set(OF_VISITOR)
        item["own"] = {name: getattr(item["event"], name) for name in own}
    fresh, terms = Cookies(cookies._secrets), edge.terms(now)
    found: list[Stage] = []

    def stage(name: str, do: Callable[[Item], Any], part_of: str = "", over: Sequence[Item] = items) -> None:
        found.append(Stage(name, _micros(do, over), part_of))

    async def taking(item: Item) -> None:
        await events._body(_receiving(item["body"]))

    async def answering(item: Item) -> None:
        await _sending({"type": "http.response.start", "status": 204, "headers": list(endpoints._KEPT_HEADERS)})
        await _sending({"type": "http.response.body"})

    async def whole(item: Item) -> None:
        scope = item["scope"] | {"headers": item["headers"], "client": ("127.0.0.1", 50000)}
        await worker.endpoints("/events", scope, _receiving(item["body"]), _sending)

    ways = _Ids(items)
    micros = _micros_async(whole, items, ways.renew)
    found.append(Stage("the whole way inside the gateway", micros, calls=_calls(whole, items, ways.renew)))
    stage("headers, one pass, with the address", lambda item: desk.read(item["scope"]))
    hops = [dict(item["headers"])[b"x-forwarded-for"].decode() for item in items]
    for item, hop in zip(items, hops, strict=True):
        item["hop"] = (hop,)
    trusted = desk._trusted
    stage("address found and parsed",
          lambda item: address.find("127.0.0.1", "x-forwarded-for", item["hop"], trusted), "headers")  # fmt: skip
    stage("scope scrubbed", lambda item: desk.scrub(dict(item["scope"]), item["arrival"]))
    found.append(Stage("body read", _micros_async(taking, items)))
    stage("JSON to a checked event, at a glance", lambda item: read_events(item["body"]))
    stage("by the model, which reads what the glance refuses",
          lambda item: WireEvent.model_validate_json(item["body"]), "JSON")  # fmt: skip
    stage("consent from the cookie (cached)", lambda item: edge.declared(item["arrival"], traffic.SITE, now=now))
    stage("cookie checked, not from the cache", lambda item: _uncached(fresh, item, now, terms), "consent")
    stage(
        "observation made, with its sender",
        lambda item: (_sender(item, now), events._observe(item["wire"], item["sender"])),
    )
    stage("privacy rule", lambda item: rule.judge(item["seen"]), over=kept)
    stage("what is common to the events of one sender", lambda item: privacy._common(rule, item["seen"], None),
          "privacy rule", kept)  # fmt: skip
    for step in privacy.EVENT_STEPS:
        stage(step.__name__, partial(_step, step, rule), "privacy rule", kept)
    stage("Event made of all columns", lambda item: Event(*item["common"].columns, **item["own"]), "privacy rule", kept)
    stage("row encoded", lambda item: encode(item["event"]), over=kept)
    stage(
        "line and check sum",
        lambda item: spool.line(b"202611-0123456789ab-000001", item["json"], item["wire"].id or ""),
        over=kept,
    )
    stage(
        "append to the spool (line, check sum and write)",
        lambda item: recorder._writer.append("202611", [(item["json"], item["wire"].id or "")]),
        over=kept,
    )
    repeats = recorder._today(now)
    books = getattr(recorder, "books", None) or recorder._books
    stage("repeated id looked up and noted", lambda item: _note(repeats, int(item["wire"].id, 16)), over=kept)
    stage("books, two counts", lambda item: (books.count("bench", "received"), books.count("bench", "accepted")))
    found.append(Stage("answer handed on, without what the server does with it", _micros_async(answering, items)))
    return found


class _Ids:
    """New ids in the bodies for each round, or all but the first would be judged repeats."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._bodies = [(item, item["body"], item["wire"].id.encode()) for item in items]
        self._round = 0

    def renew(self) -> None:
        self._round += 1
        for item, body, old in self._bodies:
            item["body"] = body.replace(old, b"%016x" % ((int(old, 16) + self._round) % 2**64))


def _sender(item: Item, now: int) -> Any:
    from consent_gateway.rule.event import Sender

    arrival = item["arrival"]
    return Sender(
        traffic.SITE, now, traffic.HOST, arrival.address, arrival.user_agent, arrival.language, item["consent"]
    )


def _step(step: Any, rule: Any, item: Item) -> Any:
    return step(rule, item["common"].row.copy(), item["seen"], item["common"])


def _note(repeats: Any, number: int) -> None:
    place = repeats.place(number)
    if place is not None:
        repeats.add({number: place})


def _uncached(cookies: Any, item: Item, now: int, terms: Any) -> None:
    cookies._decode.cache_clear()
    cookies.read(item["arrival"].cookie, traffic.SITE, secure=True, now=now, terms=terms)


def _receiving(body: bytes) -> Callable[[], Awaitable[Any]]:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _sending(message: Any) -> None: ...


def _micros(do: Callable[[Item], Any], items: Sequence[Item]) -> float:
    """The best of some rounds, without what the loop itself costs."""
    return (
        max(0.0, _rounds(lambda: [do(item) for item in items]) - _rounds(lambda: [_idle(item) for item in items]))
        / len(items)
        * 1e6
    )


def _idle(item: Item) -> Any:
    return None


def _micros_async(
    do: Callable[[Item], Awaitable[None]], items: Sequence[Item], before: Callable[[], None] | None = None
) -> float:
    async def idle(item: Item) -> None: ...

    async def all_of(each: Callable[[Item], Awaitable[None]]) -> float:
        times = []
        for _ in range(_ROUNDS):
            if before is not None:
                before()
            began = time.process_time()
            for item in items:
                await each(item)
            times.append(time.process_time() - began)
        return min(times)

    gc.disable()
    try:
        took = asyncio.run(all_of(do)) - asyncio.run(all_of(idle))
    finally:
        gc.enable()
    return max(0.0, took) / len(items) * 1e6


def _calls(do: Callable[[Item], Awaitable[None]], items: Sequence[Item], before: Callable[[], None]) -> float:
    """Function calls per event."""

    async def run() -> None:
        for item in items:
            await do(item)

    before()
    counter = cProfile.Profile()
    counter.runcall(asyncio.run, run())
    return float(sum(entry.callcount for entry in counter.getstats())) / len(items)


def _rounds(do: Callable[[], Any]) -> float:
    times = []
    gc.disable()
    try:
        for _ in range(_ROUNDS):
            began = time.process_time()
            do()
            times.append(time.process_time() - began)
    finally:
        gc.enable()
    return min(times)
