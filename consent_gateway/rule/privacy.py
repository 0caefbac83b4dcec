"""The privacy rule: the only way from an observation to an event.

Pure: look-ups, keys and salts come in as arguments, and the look-ups of places are called with treated values
only. First come the reasons to drop an event. Then steps fill columns, each in its order: `SENDER_STEPS` and
`VISITOR_STEPS` what the events of one request have in common, `EVENT_STEPS` what each has of its own. Whatever a step
put, a column whose purpose is not permitted leaves empty: the register has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from . import address, pseudonym
from .columns import BY_NAME, kept_under
from .consent import Consent, Status
from .event import OF_VISITOR, Agent, DropReason, Event, Observation, Origin, Page, Place, Sender
from .purposes import ACCOUNTABILITY, ANALYTICS, MEASUREMENT

Row = dict[str, Any]

_NOBODY: Row = {name: BY_NAME[name].empty for name in OF_VISITOR}
_LOOKED_AT = 40  # characters of an `Accept-Language`: what is remembered of anybody's words is short
_LONGEST_HOST = 253  # RFC 1035
_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3})(?:-([A-Za-z]{2}))?(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Lookups:
    """What `enrich` knows. `place` gets a network, or under `analytics` an address; the others treat what they get."""

    place: Callable[[str], Place]
    agent: Callable[[str], Agent]
    page: Callable[[str], Page]
    origin: Callable[[str, frozenset[str], Mapping[str, str]], Origin]
    text: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What the policy and the settings decide, the same for every event of a process.

    `policy_version` gives the version in force at a moment. `salt` gives the salt of a moment's day, or none when it
    is gone: then there is no visitor. `encrypt` takes the address as text and the time it was received. Times are
    milliseconds, UTC. `own_hosts` are the hosts of each site, whose referrers are internal; `keep_ms` is how old an
    event may already be, 0 for any age.
    """

    look: Lookups
    person_key: bytes = field(repr=False)
    salt: Callable[[int], bytes | None]
    encrypt: Callable[[str, int], str]
    own_hosts: Mapping[str, frozenset[str]]
    policy_version: Callable[[int], str]
    prefixes: address.Prefixes
    keep_address: bool = True  # False with ADDRESS_MODE=drop: neither network nor address nor visitor
    script_needs_consent: bool = False
    keep_ms: int = 0

    def judge(self, seen: Observation) -> Event | DropReason:
        """An event, or why there is none."""
        return self.judging()(seen)

    def judging(self) -> Callable[[Observation], Event | DropReason]:
        """Judges the events of some requests, one after the other. What those of one request have in common it works
        out once, and knows until it is let go of: that is the address too, so nobody keeps it for longer."""
        common: Common | None = None
        first = last = 0

        def judge(seen: Observation) -> Event | DropReason:
            nonlocal common, first, last
            at = seen.at
            if self.script_needs_consent and not _may_be_sent(seen):
                return DropReason.NOT_PERMITTED
            if self.keep_ms and seen.sender.received_at - at > self.keep_ms:
                return DropReason.EXPIRED
            if common is None or common.sender is not seen.sender or not first <= at <= last:
                before, common = common, _common(self, seen, common)
                # a consent counts from a moment, a salt for a day: both hold between two moments for which they do
                first, last = (min(first, at), max(last, at)) if common is before else (at, at)
            if common.reason is not None:
                return common.reason
            row = common.row.copy()
            for put in EVENT_STEPS:
                put(self, row, seen, common)
            if not row.keys() <= common.kept:
                row = {name: value for name, value in row.items() if name in common.kept}
            return Event(*common.columns, **row)

        return judge


class Common(NamedTuple):
    """What the events of one sender have in common, under one consent on one day."""

    sender: Sender
    consent: Consent
    salt: bytes | None
    reason: DropReason | None  # why nothing of this sender is kept; then what follows is empty
    own_hosts: frozenset[str]
    kept: frozenset[str]  # names of the columns that may be filled
    columns: tuple[Any, ...]  # the values of `OF_VISITOR`
    row: Row  # and what else is common; never changed


def _common(rule: Rule, seen: Observation, before: Common | None) -> Common:
    sender, at = seen.sender, seen.at
    consent, salt = sender.consent.at_time(at), rule.salt(at)
    if before is not None and before.sender is sender and before.consent is consent and before.salt is salt:
        return before
    reason = _reason_to_drop(rule, sender, consent)
    if reason is not None:
        return Common(sender, consent, salt, reason, frozenset(), frozenset(), (), {})
    own = rule.own_hosts[sender.site]
    if sender.host not in own and len(sender.host) <= _LONGEST_HOST:
        own = _with(own, sender.host)
    row: Row = {}
    for put in SENDER_STEPS:
        put(rule, row, sender, consent)
    who: Row = _NOBODY.copy()
    for step in VISITOR_STEPS:
        step(rule, who, sender, consent, salt)
    purposes = consent.in_force
    for name in _left_empty(purposes):
        who[name] = BY_NAME[name].empty
    return Common(sender, consent, salt, None, own, kept_for(purposes), tuple(who.values()), row)


@lru_cache(1000)
def _with(own: frozenset[str], host: str) -> frozenset[str]:
    return own | {host}


@lru_cache(1000)
def kept_for(purposes: tuple[str, ...]) -> frozenset[str]:
    """The names of the columns that may be filled while these purposes are in force."""
    return kept_under(frozenset({ACCOUNTABILITY, *purposes}))


@lru_cache(1000)
def _left_empty(purposes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in OF_VISITOR if name not in kept_for(purposes))


