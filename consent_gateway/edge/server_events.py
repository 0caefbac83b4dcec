"""`POST events` with a token: events that the site's own server sends, of visitors whom it names.

The sender says when, from which address and with which browser; consent is read from the visitor's own cookie, which is
signed, and from nothing else. So a sender can't grant what a visitor did not, and without a cookie the status is
`unknown`. From there on these events go the way of all others: observation, privacy rule, spool.
"""

from __future__ import annotations

import re
import time
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from ..enrich.path import scrub_segment, split_url
from ..rule.address import parse
from ..rule.event import DropReason, Observation, Sender
from .arrival import Arrival, Others
from .choices import TooLarge, read_body
from .events import keep
from .limits import EVENT_SECONDS, Limit
from .middleware import Edge
from .senders import Senders
from .wire import MAX_BODY, MAX_EVENTS, WireServerEvent, faults, problem

MAX_AGE_MS = 72 * 3_600_000
_AHEAD_MS = 5 * 60_000  # clocks differ
_PARAMETER = re.compile(r"\{[\w:.*-]{1,40}\}|<[\w:]{1,40}>|:\w{1,40}\??|\*\w{0,40}")  # as frameworks write them

Wrong = list[dict[str, str]]


class ServerEvents:
    """This route of one edge."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._senders = Senders(edge.settings.DATA_DIR)
        # of senders alone, so that neither they nor the visitors' pages can take the others' part
        self._limit = Limit(0, edge.settings.EVENTS_PER_SITE, EVENT_SECONDS, edge.settings.PREFIXES)

    @staticmethod
    def is_one(arrival: Arrival) -> bool:
        """Does this post come with a token of ours? Any other `Authorization` is a matter of the site's."""
        kind, _, token = arrival.authorization.partition(" ")
        return kind.lower() == "bearer" and token.lstrip().startswith("cg_")

    async def take(self, request: Request, arrival: Arrival) -> Response | None:
        """One event or an array. `None` when all were kept or lawfully dropped; then they survive `kill -9`."""
        site = self._edge.site_of(arrival.host)
        asks = not self._senders.remembers(arrival.authorization)
        if asks and (wait := self._edge.limits.events.take(arrival.address, site)):
            return problem(429, "More tokens that nobody knows than one network may send.", Retry_After=str(wait))
        may = await self._senders.knows(arrival.authorization)
        if may is None:
            return problem(503, "The back office is starting or away; try again in a moment.", Retry_After="2")
        if not may:
            return problem(
                401, "This token is none, has expired, or lacks the scope events.", WWW_Authenticate="Bearer"
            )
        if arrival.content_type.partition(";")[0].strip().lower() != "application/json":
            return problem(415, "Events of a server are application/json.")
        try:
            body = await read_body(request, MAX_BODY)
        except TooLarge:
            return problem(413, f"A request has at most {MAX_BODY} bytes of events.")
        recorder = self._edge.recorder
        if wait := self._limit.take(None, site):
            recorder.count_dropped(site, DropReason.RATE)
            return problem(429, "More events than may come for one site.", Retry_After=str(wait))
        now = int(time.time() * 1000)
        events, wrong, sent = self._parse(body, now)
        self._limit.take(None, site, max(sent - 1, 0), always=True)
        for _ in range(max(sent, 1) - len(events)):
            recorder.count_dropped(site, DropReason.INVALID)
        if not events:
            return problem(422, "None of the events was valid.", wrong)
        seen, ids = [], []
        for event in events:
            observation = self._observe(event, arrival, now)
            if isinstance(observation, Observation):
                seen.append(observation)
                ids.append(event.id or "")
        return await keep(recorder, seen, ids, len(events), wrong)

    def _parse(self, body: bytes, now: int) -> tuple[list[WireServerEvent], Wrong, int]:
        """The valid events, what is wrong with the others, and how many were sent."""
        try:
            sent: Any = from_json(body)
        except ValueError as error:
            return [], [{"field": "body", "why": str(error)[:200]}], 0
        items = sent if isinstance(sent, list) else [sent]
        if not 1 <= len(items) <= MAX_EVENTS:
            return [], [{"field": "body", "why": f"an array has 1 to {MAX_EVENTS} events, this one {len(items)}"}], 0
        events: list[WireServerEvent] = []
        wrong: Wrong = []
        for index, item in enumerate(items):
            at = str(index) if items is sent else ""
            try:
                event = WireServerEvent.model_validate(item)
            except ValidationError as error:
                wrong.append(faults(error, at=at)[0])
                continue
            if fault := self._fault(event, now):
                wrong.append({"field": ".".join(filter(None, (at, fault[0]))), "why": fault[1]})
            else:
                events.append(event)
        return events, wrong, len(items)

    def _fault(self, event: WireServerEvent, now: int) -> tuple[str, str] | None:
        """What the model alone can't know to be wrong."""
        if event.at is not None and not now - MAX_AGE_MS <= event.at <= now + _AHEAD_MS:
            return "at", "an event is at most 72 hours old, and not of the future"
        if self._edge.recorder.rule.keep_address and parse(event.address) is None:
            return "address", "the visitor's IP address is needed, unless ADDRESS_MODE is drop"
        return None

    def _observe(self, event: WireServerEvent, arrival: Arrival, now: int) -> Observation | None:
        """What the visitor's own request showed, as far as the sender tells it; `None` when it was counted as dropped.

        The site is that of the event's own address; only where it is a path alone, that of the request.
        """
        edge = self._edge
        scheme, host, path, _ = split_url(event.url)
        site = edge.site_of(host or arrival.host)
        visitor = Arrival(
            host=host or arrival.host,
            user_agent=event.user_agent,
            language=event.language,
            cookie=event.cookie,
            others=Others(gpc=b"1" if event.gpc else b"", dnt=b"1" if event.dnt else b""),
            address=parse(event.address),
            secure=scheme == "https" if scheme else arrival.secure,
        )
        reason = None
        if not site:
            reason = DropReason.UNKNOWN_SITE
        elif edge.is_excluded(path):
            reason = DropReason.EXCLUDED
        elif edge.own.is_out(visitor.cookie, secure=visitor.secure):
            reason = DropReason.OWN_BROWSER
        if reason is not None:
            edge.recorder.count_dropped(site, reason)
            return None
        sender = Sender(
            site, now, visitor.host.partition(":")[0], visitor.address, visitor.user_agent, visitor.language,
            edge.in_force(visitor, site, now=now),
        )  # fmt: skip
        return Observation(
            sender,
            event.type,
            now if event.at is None else min(event.at, now),
            event.url,
            event.referrer,
            # the notice tells names and properties as what a page's script sends: where that needs consent, so do these
            from_device=bool(event.name or event.props),
            view_id=int(event.view or (event.id if event.type == "page_view" else "") or "0", 16),
            route=_treated(event.route),
            name=event.name,
            props=event.props,
        )


def _treated(route: str) -> str:
    """A route template in which nothing but its parameters stands unscrubbed."""
    return "/".join(part if _PARAMETER.fullmatch(part) else scrub_segment(part) for part in route.split("/"))
