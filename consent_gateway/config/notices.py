"""The exact text that a visitor is shown, in one language, addressed by its SHA-256.

A notice is made from the policy, the column register and the words of its language; its bytes are what is hashed, so a
changed comma is another notice. Every notice that was ever shown is kept in `DATA_DIR/notices`, by its hash.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..rule.columns import COLUMNS
from ..rule.purposes import ACCOUNTABILITY, ANALYTICS
from .policy import LANGUAGES, Policy, PolicyCookie, PolicyPurpose, Version

FALLBACK = "en"
CHOICE_COOKIE = "__Host-cg"  # as the policy names it
_WORDS = Path(__file__).parent / "words"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DAYS_A_MONTH, _DAYS_A_YEAR = 30.4, 365.25

Document = dict[str, Any]


@cache
def words(kind: str, language: str) -> Document:
    """The words of one kind (`notice`, `banner`, …) in one language."""
    found: Document = json.loads((_WORDS / f"{kind}.{language}.json").read_text("utf-8"))
    return found


class Notices:
    """The notices of the policy: those in force now, and every earlier one by its hash.

    `clock` gives milliseconds, UTC. Where `data_dir` refuses, as on a full disk, a notice is kept in memory until it
    can be written.
    """

    def __init__(self, policy: Policy, data_dir: Path | None, clock: Callable[[], int]) -> None:
        self._policy, self._clock = policy, clock
        self._folder = data_dir / "notices" if data_dir else None
        self._by_hash: dict[str, bytes] = {}
        self._language_of: dict[str, str] = {}
        self._by_language: dict[str, str] = {}
        self._documents: dict[str, Document] = {}
        self._until = 0
        self.version = ""
        self.keep()

    def keep(self) -> None:
        """Make those that are in force now, and have all on the disk. Called now and then by a thread that may wait."""
        now = self._clock()
        if now >= self._until:
            self._make(now)
        if self._folder is None:
            return
        for digest, data in list(self._by_hash.items()):
            path = self._folder / f"{digest}.json"
            with suppress(OSError):
                if not path.exists():
                    self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    _write(path, data)

    def _make(self, now: int) -> None:
        version = self._policy.in_force(now)
        made: dict[str, str] = {}
        for language in LANGUAGES:
            document = make(self._policy.under(version), version, language)
            data = encode(document)
            digest = sha256(data).hexdigest()
            self._by_hash[digest], self._language_of[digest] = data, language
            self._documents[language] = document
            made[language] = digest
        self._by_language, self.version = made, version.version
        self._until = self._policy.changes_at(now)

    def current(self) -> dict[str, str]:
        """The hash of each language's notice, as it is in force now."""
        if self._clock() >= self._until:
            self._make(self._clock())
        return self._by_language

    def choose(self, wanted: Iterable[str]) -> tuple[str, str]:
        """The first language that we have of those wanted (`nl-BE` is `nl`), and its notice's hash."""
        found = self.current()
        for tag in wanted:
            language = tag.strip().lower()[:2]
            if language in found:
                return language, found[language]
        return FALLBACK, found[FALLBACK]

    def document(self, language: str) -> Document:
        """The notice in force in a language, as it was encoded."""
        self.current()
        return self._documents[language]

    def language(self, digest: str) -> str:
        """The language of a notice of ours; empty for another hash."""
        if digest in self._language_of:
            return self._language_of[digest]
        text = self.text(digest)
        return str(json.loads(text)["language"]) if text else ""

    def text(self, digest: str) -> bytes | None:
        """The exact bytes of a notice, of now or of any time before."""
        if digest in self._by_hash:
            return self._by_hash[digest]
        if self._folder is None or not _DIGEST.fullmatch(digest):
            return None
        try:
            data = (self._folder / f"{digest}.json").read_bytes()
        except OSError:
            return None
        return data if sha256(data).hexdigest() == digest else None  # another text than was shown is worse than none


