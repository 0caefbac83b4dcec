"""The cookie firewall: every `Set-Cookie` of the site against the policy.

A cookie that no purpose declares, or whose purpose is not permitted for this visitor, is reported, or with
`COOKIE_FIREWALL=strip` taken away. Counted by name, never by value, in the books of the process, so `kill -9` loses no
count; a name that looks like an identifier is counted as `*`. What ends a cookie always passes. Whoever ends a consent
gets the declared cookies of its purposes ended too, HttpOnly ones as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Literal

from ..config.policy import Policy, PolicyCookie
from ..enrich.path import scrub_text
from ..record.books import COOKIE, Books
from ..rule.consent import Consent
from ..rule.purposes import LegalBasis

Mode = Literal["report", "strip", "off"]
Header = tuple[bytes, bytes]

ALLOWED, UNDECLARED, REFUSED, STRIPPED = "allowed", "undeclared", "refused", "stripped"
OWN = frozenset({"cg", "__Host-cg", "__Secure-cg", "cg-owner", "__Host-cg-owner", "cg-later"})
_MOST_NAMES = 200  # that one process counts by themselves
_LONGEST_NAME = 40
_MOST_ENDED = 40  # lines that end cookies, in one answer
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def permitted(bases: Mapping[str, LegalBasis], consent: Consent, purpose: str) -> bool:
    """May data be used for a purpose of the policy, given its basis and what the visitor chose?"""
    basis = bases.get(purpose)
    if basis is LegalBasis.CONSENT:
        return consent.permits(purpose)
    return basis is not None and not (basis is LegalBasis.LEGITIMATE_INTEREST and consent.objection)


class Declared:
    """The cookies that a policy declares, by exact name and by prefix."""

    def __init__(self, policy: Policy) -> None:
        self._exact: dict[str, str] = dict.fromkeys(OWN, "")
        self._prefixes: list[tuple[str, str]] = []
        for purpose in policy.purposes:
            for cookie in purpose.cookies:
                if cookie.name.endswith("*"):
                    self._prefixes.append((cookie.name[:-1], purpose.id))
                else:
                    self._exact.setdefault(cookie.name, purpose.id)

    def purpose(self, cookie: str) -> str | None:
        """The purpose that declares a cookie; empty for our own, `None` for nobody's."""
        found = self._exact.get(cookie)
        if found is None:
            found = next((purpose for prefix, purpose in self._prefixes if cookie.startswith(prefix)), None)
        return found


class Firewall:
    """Looks at the cookies of one edge's answers, by the policy in force. `clock` gives milliseconds, UTC."""

    def __init__(self, policy: Policy, books: Books, mode: Mode, clock: Callable[[], int]) -> None:
        self._whole, self._books, self._mode, self._clock = policy, books, mode, clock
        self._known = (0, policy, Declared(policy))  # until when, and what; one value: no thread sees half of it
        self._counted: set[str] = set()

    def _in_force(self) -> tuple[int, Policy, Declared]:
        now, known = self._clock(), self._known
        if now >= known[0]:
            policy = self._whole.as_of(now)
            known = self._known = (self._whole.changes_at(now), policy, Declared(policy))
        return known

    def look(self, raw: list[Header], site: str, consent: Consent) -> bool:
        """Judge the cookies of a response, and take away what may not be set. True when the response is now this
        visitor's alone, because another's would set others."""
        if self._mode == "off":
            return False
        _, policy, declared = self._in_force()
        kept: list[Header] = []
        differs = False
        for name, value in raw:
            if name.lower() != b"set-cookie":
                kept.append((name, value))
                continue
            line = value.decode("latin-1")
            cookie = line.partition("=")[0].strip()
            purpose = declared.purpose(cookie)
            differs = differs or bool(purpose and policy.basis_of(purpose) is LegalBasis.CONSENT)
            verdict = _verdict(policy, line, purpose, consent)
            self._count(site, verdict, cookie)
            if verdict == ALLOWED or self._mode == "report":
                kept.append((name, value))
            else:
                self._count(site, STRIPPED, cookie)
        if len(kept) < len(raw):
            raw[:] = kept
        return differs and self._mode == "strip"

    def _count(self, site: str, verdict: str, cookie: str) -> None:
        name = cookie if len(cookie) <= _LONGEST_NAME and _NAME.fullmatch(cookie) else "*"
        name = scrub_text(name)
        if name not in self._counted:
            name = name if len(self._counted) < _MOST_NAMES else "*"
            self._counted.add(name)
        self._books.count(site or "-", f"{COOKIE}{verdict}.{name}")

    def ending(self, header: str, before: Consent, after: Consent, *, secure: bool) -> Iterator[str]:
        """`Set-Cookie` lines that end the declared cookies of purposes that `after` does not permit: those that the
        visitor's browser sent, and those of a purpose that ended just now, which may lie below another path."""
        sent = {name for name, _, _ in (pair.strip().partition("=") for pair in header.split(";")) if name}
        lines = 0
        for purpose in self._in_force()[1].purposes:
            if purpose.basis is not LegalBasis.CONSENT or after.permits(purpose.id):
                continue
            ended = before.permits(purpose.id)
            for cookie in purpose.cookies:
                for name in _names(cookie, sent, ended):
                    lines += 1
                    if lines > _MOST_ENDED:
                        return
                    yield _ended(name, cookie, secure=secure)


def _verdict(policy: Policy, line: str, purpose: str | None, consent: Consent) -> str:
    if _ends(line):
        return ALLOWED
    if purpose is None:
        return UNDECLARED
    return ALLOWED if not purpose or permitted(policy.bases, consent, purpose) else REFUSED


def _names(cookie: PolicyCookie, sent: Iterable[str], ended: bool) -> list[str]:
    if cookie.name.endswith("*"):
        return sorted(name for name in sent if name.startswith(cookie.name[:-1]) and _NAME.fullmatch(name))
    return [cookie.name] if ended or cookie.name in sent else []


def _ended(name: str, cookie: PolicyCookie, *, secure: bool) -> str:
    line = f"{name}=; Path={cookie.path}; Max-Age=0"
    line += f"; Domain={cookie.domain.lstrip('.')}" if cookie.domain else ""
    return f"{line}; Secure" if secure or name.startswith(("__Secure-", "__Host-")) else line


def _ends(line: str) -> bool:
    """Does this `Set-Cookie` line end a cookie (RFC 6265 5.2: `Max-Age` goes before `Expires`)?"""
    attributes: dict[str, str] = {}
    for part in line.split(";")[1:]:
        name, _, value = part.partition("=")
        attributes[name.strip().lower()] = value.strip()
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?\d+", age):
        return int(age[:20]) <= 0
    try:
        return "expires" in attributes and parsedate_to_datetime(attributes["expires"]).year < 2000
    except (ValueError, TypeError, IndexError):
        return False
