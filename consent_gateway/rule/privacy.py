"""The privacy rule: the only way from an observation to an event.

Pure: look-ups, keys and salts come in as arguments, and the look-ups of places are called with treated values
only. The steps stand in `STEPS`, in order; `drop_…` may end the event with a reason, `put_…` fill columns. Whatever a
step put, a column whose purpose is not permitted leaves empty: the register has the last word.
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
from .consent import Status
from .event import OF_VISITOR, Agent, DropReason, Event, Observation, Origin, Page, Place
from .purposes import ACCOUNTABILITY, ANALYTICS, MEASUREMENT

Row = dict[str, Any]

_MOST_REMEMBERED = 10_000  # visitors
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
    _remembered: _Remembered = field(default_factory=lambda: _Remembered(), init=False, repr=False, compare=False)

    def judge(self, seen: Observation) -> Event | DropReason:
        """An event, or why there is none."""
        reason = drop_not_permitted(self, seen)
        if reason is not None:
            return reason
        consent = seen.consent.at_time(seen.at)
        if consent is not seen.consent:
            seen = seen.under(consent)
        row: Row = {}
        for step in STEPS:
            reason = step(self, row, seen)
            if reason is not None:
                return reason
        purposes = consent.in_force
        kept = kept_for(purposes)
        if not row.keys() <= kept:
            row = {name: value for name, value in row.items() if name in kept}
        return Event(*self._remembered.columns(self, seen), **row)

    def forget(self) -> None:
        """Look everything up anew: what `look.place` knows has changed."""
        self._remembered.forget()


class Who(NamedTuple):
    """What decides the columns that all events of a visitor have in common. It holds the network and no address, so it
    may be remembered while the day's salt lives."""

    site: str
    network: address.Packed  # truncated; empty when no address may be kept
    user_agent: str
    language: str
    status: str
    purposes: tuple[str, ...]
    consent_id: str
    policy_version: str