def _may_be_sent(seen: Observation) -> bool:
    """Here the consent counts that the event *arrived* with: the device was read when its script sent it. What of an
    event from before the consent is kept, is decided without that consent."""
    return not seen.from_device or seen.sender.consent.permits(ANALYTICS)


def _reason_to_drop(rule: Rule, sender: Sender, consent: Consent) -> DropReason | None:
    """Why nothing of this sender is kept: an objection leaves only what `analytics` permits, and an address that can't
    be parsed can't be treated."""
    if sender.site not in rule.own_hosts:
        return DropReason.UNKNOWN_SITE
    if consent.objection and not consent.permits(ANALYTICS):
        return DropReason.OBJECTION
    return DropReason.NO_ADDRESS if sender.address is None and rule.keep_address else None


def put_received(rule: Rule, row: Row, sender: Sender, consent: Consent) -> None:
    row["received_at"] = when(sender.received_at)


def put_address(rule: Rule, row: Row, sender: Sender, consent: Consent) -> None:
    """The address itself, only with consent, encrypted before it is anywhere."""
    if sender.address is None or not rule.keep_address or not consent.permits(ANALYTICS):
        return
    text = address.to_text(sender.address)
    row["city"] = rule.look.place(text).city
    row["address"] = rule.encrypt(text, sender.received_at)


SENDER_STEPS = (put_received, put_address)


def put_moment(rule: Rule, row: Row, seen: Observation, common: Common) -> None:
    row["type"] = seen.type
    row["at"] = row["received_at"] if seen.at == common.sender.received_at else when(seen.at)


def put_page(rule: Rule, row: Row, seen: Observation, common: Common) -> None:
    page = rule.look.page(seen.url)
    campaign = page.campaign
    row["path"], row["query"], row["view_id"] = page.path, page.query, seen.view_id
    row["referrer_host"], row["referrer_path"], row["channel"], row["source"] = rule.look.origin(
        seen.referrer, common.own_hosts, campaign
    )
    for name in campaign:
        if name != "ref":
            row[name] = campaign[name]


def put_answer(rule: Rule, row: Row, seen: Observation, common: Common) -> None:
    """What the server did, where it is the server that tells."""
    if seen.route:
        row["route"] = seen.route
    if seen.http_status:
        row["http_status"], row["server_ms"] = seen.http_status, seen.server_ms


def put_device(rule: Rule, row: Row, seen: Observation, common: Common) -> None:
    """What the page's script tells."""
    if not seen.from_device:
        return
    row["engaged_ms"], row["scroll_pct"] = seen.engaged_ms, seen.scroll_pct
    row["screen"], row["timings"] = seen.screen, seen.timings
    if seen.name or seen.props:
        text = rule.look.text
        row["name"] = text(seen.name)
        row["props"] = {text(key): text(value) for key, value in seen.props.items()}


EVENT_STEPS = (put_moment, put_page, put_answer, put_device)


def put_account(rule: Rule, who: Row, sender: Sender, consent: Consent, salt: bytes | None) -> None:
    who["site"], who["consent"], who["purposes"] = sender.site, consent.status.value, consent.in_force
    who["policy_version"] = rule.policy_version(sender.received_at)


def put_network(rule: Rule, who: Row, sender: Sender, consent: Consent, salt: bytes | None) -> None:
    if sender.address is None or not rule.keep_address:
        return
    network = address.truncate(sender.address, rule.prefixes)
    text = address.cidr(network, rule.prefixes)
    place = rule.look.place(text)
    who["network"], who["country"], who["region"] = text, place.country, place.region
    if salt is not None:
        who["visitor"] = pseudonym.visitor(salt, sender.site, network, sender.user_agent)


def put_person(rule: Rule, who: Row, sender: Sender, consent: Consent, salt: bytes | None) -> None:
    if consent.permits(ANALYTICS):
        who["person"] = pseudonym.person(rule.person_key, consent.consent_id)


def put_agent(rule: Rule, who: Row, sender: Sender, consent: Consent, salt: bytes | None) -> None:
    agent = rule.look.agent(sender.user_agent)
    who["browser"], who["browser_version"], who["os"], who["os_version"], who["device"], who["bot"] = agent
    who["language"] = language(sender.language)


VISITOR_STEPS = (put_account, put_network, put_person, put_agent)


def without_purpose(row: Row, purpose: str) -> Row | None:
    """A spooled row after its person withdrew (`analytics`) or objected (`measurement`): without the columns of that
    purpose; `None` when it stood on nothing else."""
    purposes = tuple(other for other in row["purposes"] if other != purpose)
    if MEASUREMENT not in purposes and ANALYTICS not in purposes:
        return None
    kept = kept_for(purposes)
    left = {name: value for name, value in row.items() if name in kept} | {"purposes": purposes}
    return left | {"consent": Status.WITHDRAWN.value} if purpose == ANALYTICS else left


@lru_cache(4096)
def when(ms: int) -> str:
    """A time as the store reads it without loss: `2026-11-22 10:00:00.123`, UTC."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}"


@lru_cache(4096)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def language(accepted: str) -> str:
    """The first language of an `Accept-Language` header as `nl` or `nl-BE`; empty when there is none."""
    return _language(accepted[:_LOOKED_AT])


@lru_cache(1000)
def _language(accepted: str) -> str:
    match = _LANGUAGE.match(accepted)
    if match is None:
        return ""
    primary, region = match[1].lower(), match[2]
    return f"{primary}-{region.upper()}" if region else primary