def encode(document: Document) -> bytes:
    """A notice as the bytes that its hash is of."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def make(policy: Policy, version: Version, language: str) -> Document:
    """The notice of one version in one language: what the banner shows, and what the privacy page is made of."""
    say = words("notice", language)
    controller = policy.controller.model_dump()
    controller["name"] = controller["name"] or say["site"]
    return {
        "language": language,
        "version": version.version,
        "effective": str(version.effective),
        "title": say["title"],
        "text": say["text"].format(address_days=duration(policy.address_days, language)),
        "controller": controller,
        "dpo": policy.dpo.model_dump(),
        "authority": policy.authority.model_dump(),
        "purposes": [_purpose(policy, purpose, language) for purpose in policy.purposes],
        "recipients": [
            one.model_dump(include={"name", "role", "country", "safeguard"}) | {"text": one.what[language]}
            for one in policy.recipients
        ],
        "storage": policy.storage.model_dump(),
        "automated_decisions": policy.automated_decisions,
        "remembered": months(policy.consent_months, language),
        "changes": version.changes[language] if version.changes else "",
        "rights": say["rights"],
        "words": words("banner", language),
    }


def _purpose(policy: Policy, purpose: PolicyPurpose, language: str) -> Document:
    say = words("notice", language)
    return {
        "id": purpose.id,
        "name": purpose.names[language],
        "text": purpose.texts[language],
        "basis": purpose.basis.value,
        "basis_name": say["basis"][purpose.basis.value],
        "asked": purpose.id in policy.asked,
        "gates": purpose.gates,
        "role": purpose.role,
        "acts_for": purpose.acts_for[language] if purpose.acts_for else "",
        "data": _data(policy, purpose, language),
        "retention": duration(policy.retention_days(purpose.id), language),
        "cookies": [
            {
                "name": cookie.name,
                "text": cookie.words[language],
                "duration": _lives(policy, cookie, language),
            }
            for cookie in purpose.cookies
        ],
        "services": [service.model_dump() for service in purpose.services],
    }


def _lives(policy: Policy, cookie: PolicyCookie, language: str) -> str:
    """How long a cookie lives; that of the choice as long as the choice is remembered."""
    say = words("notice", language)
    if cookie.name == CHOICE_COOKIE:
        return str(say["choice_cookie"].format(months=months(policy.consent_months, language)))
    return duration(cookie.days, language) if cookie.days else str(say["session"])


def _data(policy: Policy, purpose: PolicyPurpose, language: str) -> list[str]:
    """What is used: what the register keeps under a purpose of ours, and what the policy says besides. What the page's
    script sends is told where it is asked for, if the policy asks."""
    names = words("notice", language)["data"]
    groups = dict.fromkeys(
        column.group
        for column in COLUMNS
        if purpose.id == (ANALYTICS if policy.script_needs_consent and column.source == "device" else column.purpose)
    )
    told = [names[group] for group in groups]
    if purpose.id == ACCOUNTABILITY:
        told.append(f"{names['choice']} ({duration(policy.ledger_days, language)})")
    if purpose.id == ANALYTICS:
        index = list(groups).index("address")
        told[index] = f"{told[index]} ({duration(policy.address_days, language)})"
    return told + purpose.data.get(language, [])


def duration(days: int, language: str) -> str:
    """`30 days`, from two months on `25 months`, and whole years as such, in words of a language."""
    years = days / _DAYS_A_YEAR
    if years > 1.5 and abs(years - round(years)) < 0.01:
        return _counted(round(years), "years", language)
    if days >= 2 * _DAYS_A_MONTH:
        return months(round(days / _DAYS_A_MONTH), language)
    return _counted(days, "days", language)


def months(number: int, language: str) -> str:
    """So many months, in words."""
    return _counted(number, "months", language)


def _counted(number: int, unit: str, language: str) -> str:
    say = words("notice", language)
    return str(say["one"][unit] if number == 1 else say[unit].format(n=number))


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, whichever of several workers is first."""
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(path)