class _Remembered:
    """The common columns of the visitors of one day: half of an event's price, and visitors come again. Gone with the
    day's salt, or who was which pseudonym would be known for longer than the day."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._day: tuple[bytes, Callable[[Who], tuple[Any, ...]]] | None = None
        self._last: tuple[Any, ...] = (None,) * 8

    def columns(self, rule: Rule, seen: Observation) -> tuple[Any, ...]:
        salt = rule.salt(seen.at)
        network = address.truncate(seen.address, rule.prefixes) if seen.address and rule.keep_address else b""
        # Each is one value: another thread never sees half of it. First: the event before, of the same request.
        same, browser, language, consent, received_at, site, known, columns = self._last
        if (
            network == same and browser is seen.user_agent and consent is seen.consent and known is salt
            and language is seen.language and received_at == seen.received_at and site is seen.site
        ):  # fmt: skip
            return columns  # type: ignore[no-any-return]
        who = Who(
            seen.site, network, seen.user_agent, seen.language, seen.consent.status.value, seen.consent.in_force,
            seen.consent.consent_id, rule.policy_version(seen.received_at),
        )  # fmt: skip
        if salt is None:  # of a day that is over
            columns = _columns(rule, who, None)
        else:
            day = self._day
            if day is None or day[0] != salt:
                day = self._day = salt, lru_cache(_MOST_REMEMBERED)(lambda who: _columns(rule, who, salt))
            columns = day[1](who)
        self._last = (
            network, seen.user_agent, seen.language, seen.consent, seen.received_at, seen.site, salt, columns
        )  # fmt: skip
        return columns


def _columns(rule: Rule, who: Who, salt: bytes | None) -> tuple[Any, ...]:
    """The values of `OF_VISITOR`, in its order."""
    row: Row = {}
    for step in VISITOR_STEPS:
        step(rule, row, who, salt)
    kept = kept_for(who.purposes)
    return tuple(row[name] if name in row and name in kept else BY_NAME[name].empty for name in OF_VISITOR)


@lru_cache(1000)
def kept_for(purposes: tuple[str, ...]) -> frozenset[str]:
    """The names of the columns that may be filled while these purposes are in force."""
    return kept_under(frozenset({ACCOUNTABILITY, *purposes}))


def drop_not_permitted(rule: Rule, seen: Observation) -> DropReason | None:
    """Before the steps, because here the consent counts that the event *arrived* with: the device was read when its
    script sent it. What of an event from before the consent is kept, the steps decide without that consent."""
    if seen.from_device and rule.script_needs_consent and not seen.consent.permits(ANALYTICS):
        return DropReason.NOT_PERMITTED
    return None


def drop_unknown_site(rule: Rule, row: Row, seen: Observation) -> DropReason | None:
    return None if seen.site in rule.own_hosts else DropReason.UNKNOWN_SITE


def drop_expired(rule: Rule, row: Row, seen: Observation) -> DropReason | None:
    return DropReason.EXPIRED if rule.keep_ms and seen.received_at - seen.at > rule.keep_ms else None


def drop_without_purpose(rule: Rule, row: Row, seen: Observation) -> DropReason | None:
    """An objection leaves an event only what `analytics` permits; without that there is none."""
    purposes = seen.consent.in_force
    return None if MEASUREMENT in purposes or ANALYTICS in purposes else DropReason.OBJECTION


def drop_without_address(rule: Rule, row: Row, seen: Observation) -> DropReason | None:
    """What can't be parsed can't be treated."""
    return DropReason.NO_ADDRESS if seen.address is None and rule.keep_address else None


def put_moment(rule: Rule, row: Row, seen: Observation) -> None:
    row["type"] = seen.type
    row["received_at"] = received_at = when(seen.received_at)
    row["at"] = received_at if seen.at == seen.received_at else when(seen.at)


def put_page(rule: Rule, row: Row, seen: Observation) -> None:
    page = rule.look.page(seen.url)
    row["path"], row["query"], row["route"] = page.path, page.query, seen.route
    row["view_id"], row["http_status"], row["server_ms"] = seen.view_id, seen.http_status, seen.server_ms
    own = rule.own_hosts[seen.site]
    origin = rule.look.origin(seen.referrer, own if seen.host in own else own | {seen.host}, page.campaign)
    row["referrer_host"], row["referrer_path"], row["channel"], row["source"] = origin
    if page.campaign:
        for name, value in page.campaign.items():
            if name != "ref":
                row[name] = value


def put_device(rule: Rule, row: Row, seen: Observation) -> None:
    if not seen.from_device:
        return
    row["engaged_ms"], row["scroll_pct"] = seen.engaged_ms, seen.scroll_pct
    row["screen"], row["timings"] = seen.screen, seen.timings
    if seen.name or seen.props:
        text = rule.look.text
        row["name"] = text(seen.name)
        row["props"] = {text(key): text(value) for key, value in seen.props.items()}


def put_address(rule: Rule, row: Row, seen: Observation) -> None:
    """The last step: the address itself, only with consent, encrypted before it is anywhere."""
    if seen.address is None or not rule.keep_address or not seen.consent.permits(ANALYTICS):
        return
    text = address.to_text(seen.address)
    row["city"] = rule.look.place(text).city
    row["address"] = rule.encrypt(text, seen.received_at)


Step = Callable[[Rule, Row, Observation], DropReason | None]

STEPS: tuple[Step, ...] = (
    drop_unknown_site,
    drop_expired,
    drop_without_purpose,
    drop_without_address,
    put_moment,
    put_page,
    put_device,
    put_address,
)


def put_account(rule: Rule, row: Row, who: Who, salt: bytes | None) -> None:
    row["site"], row["consent"], row["purposes"] = who.site, who.status, who.purposes
    row["policy_version"] = who.policy_version


def put_network(rule: Rule, row: Row, who: Who, salt: bytes | None) -> None:
    if not who.network:
        return
    network = address.network_text(who.network, rule.prefixes)
    place = rule.look.place(network)
    row["network"], row["country"], row["region"] = network, place.country, place.region
    if salt is not None:
        row["visitor"] = pseudonym.visitor(salt, who.site, who.network, who.user_agent)


def put_person(rule: Rule, row: Row, who: Who, salt: bytes | None) -> None:
    if ANALYTICS in who.purposes:
        row["person"] = pseudonym.person(rule.person_key, who.consent_id)


def put_agent(rule: Rule, row: Row, who: Who, salt: bytes | None) -> None:
    agent = rule.look.agent(who.user_agent)
    row["browser"], row["browser_version"] = agent.browser, agent.browser_version
    row["os"], row["os_version"], row["device"], row["bot"] = agent.os, agent.os_version, agent.device, agent.bot
    row["language"] = language(who.language)


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
    match = _LANGUAGE.match(accepted)
    if match is None:
        return ""
    primary, region = match[1].lower(), match[2]
    return f"{primary}-{region.upper()}" if region else primary
