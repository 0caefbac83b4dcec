"""The consent state, what it permits, and how a choice changes it.

States are those of W3C DPV and ISO/IEC TS 27560. An objection (Art. 21) is a state of its own beside the consent
status, and a browser's signal (`Sec-GPC: 1`, `DNT: 1`) is judged per request: it counts as objection and as refusal
unless the visitor made another choice *in the face of it*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from .purposes import ACCOUNTABILITY, ANALYTICS, MEASUREMENT


class Status(StrEnum):
    """`given` when at least one consent purpose is granted."""

    UNKNOWN = "unknown"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"


class Action(StrEnum):
    """What a visitor can do in one choice."""

    ACCEPT_ALL = "accept_all"
    REJECT_ALL = "reject_all"
    SAVE = "save"
    WITHDRAW = "withdraw"
    OBJECT = "object"
    UNOBJECT = "unobject"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policy says at a moment: its version, the purposes that it asks for, and which of them have materially
    changed since each earlier version. Of a version that it does not know, all have."""

    version: str
    asked: frozenset[str]
    touched: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def since(self, version: str) -> frozenset[str]:
        """The purposes to ask for anew when a choice was made under that version."""
        return frozenset() if version == self.version else self.touched.get(version, self.asked)


@dataclass(frozen=True, slots=True)
class Consent:
    """A visitor's state. `consent_id` and `given_at` (milliseconds, UTC) are empty unless status is `given`.

    `month` (`2026-11`) is all that a refusal remembers of when. `despite_signal` and `signal_lifted` say that the
    grant, or the lifting of the objection, was made while the browser sent a signal. `touched` are purposes that a
    material change of the policy asks for anew, while others stay granted.
    """

    status: Status = Status.UNKNOWN
    granted: frozenset[str] = frozenset()
    objection: bool = False
    consent_id: str = ""
    given_at: int = 0
    month: str = ""
    policy_version: str = ""
    despite_signal: bool = False
    signal_lifted: bool = False
    touched: frozenset[str] = frozenset()

    def permits(self, purpose: str) -> bool:
        """May data be used for this purpose now? An unknown purpose is not permitted."""
        if purpose == MEASUREMENT:
            return not self.objection
        return purpose in self.granted or purpose == ACCOUNTABILITY

    @property
    def in_force(self) -> tuple[str, ...]:
        """The purposes permitted now, as rows say them."""
        return _in_force(self.granted, self.objection)

    @property
    def ask(self) -> bool:
        """Should the banner ask? Not after a choice, and not against a signal (which reads as a refusal)."""
        return self.status in (Status.UNKNOWN, Status.EXPIRED, Status.INVALIDATED) or bool(self.touched)

    def under_terms(self, terms: Terms) -> Consent:
        """This state as the policy in force sees it: without what a material change has touched since, and without
        purposes that it no longer asks for. Nothing is left of a choice that it touched whole, a refusal too: then it
        is asked anew."""
        if self.policy_version == terms.version or self.status is Status.UNKNOWN:
            return self
        touched, left = terms.since(self.policy_version), self.granted & terms.asked
        if not touched and left == self.granted:
            return self
        left -= touched
        if left:
            return replace(self, granted=left, touched=touched)
        return Consent(Status.INVALIDATED, objection=self.objection, policy_version=self.policy_version)

    def under_signal(self, signal: bool) -> Consent:
        """This state as one request must see it, given whether the request carried a signal."""
        if not signal:
            return self
        seen = self if self.signal_lifted else replace(self, objection=True)
        if seen.granted and not seen.despite_signal:
            return replace(
                seen, status=Status.REFUSED, granted=frozenset(), consent_id="", given_at=0, touched=frozenset()
            )
        return seen if seen.status in (Status.GIVEN, Status.WITHDRAWN) else replace(seen, status=Status.REFUSED)

    def until_sent(self, *, objects: bool) -> Consent:
        """This state while a choice of the visitor, who refuses, has not come through: the refusal counts already."""
        return Consent(Status.REFUSED, objection=self.objection or objects, policy_version=self.policy_version)

    def at_time(self, at: int) -> Consent:
        """This state as an event of `at` must see it: an event older than the consent is judged without it."""
        if self.granted and at < self.given_at:
            return replace(
                self, status=Status.UNKNOWN, granted=frozenset(), consent_id="", given_at=0, touched=frozenset()
            )
        return self


UNKNOWN = Consent()


@lru_cache(1000)
def _in_force(granted: frozenset[str], objection: bool) -> tuple[str, ...]:
    return tuple(sorted(granted)) if objection else (MEASUREMENT, *sorted(granted))


def stricter(one: Consent, other: Consent) -> Consent:
    """Of two different valid cookies: the one that permits less, with the objection of either and what both allow."""
    if one == other:
        return one
    less = min(one, other, key=lambda consent: (len(consent.granted), consent.status == Status.UNKNOWN))
    if not less.granted <= one.granted & other.granted:  # neither permits less
        less = Consent(Status.REFUSED, policy_version=less.policy_version)
    return replace(
        less,
        objection=one.objection or other.objection,
        despite_signal=one.despite_signal and other.despite_signal,
        signal_lifted=one.signal_lifted and other.signal_lifted,
    )


def choose(
    before: Consent,
    action: Action,
    named: Mapping[str, bool],
    *,
    purposes: frozenset[str],
    signal: bool,
    now: int,
    new_id: str,
    policy_version: str,
) -> Consent:
    """The state after a choice. Pure: `now` (milliseconds, UTC) and the random `new_id` come in.

    `before` is what the cookie says, *before* signals; `purposes` are those that rest on consent; `named` is what
    `save` names and nothing else changes. A grant gets a new id unless it continues one for `analytics` that stands.
    """
    if before.status in (Status.EXPIRED, Status.INVALIDATED):
        before = Consent(objection=before.objection)
    granted, objection, lifted = before.granted & purposes, before.objection, before.signal_lifted
    hidden = signal and not before.despite_signal  # the signal reads as a refusal of what was granted without it
    wanted: frozenset[str] = frozenset()
    if action is Action.ACCEPT_ALL:
        granted, wanted, lifted = purposes, purposes, lifted or signal
    elif action is Action.SAVE:
        wanted = frozenset(name for name, yes in named.items() if yes) & purposes
        granted = wanted if hidden and wanted else (granted - named.keys()) | wanted
    elif action in (Action.REJECT_ALL, Action.WITHDRAW):
        granted, lifted = frozenset(), False  # and a signal that was lifted counts again
    elif action is Action.OBJECT:
        objection, lifted = True, False
    elif action is Action.UNOBJECT:
        objection, lifted = False, lifted or signal

    if action in (Action.OBJECT, Action.UNOBJECT):
        after = replace(before, objection=objection, signal_lifted=lifted)
        return after if after.granted else replace(after, month=_month(now), policy_version=policy_version)
    if not granted:
        ended = before.granted or before.status is Status.WITHDRAWN
        status = Status.WITHDRAWN if ended else Status.REFUSED
        return Consent(
            status, objection=objection, month=_month(now), policy_version=policy_version, signal_lifted=lifted
        )
    continues = before.granted and (ANALYTICS in before.granted) <= (ANALYTICS in granted)
    grew = bool(wanted) if hidden else bool(granted - before.granted)
    return Consent(
        Status.GIVEN,
        granted,
        objection,
        consent_id=before.consent_id if continues else new_id,
        given_at=now if grew else before.given_at,
        policy_version=policy_version,
        despite_signal=signal if grew else before.despite_signal,
        signal_lifted=lifted,
    )


def _month(now: int) -> str:
    return f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m}"
