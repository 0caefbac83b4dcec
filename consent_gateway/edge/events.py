"""`POST events` of the page's script: the one request that must cost next to nothing.

What can't be read at a glance goes the slow way, and is told what is wrong: see `wire`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive

from ..enrich.path import path_of
from ..rule.errors import SpoolFull
from ..rule.event import DropReason, Observation, Sender
from .arrival import Arrival
from .middleware import Edge
from .recorder import Recorder
from .wire import MAX_BODY, WireEvent, problem, read_events

_TYPES = (b"application/json", b"text/plain")


class PageEvents:
    """This route of one edge."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def take(self, arrival: Arrival, receive: Receive) -> Response | None:
        """One event or an array. `None` when all were kept or lawfully dropped; then they survive `kill -9`, and with
        EVENT_SYNC a power cut."""
        edge, recorder = self._edge, self._edge.recorder
        site = edge.site_of(arrival.host)
        kind = arrival.others.content_type
        if kind not in _TYPES and kind.partition(b";")[0].strip().lower() not in _TYPES:
            return problem(415, "Events are application/json or text/plain.")
        if wait := edge.limits.events.take(arrival.address, site):
            recorder.count_dropped(site, DropReason.RATE)
            return problem(429, "More events than one network or one site may send.", Retry_After=str(wait))
        body = await _body(receive)
        if body is None:
            return problem(413, f"A request has at most {MAX_BODY} bytes of events.")
        events, wrong, sent = read_events(body)
        if sent > 1:
            edge.limits.events.take(arrival.address, site, sent - 1, always=True)
        if len(events) < sent or not events:
            recorder.count_dropped(site, DropReason.INVALID, max(sent, 1) - len(events))
        if not events:
            return problem(422, "None of the events was valid.", wrong)
        kept = events
        if edge.settings.EXCLUDE_PATHS:
            kept = [event for event in events if not edge.is_excluded(path_of(event.url))]
            recorder.count_dropped(site, DropReason.EXCLUDED, len(events) - len(kept))
        seen: list[Observation] = []
        if not site:
            recorder.count_dropped(site, DropReason.UNKNOWN_SITE, len(kept))
        elif kept and edge.own.is_out(arrival.cookie, secure=arrival.secure):
            recorder.count_dropped(site, DropReason.OWN_BROWSER, len(kept))
        elif kept:
            now = int(time.time() * 1000)
            sender = Sender(
                site, now, arrival.host.partition(":")[0], arrival.address, arrival.user_agent, arrival.language,
                edge.in_force(arrival, site, now=now),
            )  # fmt: skip
            seen = [_observe(event, sender) for event in kept]
        return await keep(recorder, seen, [event.id for event in kept], len(events), wrong)


async def keep(
    recorder: Recorder, seen: Sequence[Observation], ids: Sequence[str | None], valid: int, wrong: list[dict[str, str]]
) -> Response | None:
    """Record what is to be recorded of one request, and say what became of it; `None` when there is nothing to say."""
    if seen:
        try:
            await recorder.record(seen, ids)
        except SpoolFull as error:
            recorder.faults.say(error)
            return problem(503, "The events can't be taken now; send them again later.", Retry_After="5")
    if wrong:
        return JSONResponse({"kept": valid, "invalid": wrong}, headers={"Cache-Control": "no-store"})
    return None


async def _body(receive: Receive) -> bytes | None:
    """The body, read no further than it may be long; `None` when it is longer."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    while message.get("more_body", False) and len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
    return body if len(body) <= MAX_BODY else None


def _observe(event: WireEvent, sender: Sender) -> Observation:
    timings, view = event.timings, event.view
    return Observation(
        sender, event.type, sender.received_at - event.age_ms, event.url, event.referrer, True,
        int(view, 16) if view else 0, event.engaged_ms, event.scroll_pct, event.screen or "",
        timings.kept() if timings else {}, event.name, event.props,
    )  # fmt: skip
