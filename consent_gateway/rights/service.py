"""What the back office does for a right: enters the request, acts on the data, counts, and writes down what it did.

The request and then its stop are on the disk before anything else, so a `kill -9` at any moment leaves a request that
is open and is carried out at the next start. Work on the store is gathered: what several people ask for within a minute
costs it as much as one.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from ..record.ledger import Stop, Stops
from ..rule.errors import ConsentGatewayError, StoreError
from ..store.client import Failure, first_line
from ..store.forwarder import Forwarder
from ..store.layout import Layout
from .copy import Copy
from .erasure import Eraser
from .register import Register, Request, Right, RightsError, Step

log = logging.getLogger("consent_gateway.rights")

BY_ITSELF = "the gateway"
CLAIM = "kept for a legal claim (GDPR Art. 17(3)(e))"
_GATHER_SECONDS = 60.0
_RETRY_SECONDS = 30.0
_MOST_OPEN = 5  # requests of one person that wait
_MOST_AN_HOUR = 500  # requests from the page; a withdrawal is none and is never refused
_ON_DATA = (Right.ERASURE, Right.RESTRICTION)


class Rights:
    """One of these in the back office. `now` gives aware times in the zone of the settings."""

    def __init__(
        self,
        data_dir: Path,
        stops: Stops,
        eraser: Eraser,
        forwarder: Forwarder,
        connect: Callable[[], Client],
        layout: Layout,
        now: Callable[[], datetime],
        *,
        tell_others: Callable[[], None] = lambda: None,
    ) -> None:
        self.register = Register(data_dir)
        self._stops, self._eraser, self._forwarder = stops, eraser, forwarder
        self._connect, self._layout, self._now, self._tell_others = connect, layout, now, tell_others
        self._copy = Copy(data_dir, layout)
        self._wake, self._end = threading.Event(), threading.Event()
        self._working = threading.Lock()
        self._done = threading.Condition()
        self._last = -_GATHER_SECONDS
        self._recent: list[float] = []

    # what is asked for

    def ask(self, right: Right, *, site: str, person: int, consent_id: str, note: str = "") -> Request:
        """A request of somebody who proved which consent is theirs. What can be done by itself is begun; asking twice
        is asking once. `RightsError` when too many are asked for."""
        same = [one for one in self.register.of(person) if one.right is right and one.is_open and one.note == note]
        if same:
            return same[-1]
        self._refuse_a_flood(person)
        request = self.register.open(
            right, self._now(), site=site, by="the person", source="page", person=person, consent_id=consent_id,
            note=note,
        )  # fmt: skip
        return self.begin(request) if right in _ON_DATA else request

    def begin(self, request: Request, *, by: str = BY_ITSELF) -> Request:
        """Write down that it counts from now on, and have it done. A claim that holds the data refuses an erasure."""
        if request.right is Right.ERASURE and self._stops.claimed(request.person):
            return self.register.add(request.number, Step.REFUSED, self._now(), by=by, words=CLAIM)
        self._stop(request.person, Stop.ERASED if request.right is Right.ERASURE else Stop.RESTRICTED)
        self._wake.set()
        return request

    def lift(self, person: int, *, by: str = BY_ITSELF) -> list[Request]:
        """End every restriction of a person; the rows come back. Returns the requests that are lifted."""
        lifted = [
            self.register.add(one.number, Step.LIFTED, self._now(), by=by)
            for one in self.register.of(person)
            if one.right is Right.RESTRICTION and one.done and all(e.step is not Step.LIFTED for e in one.entries)
        ]
        if self._stops.restricted(person):
            self._stop(person, Stop.LIFTED)
            self._wake.set()
        return lifted

    def hold(self, number: int, *, by: str, words: str) -> Request:
        """Keep the data of a request's person for a legal claim: neither erased nor expired."""
        request = self._with_person(number)
        kept = self.register.add(number, Step.HELD, self._now(), by=by, words=words)
        self._stop(request.person, Stop.CLAIMED)
        self._wake.set()
        return kept

    def release(self, number: int, *, by: str) -> Request:
        """The claim has ended: retention counts again, and what was refused because of it is carried out."""
        request = self._with_person(number)
        free = self.register.add(number, Step.RELEASED, self._now(), by=by)
        if not any(one.held for one in self.register.of(request.person)):
            self._stop(request.person, Stop.RELEASED)
            self._wake.set()
            for one in self.register.of(request.person):
                if one.right is Right.ERASURE and one.state == "refused" and one.entries[-1].words == CLAIM:
                    again = self.register.open(
                        Right.ERASURE, self._now(), site=one.site, by=by, source=f"request {one.number}",
                        person=one.person, consent_id=one.consent_id,
                    )  # fmt: skip
                    self.begin(again)
        return free

    def object(self, person: int, *, back: bool = False) -> None:
        """An objection that came by mail, where no cookie can carry it; or that it is taken back."""
        if self._stops.objects(person) is back:
            self._stop(person, Stop.UNOBJECTED if back else Stop.OBJECTS)

    def withdraw(self, person: int) -> None:
        """The end of a consent that the person's browser did not tell us of."""
        if not self._stops.ended(person):
            self._stop(person, Stop.WITHDRAWN)

    def restricted(self, person: int) -> bool:
        return self._stops.restricted(person)

    def objects(self, person: int) -> bool:
        return self._stops.objects(person)

    def claim_on(self, person: int) -> str:
        """Why a person's data are kept for a legal claim, as the person is told; empty when they are not."""
        held = [entry for one in self.register.of(person) if one.held for entry in one.entries]
        return next((entry.words for entry in reversed(held) if entry.step is Step.HELD), "")

    def _with_person(self, number: int) -> Request:
        request = self.register.get(number)
        if not request.person:
            raise RightsError(f"request {number} names no person: open it with --consent-id, --receipt or --person")
        return request

    def _stop(self, person: int, why: Stop) -> None:
        file = self._stops.add(person, int(self._now().timestamp() * 1000), why)
        file.sync()
        with suppress(ConsentGatewayError):  # they hear it at the next exchange
            self._tell_others()

    def _refuse_a_flood(self, person: int) -> None:
        now = time.monotonic()
        self._recent = [at for at in self._recent if now - at < 3600]
        if len(self._recent) >= _MOST_AN_HOUR:
            raise RightsError("too many ask at once; try again in an hour, or write to us")
        if sum(1 for one in self.register.of(person) if one.is_open) >= _MOST_OPEN:
            raise RightsError("five requests of yours are open already; they are answered first")
        self._recent.append(now)

    # what is done

    def run(self) -> None:
        """Do what waits, until `stop`; what was left when the last back office ended, too."""
        self.resume()
        while not self._end.is_set():
            pause = _RETRY_SECONDS
            try:
                if self._waiting() and (left := self._last + _GATHER_SECONDS - time.monotonic()) > 0:
                    pause = left
                else:
                    self.work()
            except ConsentGatewayError as error:
                log.warning("requests wait: %s", error)
            except Exception:
                log.exception("a fault while requests were carried out; trying again")
            self._wake.wait(pause)
            self._wake.clear()

    def resume(self) -> None:
        """Begin what was entered, and not begun when the last back office was killed."""
        for one in self.register.all():
            by_itself = one.source == "page" or one.source.startswith("request ")
            if by_itself and one.right in _ON_DATA and one.state == "open" and not self._counts(one):
                with suppress(ConsentGatewayError):
                    self.begin(one)

    def stop(self) -> None:
        self._end.set()
        self._wake.set()

    def work(self) -> None:
        """Carry out what waits, count, write it down, and bring the register's copy up to date. `StoreError` when the
        store is away."""
        with self._working:
            waiting = self._waiting()
            if waiting or self._copy.is_behind(self.register):
                try:
                    client = self._connect()
                except Failure as error:
                    raise StoreError(first_line(error)) from error
                try:
                    if waiting:
                        self._last = time.monotonic()
                        self._erase(client, [one for one in waiting if one.right is Right.ERASURE])
                        self._restrict(client, [one for one in waiting if one.right is Right.RESTRICTION])
                    self._copy.write(client, self.register)
                except Failure as error:
                    raise StoreError(first_line(error)) from error
                finally:
                    with suppress(*Failure):
                        client.close()
        with self._done:
            self._done.notify_all()

    def wait(self, number: int, seconds: float) -> Request:
        """The request once it is done, or as it is after so long."""
        until = time.monotonic() + seconds
        with self._done:
            while not (request := self.register.get(number)).done and request.is_open:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._done.wait(min(left, 0.2))
        return request

    def _waiting(self) -> list[Request]:
        """Requests that count already (their stop is written) and are not done."""
        return [
            one
            for one in self.register.all()
            if one.right in _ON_DATA and one.state == "open" and one.person and self._counts(one)
        ]

    def _counts(self, request: Request) -> bool:
        if request.right is Right.RESTRICTION:
            return self._stops.restricted(request.person)
        return any(why is Stop.ERASED for _, why in self._stops.of(request.person))

    def _erase(self, client: Client, requests: Iterable[Request]) -> None:
        numbers = {one.person: one.number for one in requests}
        if not numbers:
            return
        counted = self._eraser.erase(client, numbers)
        for person, number in numbers.items():
            found = counted[person]
            if found["events"] or found["held"] or found["spool"]:
                log.warning("request %d: %s rows are left, trying again", number, json.dumps(found))
            else:
                self._finish(number, found)

    def _restrict(self, client: Client, requests: Iterable[Request]) -> None:
        for one in requests:
            with suppress(StoreError):
                self._forwarder.forward_all()
            with self._forwarder.paused():
                self._forwarder.holder.move(client)
            counted = self._eraser.counted(client, one.person)
            if counted["events"]:
                log.warning("request %d: %d rows are not aside yet, trying again", one.number, counted["events"])
            else:
                self._finish(one.number, {"counted_at": self._now().isoformat(timespec="seconds")} | counted)

    def _finish(self, number: int, proof: dict[str, Any]) -> None:
        """Done; who asked on the page sees it there, who wrote still waits for an answer."""
        request = self.register.add(number, Step.DONE, self._now(), by=BY_ITSELF, proof=proof)
        if request.source == "page" or request.source.startswith("request "):
            self.register.add(number, Step.CLOSED, self._now(), by=BY_ITSELF)
