"""What the law asks of a policy, condition by condition: met, unmet or contested, and why. For `policy check`.

A policy that the loader took breaks none of what it refuses; here stands what depends on the owner, on the settings, or
on which authority one asks. Not legal advice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ..rule.address import Prefixes
from ..rule.columns import COLUMNS
from ..rule.purposes import MEASUREMENT, LegalBasis
from .policy import EEA, MOST_MEASUREMENT_DAYS, MOST_MONTHS, Policy


class Finding(StrEnum):
    """How a policy stands to a condition: contested means that authorities differ."""

    MET = "met"
    UNMET = "unmet"
    CONTESTED = "contested"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, where it stands in the law, and how the policy stands to it."""

    words: str
    source: str
    finding: Finding
    why: str


def check(policy: Policy, prefixes: Prefixes) -> list[Condition]:
    """All conditions of the policy's preset, the general ones first."""
    found = list(_general(policy))
    if policy.preset == "france-exempt":
        found += _france(policy, prefixes)
    return found


def _met(words: str, source: str, fine: bool, why: str, otherwise: str) -> Condition:
    return Condition(words, source, Finding.MET if fine else Finding.UNMET, why if fine else otherwise)


def _general(policy: Policy) -> Iterator[Condition]:
    who, authority = policy.controller, policy.authority
    reachable = who.email or who.address or who.url
    yield _met(
        "The notice says who is responsible and how to reach them", "GDPR 13(1)(a)", bool(who.name and reachable),
        f"{who.name}, {reachable}", "controller.name and controller.email, address or url are missing",
    )  # fmt: skip
    yield _met(
        "The notice names the authority that takes complaints", "GDPR 13(2)(d)", bool(authority.name),
        authority.name, "authority.name is missing",
    )  # fmt: skip
    if who.role == "processor":
        yield _met(
            "A processor names the controller that it acts for", "GDPR 28(3)", bool(who.acts_for),
            who.acts_for, "controller.acts_for is missing",
        )  # fmt: skip
    where = policy.storage.country
    yield _met(
        "The notice says where data is kept, in the EEA or under a safeguard", "GDPR 44, 46", bool(where),
        where if where in EEA else f"{where}: {policy.storage.safeguard}", "storage.country is missing",
    )  # fmt: skip
    yield Condition(
        "Refusing stands beside accepting, on the first layer", "EDPB Taskforce 2023, BE 113/2024", Finding.MET,
        ", ".join(policy.first_layer),
    )  # fmt: skip
    yield Condition("Nothing is ticked beforehand", "GDPR 4(11), Planet49", Finding.MET, "it would be refused at start")
    yield Condition(
        "A choice is remembered no longer than 13 months", "CNIL 2020-092",
        Finding.MET, f"{policy.consent_months} months, not renewed by visiting",
    )  # fmt: skip
    outside = [one.id for one in policy.purposes if one.cookies and one.basis is not LegalBasis.CONSENT]
    yield Condition(
        "Cookies without consent are needed for what the visitor asked for", "ePrivacy 5(3)",
        Finding.CONTESTED if set(outside) - {"accountability"} else Finding.MET,
        f"of {', '.join(outside)}; whether they are strictly necessary is the owner's to show",
    )  # fmt: skip
    if policy.script_needs_consent:
        yield Condition(
            "What a script reads from the device rests on consent", "ePrivacy 5(3), BE 131/2024", Finding.MET,
            "nothing is sent by the page's script before consent",
        )  # fmt: skip
    else:
        yield Condition(
            "What a script reads from the device rests on consent", "ePrivacy 5(3), BE 131/2024", Finding.CONTESTED,
            "it is sent under legitimate interest, which France allows under conditions (france-exempt) and Belgium "
            "contests: the preset belgium-strict asks first",
        )  # fmt: skip


def _france(policy: Policy, prefixes: Prefixes) -> Iterator[Condition]:
    """CNIL, guidelines of 17 September 2020 (2020-091), article 5: audience measurement without consent."""
    source = "CNIL 2020-091 art. 5"
    measurement = policy.purpose(MEASUREMENT)
    kept = {column.group for column in COLUMNS if column.purpose == MEASUREMENT}
    yield Condition(
        "Only to measure the audience, for the owner's own use", source, Finding.MET,
        "measurement has no other purpose; anonymous statistics are all that reports show of it",
    )  # fmt: skip
    yield _met(
        "Nobody else gets the data, and it is not joined with other data", source,
        not measurement.services and not measurement.recipients, "measurement names no service and no recipient",
        "measurement names services or recipients",
    )  # fmt: skip
    yield Condition(
        "No visitor is followed across sites", source, Finding.MET,
        "the visitor number is made with the site's name and a salt that lives one day",
    )  # fmt: skip
    yield _met(
        "The last byte of the address is cut", source, prefixes.v4 <= 24, f"/{prefixes.v4} and /{prefixes.v6} are kept",
        f"PREFIXES keeps /{prefixes.v4}",
    )  # fmt: skip
    yield _met(
        "Location is no finer than the city", source, "city" not in kept,
        "country and region, from the shortened address", "measurement keeps the city of the full address",
    )  # fmt: skip
    yield _met(
        "A tracker lives 13 months at most and is not renewed", source, policy.consent_months <= MOST_MONTHS,
        "measurement stores nothing on the device; the choice itself is remembered for "
        f"{policy.consent_months} months", "consent_months is over 13",
    )  # fmt: skip
    days = measurement.retention_days
    yield _met(
        "Data is kept for 25 months at most", source, days <= MOST_MEASUREMENT_DAYS, f"{days} days", f"{days} days"
    )
    yield Condition(
        "Visitors are told, and can object easily", source, Finding.MET,
        "the notice says so; the objection stands under its own heading, and GPC and DNT count as one",
    )  # fmt: skip
    yield _met(
        "Data stays in the EEA", source, policy.storage.country in EEA, policy.storage.country,
        "storage.country is missing, or outside the EEA",
    )  # fmt: skip
    yield _met(
        "Statistics are anonymous: small groups are folded", source, policy.minimum_group >= 5,
        f"groups under {policy.minimum_group} are shown as others", "minimum_group is under 5",
    )  # fmt: skip
    yield Condition(
        "Anything further rests on consent", source, Finding.MET, f"asked for: {', '.join(sorted(policy.asked))}"
    )
