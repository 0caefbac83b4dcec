"""The back office's routes for rights: below `/rights` for the command line of this host, below `/visitor` for a person
whose consent the edge has proved."""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from clickhouse_connect.driver.client import Client
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..config.policy import LANGUAGES, Policy
from ..config.policy_file import load
from ..config.settings import Settings
from ..record.books import Tally
from ..record.keys import Keys
from ..record.ledger import Ledger, Stops
from ..record.spool import Spool
from ..rule.consent import Action, Status
from ..rule.errors import ConfigError, StoreError
from ..rule.pseudonym import person
from ..rule.purposes import LegalBasis
from ..store.client import Failure, first_line
from ..store.forwarder import Forwarder
from ..store.layout import Layout
from ..store.scrub import Scrubber
from .erasure import Eraser
from .held_data import as_csv, export, on_the_way, readable, stored
from .register import Request, Right, RightsError, Step
from .service import Rights

_WAIT_SECONDS = 8.0  # for what is asked on the page; then the answer says that it is under way
_RUN_SECONDS = 120.0
_MOST_NOTE = 2000
_MOST_AT_ONCE = 4  # who may read the store for an export
_PAGE_RIGHTS = {
    "erasure": Right.ERASURE,
    "restriction": Right.RESTRICTION,
    "rectification": Right.RECTIFICATION,
    "complaint": Right.COMPLAINT,
}
_STEPS = {
    "extend": Step.EXTENDED,
    "refuse": Step.REFUSED,
    "close": Step.CLOSED,
    "acknowledge": Step.ACKNOWLEDGED,
}


