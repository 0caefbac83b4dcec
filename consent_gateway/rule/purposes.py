"""Purposes and their legal basis. A purpose has exactly one basis out of the six of GDPR Art. 6(1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class LegalBasis(StrEnum):
    """The six of GDPR Art. 6(1), by letter."""

    CONSENT = "consent"  # a
    CONTRACT = "contract"  # b
    LEGAL_OBLIGATION = "legal_obligation"  # c
    VITAL_INTEREST = "vital_interest"  # d
    PUBLIC_TASK = "public_task"  # e
    LEGITIMATE_INTEREST = "legitimate_interest"  # f


@dataclass(frozen=True, slots=True)
class Purpose:
    """What data is used for. `name` is lower-case ASCII and stands in cookies, rows and the API."""

    name: str
    basis: LegalBasis


MEASUREMENT = "measurement"
ANALYTICS = "analytics"
ACCOUNTABILITY = "accountability"

BUILT_IN = (
    Purpose(MEASUREMENT, LegalBasis.LEGITIMATE_INTEREST),
    Purpose(ANALYTICS, LegalBasis.CONSENT),
    # GDPR Art. 5(2): to be able to show, of each row, on what basis it was kept. Holds nothing about the visitor.
    Purpose(ACCOUNTABILITY, LegalBasis.LEGAL_OBLIGATION),
)

BASES = {purpose.name: purpose.basis for purpose in BUILT_IN}


def consent_purposes(purposes: Iterable[Purpose]) -> frozenset[str]:
    """The names of those that rest on consent: what a banner asks for."""
    return frozenset(purpose.name for purpose in purposes if purpose.basis is LegalBasis.CONSENT)
