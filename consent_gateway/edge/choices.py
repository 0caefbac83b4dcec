"""`GET state` and `POST choice`: what the banner asks, and what the visitor answers, on the record.

A grant needs the signed nonce of the state that showed the notice, and its record on disk before the answer leaves. A
refusal, a withdrawal and an objection need neither: they set the cookie in any case, and are recorded later if the disk
refuses now.
"""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode

from itsdangerous import BadSignature, URLSafeSerializer
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from ..record.books import UNWRITTEN
from ..record.cookie import END_OF_KEPT, add_months, read_kept
from ..record.keys import Keys
from ..record.ledger import Stop
from ..rule.consent import Action, Consent, Status, choose
from ..rule.pseudonym import person
from ..rule.purposes import ANALYTICS, MEASUREMENT, LegalBasis
from .arrival import Arrival
from .caching import VARY
from .done import Done
from .late import Late, Lot
from .middleware import Edge
from .script import DIGEST
from .wire import MAX_CHOICE, WireChoice, faults, problem

NONCE_HOURS = 24
_LATE_SECONDS = 30.0


class TooMany(Exception):
    """More grants than one network or one site may make: seconds to wait."""


class Choices:
    """The two endpoints of one edge."""

    def __init__(self, edge: Edge, keys: Keys, receipt: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        self._edge, self._policy, self._receipt = edge, edge.policy, receipt
        self.take_up(keys)
        self.late = Late(edge.sync, edge.stops, edge.recorder.faults)

    def take_up(self, keys: Keys) -> None:
        """Sign with these keys from now on."""
        self._nonces = URLSafeSerializer(
            list(keys.secrets), salt="consent-gateway.nonce", signer_kwargs={"digest_method": sha256}
        )
        self.done = Done(keys.secrets)

    def state(self, scope: Scope, arrival: Arrival, site: str) -> Response:
        """Where this visitor stands, as the contract's JSON."""
        wanted = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("language", "")
        # does a choice wait? Of another origin's page, whose cookie does not come with this request, it is not known
        later = bool(arrival.origin or read_kept(arrival.cookie))
        return private(JSONResponse(self.described(arrival, site, wanted) | {"later": later}))

    def described(self, arrival: Arrival, site: str, wanted: str) -> dict[str, Any]:
        """The same as a dictionary, for a page in the language that is wanted, or else the browser's."""
        language, notice = self._edge.notices.choose([wanted, *arrival.language.split(",")])
        consent = self._edge.in_force(arrival, site, now=int(time.time() * 1000))
        return self._describe(consent, arrival, site, language, notice)

    async def choose(self, request: Request, arrival: Arrival, site: str) -> Response:
        """Take a choice, record it, and answer with the new state and a receipt."""
        form = arrival.content_type.startswith("application/x-www-form-urlencoded")
        try:
            body = await read_body(request, MAX_CHOICE)
            choice = _from_form(body) if form else WireChoice.model_validate_json(body)
        except TooLarge:
            return problem(413, f"A choice has at most {MAX_CHOICE} bytes.")
        except ValidationError as error:
            return problem(422, "The choice is not of the agreed form.", faults(error))
        except ValueError as error:
            return problem(422, "The form can't be read.", [{"field": "body", "why": str(error)}])
        wrong = self._refusal(choice, site)
        if wrong is not None:
            return problem(422, "The choice can't be taken.", [wrong])
        try:
            taken = await self._take(choice, arrival, site)
        except TooMany as error:
            return problem(429, "Too many grants from one network; try again in a moment.", Retry_After=str(error))
        if taken is None:
            return problem(503, "The choice could not be recorded, so it does not count.", Retry_After="5")
        after, record, lines = taken
        language, notice = self._edge.notices.choose([choice.language, *arrival.language.split(",")])
        if form:
            response: Response = RedirectResponse(self._page_of(choice, arrival), 303)
        else:
            answer = self._describe(after, arrival, site, language, notice)
            response = JSONResponse(answer | {"receipt": self._receipt(record)})
        for line in lines:
            response.headers.append("Set-Cookie", line)
        return private(response)

    async def act(self, action: Action, elsewhere: str, arrival: Arrival, site: str) -> list[str]:
        """Withdraw, object or take that back; what refuses is never refused. Returns the cookies to set. A consent that
        `elsewhere` another browser carries can only be ended here; then no cookie changes."""
        choice = WireChoice(action=action)
        held = self._edge.cookies.given(arrival.cookie, site, secure=arrival.secure)
        if not elsewhere or any(consent.consent_id == elsewhere for consent in held):
            taken = await self._take(choice, arrival, site)
            return taken[2] if taken is not None else []
        if action is Action.WITHDRAW:
            now = int(time.time() * 1000)
            ended = [Consent(Status.GIVEN, consent_id=elsewhere)]
            record = self._record(choice, ended, Consent(Status.WITHDRAWN), arrival, site, now)
            who = self._edge.person(elsewhere)
            if not self.late.has_ended(who):
                await self.late.write(self._ending([who], record, now), grants=False)
        return []

    async def _take(
        self, choice: WireChoice, arrival: Arrival, site: str
    ) -> tuple[Consent, dict[str, Any], list[str]] | None:
        """The state after a choice, its record and its cookies; `None` for a grant that could not be recorded."""
        before = self._declared(arrival, site)
        now = int(time.time() * 1000)
        after = choose(
            before,
            choice.action,
            choice.purposes,
            purposes=self._edge.terms(now).asked,
            signal=arrival.signal,
            now=now,
            new_id=urlsafe_b64encode(os.urandom(16)).decode().rstrip("="),
            policy_version=self._edge.terms(now).version,
        )
        held = self._edge.cookies.given(arrival.cookie, site, secure=arrival.secure)
        if held and after.status is Status.REFUSED:  # of a grant that had expired, was invalidated or stood beside
            after = replace(after, status=Status.WITHDRAWN)
        grants = bool(after.granted - before.granted)
        record = self._record(choice, held, after, arrival, site, now)
        ends = {self._person(consent) for consent in held if consent.consent_id != after.consent_id}
        lot = self._ending([person for person in ends if not self.late.has_ended(person)], record, now)
        objects = after.permits(ANALYTICS) and after.objection and not before.objection
        if objects:
            lot.writes.insert(-1, partial(self._edge.stops.add, self._person(after), now, Stop.OBJECTED))
        if wait := self._edge.limits.choices.take(arrival.address, site):
            if grants:
                raise TooMany(wait)
            if not lot.ends and (not objects or self.late.object(self._person(after), now)):
                self._edge.recorder.books.count(site, UNWRITTEN)
                lot = Lot([])
        if not await self.late.write(lot, grants=grants):
            return None
        lines = [self._edge.cookies.write(after, site, secure=arrival.secure, now=now)]
        lines += self._edge.firewall.ending(arrival.cookie, before, after, secure=arrival.secure)
        if read_kept(arrival.cookie):  # whatever waited to be sent, this choice is the later one
            lines.append(END_OF_KEPT)
        return after, record, lines

    def _ending(self, ends: Sequence[int], record: dict[str, Any], now: int) -> Lot:
        """First the end of every consent that does not go on, so that no worker believes it any more, also one that had
        expired or that a new policy had invalidated; then the record."""
        stops = [partial(self._edge.stops.add, person, now, Stop.WITHDRAWN) for person in ends]
        return Lot([*stops, partial(self._edge.ledger.append, record, record["at"][:7])], frozenset(ends))

    def _page_of(self, choice: WireChoice, arrival: Arrival) -> str:
        """Where the form stood. The privacy page is told what to say."""
        path = _own_path(arrival)
        place = path.partition("?")[0]
        if not place.endswith(f"{self._edge.settings.PREFIX}/privacy"):
            return path
        return f"{place}?{urlencode({'language': choice.language, 'done': self.done.mark(choice.action.value)})}"

    def record_late(self, seconds: float = _LATE_SECONDS) -> None:
        """Write what could not be written earlier. Called now and then from outside the event loop."""
        self.late.record(seconds)

    def _declared(self, arrival: Arrival, site: str) -> Consent:
        return self._edge.declared(arrival, site, now=int(time.time() * 1000))

    def _describe(self, consent: Consent, arrival: Arrival, site: str, language: str, notice: str) -> dict[str, Any]:
        seen = consent.under_signal(arrival.signal)
        now = int(time.time() * 1000)
        terms, coming = self._edge.terms(now), self._policy.announced(now)
        anew = seen.status is Status.INVALIDATED or seen.touched
        return {
            "status": seen.status.value,
            "purposes": {name: seen.permits(name) for name in (MEASUREMENT, *sorted(terms.asked))},
            "objection": seen.objection,
            "ask": seen.ask,
            "touches": sorted(terms.since(consent.policy_version)) if anew else [],
            "policy_version": terms.version,
            "announced": coming
            and {
                "version": coming.version,
                "effective": str(coming.effective),
                "changes": coming.changes[language] if coming.changes else "",
            },
            "script_needs_consent": self._policy.script_needs_consent,
            "notice": notice,
            "language": language,
            "nonce": self._nonces.dumps([site, notice, language, now // 3_600_000]),
            "signals": {"gpc": arrival.gpc, "dnt": arrival.dnt},
        }

    def _refusal(self, choice: WireChoice, site: str) -> dict[str, str] | None:
        """What makes a choice of the right form impossible: the field and why."""
        policy = self._edge.terms.policy(int(time.time() * 1000))
        for name in choice.purposes:
            if name not in policy.asked:
                why = "measurement rests on legitimate interest: use the action object or unobject"
                if name != MEASUREMENT:
                    why = "rests on no consent" if policy.basis_of(name) else "no such purpose"
                return {"field": f"purposes.{name}", "why": why}
        if choice.action is Action.SAVE and not choice.purposes:
            return {"field": "purposes", "why": "save needs at least one purpose"}
        if choice.action is Action.ACCEPT_ALL or (choice.action is Action.SAVE and any(choice.purposes.values())):
            try:
                shown_site, notice, _, hour = self._nonces.loads(choice.nonce)
            except (BadSignature, ValueError):
                return {"field": "nonce", "why": "a grant needs the nonce of the state that showed the notice"}
            if shown_site != site or not 0 <= int(time.time()) // 3600 - hour <= NONCE_HOURS:
                return {
                    "field": "nonce",
                    "why": "this nonce is another site's or older than a day: get the state again",
                }
            if notice != choice.notice:
                return {"field": "notice", "why": "not the notice that this nonce was made for"}
        return None

    def _record(
        self, choice: WireChoice, held: list[Consent], after: Consent, arrival: Arrival, site: str, now: int
    ) -> dict[str, Any]:
        given = after.status is Status.GIVEN
        ended = [consent.consent_id for consent in held if consent.consent_id != after.consent_id]
        return {
            "id": os.urandom(16).hex(),
            "site": site,
            "at": _iso(now),
            "action": choice.action.value,
            "status": after.status.value,
            "consent_id": after.consent_id,
            "supersedes": ended[0] if ended else "",
            "purposes": {
                name: {"granted": name in after.granted, "basis": LegalBasis.CONSENT.value}
                for name in sorted(self._edge.terms(now).asked)
            },
            "objection": after.objection,
            "policy_version": self._edge.terms(now).version,
            "notice": choice.notice,
            "language": self._edge.notices.language(choice.notice) or choice.language,
            "where": choice.where,
            "script": "" if choice.where == "page" else DIGEST,
            "signals": {"gpc": arrival.gpc, "dnt": arrival.dnt},
            "valid_until": _iso(add_months(after.given_at, self._policy.consent_months)) if given else "",
        }

    def _person(self, consent: Consent) -> int:
        return person(self._edge.recorder.rule.person_key, consent.consent_id)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


class TooLarge(Exception):
    """A body is longer than its kind may be."""


async def read_body(request: Request, limit: int) -> bytes:
    """The body, read no further than the limit."""
    body = b""
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise TooLarge
    return body


def same_origin(arrival: Arrival) -> bool:
    """Did a page of this site send it? By `Sec-Fetch-Site`, else by `Origin`; a client that sends neither is no
    browser."""
    if arrival.fetch_site:
        return arrival.fetch_site in ("same-origin", "none")
    return not arrival.origin or arrival.origin.partition("://")[2].lower() == arrival.host.lower()


def _from_form(body: bytes) -> WireChoice:
    """The same as a form: `purposes` are the ticked boxes named `purposes.NAME`."""
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=64))
    purposes = {
        key.removeprefix("purposes."): value == "true" for key, value in fields.items() if key[:9] == "purposes."
    }
    plain = {key: value for key, value in fields.items() if key[:9] != "purposes."}
    return WireChoice.model_validate(plain | ({"purposes": purposes} if purposes else {}))


def _own_path(arrival: Arrival) -> str:
    """Back to the page of ours that held the form; the home page when it does not say."""
    host, slash, path = arrival.referrer.partition("://")[2].partition("/")
    return f"/{path}" if slash and host == arrival.host and not path.startswith(("/", "\\")) else "/"


def private(response: Response) -> Response:
    """The response, to be kept by no cache."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = VARY
    return response