class RightsRoutes:
    """`now` gives aware times in the zone of the settings."""

    def __init__(
        self,
        rights: Rights,
        policy: Policy,
        keys: Keys,
        ledger: Ledger,
        spool: Spool,
        connect: Callable[[], Client],
        sites: frozenset[str],
        now: Callable[[], datetime],
    ) -> None:
        self.rights, self._policy, self._keys, self._ledger = rights, policy, keys, ledger
        self._spool, self._connect, self._sites, self._now = spool, connect, sites, now
        self._reading = 0
        self._recording = threading.Lock()

    @classmethod
    def made(
        cls,
        settings: Settings,
        keys: Keys,
        stops: Stops,
        forwarder: Forwarder,
        scrubber: Scrubber,
        tally: Tally,
        connect: Callable[[], Client],
        tell_others: Callable[[], None],
    ) -> RightsRoutes:
        """Everything that the rights need of a back office, put together."""
        spool, layout = Spool(settings.DATA_DIR), Layout(settings.CLUSTER)

        def now() -> datetime:
            return datetime.now(settings.zone)

        eraser = Eraser(spool, tally, forwarder, scrubber, layout, now)
        rights = Rights(settings.DATA_DIR, stops, eraser, forwarder, connect, layout, now, tell_others=tell_others)
        ledger = Ledger(settings.DATA_DIR)
        return cls(rights, load(settings.POLICY), keys, ledger, spool, connect, settings.site_names, now)

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/rights", _told(self._list), methods=["GET"]),
            Route("/rights", _told(self._open), methods=["POST"]),
            Route("/rights/{number:int}", _told(self._show)),
            Route("/rights/{number:int}/{step}", _told(self._step), methods=["POST"]),
            Route("/visitor/me", _told(self._me)),
            Route("/visitor/rights", _told(self._ask), methods=["POST"]),
        ]

    # of the command line

    def overdue(self) -> list[dict[str, Any]]:
        """What is late, for whoever shows it: the oldest first."""
        today = self._now().date()
        return [request.as_json(today) for request in self.rights.register.overdue(today)]

    def counts(self) -> dict[str, int]:
        """How many requests wait, and how many of them are late; for metrics."""
        found = self.rights.register.all()
        return {"open": sum(1 for one in found if one.is_open), "overdue": len(self.overdue())}

    async def _list(self, asked: Asked) -> Response:
        every = asked.query_params.get("all") == "yes"
        found = [one for one in self.rights.register.all() if every or one.is_open or self._goes_on(one)]
        today = self._now().date()
        found.sort(key=lambda one: (not one.overdue(today), one.due, one.number))
        return JSONResponse([one.as_json(today) for one in found])

    def _goes_on(self, request: Request) -> bool:
        """Is it answered, and something of it still in force?"""
        lifted = any(entry.step is Step.LIFTED for entry in request.entries)
        return request.held or (request.right is Right.RESTRICTION and request.done and not lifted)

    async def _open(self, asked: Asked) -> Response:
        values = asked.query_params
        right = _right(values.get("right", ""), {one.value: one for one in Right})
        site = values.get("site") or (next(iter(self._sites)) if len(self._sites) == 1 else "")
        if site not in self._sites:
            raise ConfigError(f"site is {site!r}: allowed are {', '.join(sorted(self._sites))}")
        consent_id = values.get("consent_id", "")
        number = int(values.get("person") or 0) or (person(self._keys.person, consent_id) if consent_id else 0)
        if consent_id and not self._ledger.history(consent_id):
            raise RightsError(f"the ledger has no consent {consent_id!r}: is it written as on the receipt?")
        request = self.rights.register.open(
            right, self._now(), site=site, by=values.get("by", ""), source=values.get("source") or "mail",
            received=date.fromisoformat(values["received"]) if values.get("received") else None,
            person=number, consent_id=consent_id, note=values.get("note", "")[:_MOST_NOTE],
        )  # fmt: skip
        return self._tell(request)

    async def _show(self, asked: Asked) -> Response:
        return self._tell(self.rights.register.get(asked.path_params["number"]))

    async def _step(self, asked: Asked) -> Response:
        number, step = asked.path_params["number"], asked.path_params["step"]
        by, words = asked.query_params.get("by", ""), asked.query_params.get("words", "")
        if step == "run":
            return await self._run(number, by)
        if step == "hold":
            return self._tell(await run_in_threadpool(self.rights.hold, number, by=by, words=words))
        if step == "release":
            return self._tell(await run_in_threadpool(self.rights.release, number, by=by))
        if step == "lift":
            request = self._named(number)
            await run_in_threadpool(self.rights.lift, request.person, by=by)
            return self._tell(self.rights.register.get(number))
        if step not in _STEPS:
            raise ConfigError(f"there is no step {step!r}")
        return self._tell(self.rights.register.add(number, _STEPS[step], self._now(), by=by, words=words))

    async def _run(self, number: int, by: str) -> Response:
        """Do to the data what a request asks; what it gives a person to read goes back to the caller."""
        request = self._named(number)
        if not request.is_open:
            raise RightsError(f"request {number} is {request.state} already")
        about: dict[str, Any] = {}
        proof: dict[str, Any] = {}
        match request.right:
            case Right.ERASURE | Right.RESTRICTION:
                request = await run_in_threadpool(self.rights.begin, request, by=by)
                await run_in_threadpool(self.rights.work)
                return self._tell(await run_in_threadpool(self.rights.wait, number, _RUN_SECONDS))
            case Right.ACCESS | Right.PORTABILITY:
                about = await self._about(request.person, request.consent_id, "en")
                proof = {"rows": len(about["rows"]), "on_the_way": len(about["on_the_way"])}
            case Right.OBJECTION:
                await run_in_threadpool(self.rights.object, request.person)
            case Right.WITHDRAWAL:
                await run_in_threadpool(self._withdraw, request)
            case Right.RECTIFICATION:
                if not request.note:
                    raise RightsError(f"request {number} has no --note, which is what stands beside the data")
            case Right.COMPLAINT:
                raise RightsError(f"a complaint is answered by a person: acknowledge {number}, then close it")
        done = self.rights.register.add(number, Step.DONE, self._now(), by=by, proof=proof)
        return JSONResponse(done.as_json(self._now().date()) | ({"export": about} if about else {}))

    def _withdraw(self, request: Request) -> None:
        """End a consent by mail: on the record like any other withdrawal, after it counts."""
        self.rights.withdraw(request.person)
        now = datetime.now(UTC)
        policy = self._policy.as_of(int(now.timestamp() * 1000))
        record: dict[str, Any] = {
            "id": os.urandom(16).hex(),
            "site": request.site,
            "at": now.isoformat(timespec="milliseconds"),
            "action": Action.WITHDRAW.value,
            "status": Status.WITHDRAWN.value,
            "consent_id": "",
            "supersedes": request.consent_id,
            "purposes": {name: {"granted": False, "basis": LegalBasis.CONSENT.value} for name in sorted(policy.asked)},
            "objection": False,
            "policy_version": self._policy.in_force(int(now.timestamp() * 1000)).version,
            "notice": "",
            "language": "",
            "where": "mail",
            "script": "",
            "signals": {"gpc": False, "dnt": False},
            "valid_until": "",
        }
        with self._recording:
            self._ledger.append(record, record["at"][:7]).sync()

    def _named(self, number: int) -> Request:
        request = self.rights.register.get(number)
        if not request.person and request.right is not Right.COMPLAINT:
            raise RightsError(
                f"request {number} names no consent, so no row can be found for it (GDPR Art. 11): "
                "ask for the receipt, and open it again with --receipt"
            )
        return request

    # of a person

    async def _me(self, asked: Asked) -> Response:
        values = asked.query_params
        language = values.get("language", "en")
        about = await self._about(
            person(self._keys.person, values["consent"]), values["consent"], language if language in LANGUAGES else "en"
        )
        if values.get("format") == "csv":
            rows = [*about["rows"], *about["on_the_way"]]
            return PlainTextResponse(as_csv(rows), media_type="text/csv")
        return JSONResponse(about)

    async def _ask(self, asked: Asked) -> Response:
        """A right from the page: what the gateway can do by itself is done when this answers, or soon after."""
        values = asked.query_params
        consent_id = values["consent"]
        who = person(self._keys.person, consent_id)
        if values.get("right") in ("lift", "unobject", "object", "withdrawal"):
            await run_in_threadpool(self._without_request, values["right"], who)
            return JSONResponse({"done": True})
        right = _right(values.get("right", ""), _PAGE_RIGHTS)
        note = values.get("note", "").strip()[:_MOST_NOTE]
        if right in (Right.RECTIFICATION, Right.COMPLAINT) and not note:
            raise ConfigError("note is empty: say what should be corrected, or what you complain about")
        request = await run_in_threadpool(
            self.rights.ask, right, site=values["site"], person=who, consent_id=consent_id, note=note
        )
        if right in (Right.ERASURE, Right.RESTRICTION):
            request = await run_in_threadpool(self.rights.wait, request.number, _WAIT_SECONDS)
        return self._tell(request, for_person=True)

    def _without_request(self, right: str, who: int) -> None:
        if right == "lift":
            self.rights.lift(who)
        elif right == "withdrawal":
            self.rights.withdraw(who)
        else:
            self.rights.object(who, back=right == "unobject")

    async def _about(self, who: int, consent_id: str, language: str) -> dict[str, Any]:
        """All that is held about a person."""
        if self._reading >= _MOST_AT_ONCE:
            raise StoreError("too many ask at once; try again in a moment")
        self._reading += 1
        try:
            return await run_in_threadpool(self._read, who, consent_id, language)
        finally:
            self._reading -= 1

    def _read(self, who: int, consent_id: str, language: str) -> dict[str, Any]:
        try:
            client = self._connect()
            try:
                rows = stored(client, who)
            finally:
                client.close()
        except Failure as error:
            raise StoreError(f"the store did not answer: {first_line(error)}") from error
        today = self._now().date()
        coming = [readable(row, self._keys) for row in on_the_way(self._spool, who)]
        requests = [_for_person(one, one.as_json(today)) for one in self.rights.register.of(who)]
        return {
            "identified": True,
            "made_at": self._now().isoformat(timespec="seconds"),
            "consent_id": consent_id,
            "restricted": self.rights.restricted(who),
            "objects": self.rights.objects(who),
            "claim": self.rights.claim_on(who),
            "choices": self._ledger.history(consent_id),
            "requests": requests,
            "on_the_way": coming,
        } | export(rows, self._keys, self._policy.as_of(int(datetime.now(UTC).timestamp() * 1000)), language)

    def _tell(self, request: Request, *, for_person: bool = False) -> Response:
        values = request.as_json(self._now().date())
        return JSONResponse(_for_person(request, values) if for_person else values)


def _for_person(request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    """A request as its person sees it: without who works here, and with the reasons that the person is told."""
    shown = ("number", "right", "state", "received", "due", "limit", "extended", "note", "held")
    told = [
        {"at": entry.at, "step": entry.step.value, "words": entry.words, "proof": entry.proof}
        for entry in request.entries
    ]
    return {name: values[name] for name in shown} | {"entries": told}


def _right(name: str, allowed: Mapping[str, Right]) -> Right:
    if name not in allowed:
        raise ConfigError(f"right is {name!r}: allowed are {', '.join(allowed)}")
    return allowed[name]


def _told(answer: Callable[[Asked], Awaitable[Response]]) -> Callable[[Asked], Awaitable[Response]]:
    """A refusal of ours as a problem in words (RFC 9457); no cache keeps any of these answers."""

    async def checked(asked: Asked) -> Response:
        try:
            response = await answer(asked)
        except RightsError as error:
            response = JSONResponse({"title": str(error), "status": 409}, 409, media_type="application/problem+json")
        response.headers["Cache-Control"] = "no-store"
        return response

    return checked
