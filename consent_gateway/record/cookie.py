"""The signed cookie: the visitor's choice, as the browser carries it.

Over https only `__Host-cg` is read and set (`__Secure-cg` with `COOKIE_DOMAIN`), over plain http only `cg`. It is
signed for one site, at most 300 bytes, and never renewed by visiting. A refusal's holds status, month and policy
version, no identifier and no time stamp. What is forged, cut, too long or another site's reads as no cookie at all.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from itsdangerous import BadSignature, Signer

from ..config.policy import MOST_MONTHS
from ..rule.consent import UNKNOWN, Consent, Status, Terms, stricter

MAX_BYTES = 300
LATER = "cg-later"  # the session cookie in which the page's script keeps a choice that it could not send
_MOST_COOKIES = 8  # of one name in one request; a browser sends one
_FORM = re.compile(
    r"1~(?P<status>[gruw])~(?P<when>[0-9a-z]{1,12}|\d{4}-\d\d)~(?P<id>[A-Za-z0-9_-]{0,22})"
    r"~(?P<version>[A-Za-z0-9._-]{1,32})~(?P<granted>[a-z0-9_:-]*)~(?P<flags>o?d?l?)"
)
_LETTERS = {"g": Status.GIVEN, "r": Status.REFUSED, "w": Status.WITHDRAWN, "u": Status.UNKNOWN}
_STATUS_LETTER = {status: letter for letter, status in _LETTERS.items()}


class Cookies:
    """Reads and writes the cookie of any of our sites. `months` is how long a choice is remembered."""

    def __init__(self, secrets: Sequence[str], *, months: int = 6, domain: str = "") -> None:
        self._secrets = list(secrets)
        self._months = months
        self._domain = domain
        self._signer = lru_cache(64)(self._make_signer)
        self._decode = lru_cache(10_000)(self._check)

    def name(self, secure: bool) -> str:
        if not secure:
            return "cg"
        return "__Secure-cg" if self._domain else "__Host-cg"

    def read(self, header: str, site: str, *, secure: bool, now: int, terms: Terms) -> Consent:
        """The state that a `Cookie` header holds for a site, before signals, under the policy in force. `now` in
        milliseconds, UTC."""
        if self.name(secure) not in header:
            return UNKNOWN
        found: Consent | None = None
        for value in self._values(header, secure):
            decoded = self._decode(value, site) if len(value) <= MAX_BYTES else None  # nothing long into the cache
            if decoded is None:
                continue
            consent, until = decoded
            if now >= until:
                consent = Consent(Status.EXPIRED, objection=consent.objection, policy_version=consent.policy_version)
            else:
                consent = consent.under_terms(terms)
            found = consent if found is None else stricter(found, consent)
        return found or UNKNOWN

    def given(self, header: str, site: str, *, secure: bool) -> list[Consent]:
        """Every grant of ours that the header holds, also those that no longer count: a withdrawal ends them all."""
        found = (self._decode(value, site) for value in self._values(header, secure) if len(value) <= MAX_BYTES)
        return [decoded[0] for decoded in found if decoded is not None and decoded[0].status is Status.GIVEN]

    def _values(self, header: str, secure: bool) -> list[str]:
        wanted = self.name(secure) + "="
        at = header.find(wanted)
        if at < 0:
            return []
        if (at == 0 or header[at - 2 : at] == "; ") and header.find(wanted, at + 1) < 0:  # as nearly always
            end = header.find(";", at)
            return [header[at + len(wanted) : end if end > 0 else None].strip().strip('"')]
        pairs = [part for part in map(str.strip, header.split(";")) if part.startswith(wanted)]
        return [pair[len(wanted) :].strip('"') for pair in pairs[:_MOST_COOKIES]]

    def write(self, consent: Consent, site: str, *, secure: bool, now: int) -> str:
        """The `Set-Cookie` line of a state."""
        value = self._signer(site).sign(_encode(consent)).decode()
        until = self._until(consent)
        line = f"{self.name(secure)}={value}; Path=/; Max-Age={max(0, (until - now) // 1000)}; HttpOnly; SameSite=Lax"
        if secure:
            line += "; Secure"
        return f"{line}; Domain={self._domain}" if self._domain else line

    def _make_signer(self, site: str) -> Signer:
        return Signer(self._secrets, salt=f"consent-gateway.cookie.{site}", key_derivation="hmac", digest_method=sha256)

    def _check(self, value: str, site: str) -> tuple[Consent, int] | None:
        """The state in a cookie's value and until when it counts; `None` unless it is whole and ours."""
        if not value.isascii():
            return None
        try:
            text = self._signer(site).unsign(value).decode()
        except BadSignature:
            return None
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        status, flags = _LETTERS[match["status"]], match["flags"]
        given = status is Status.GIVEN
        consent = Consent(
            status,
            frozenset(match["granted"].split(":")) if given else frozenset(),
            objection="o" in flags,
            consent_id=match["id"] if given else "",
            given_at=int(match["when"], 36) if given else 0,
            month="" if given else match["when"],
            policy_version=match["version"],
            despite_signal="d" in flags,
            signal_lifted="l" in flags,
        )
        return consent, self._until(consent)

    def _until(self, consent: Consent) -> int:
        """A grant counts for `months` from its moment, a refusal from the end of its month (so never shorter, but for
        the most that is allowed: 13 months from any day of it)."""
        if consent.status is Status.GIVEN:
            return add_months(consent.given_at, self._months)
        year, month = map(int, consent.month.split("-"))
        last = datetime(year, month, monthrange(year, month)[1], 23, 59, 59, tzinfo=UTC)
        return add_months(int(last.timestamp() * 1000), min(self._months, MOST_MONTHS - 1))


def _encode(consent: Consent) -> bytes:
    flags = "o" * consent.objection + "d" * consent.despite_signal + "l" * consent.signal_lifted
    given = consent.status is Status.GIVEN
    when = _base36(consent.given_at) if given else consent.month
    fields = [
        "1",
        _STATUS_LETTER[consent.status],
        when,
        consent.consent_id if given else "",
        consent.policy_version,
        ":".join(sorted(consent.granted)),
        flags,
    ]
    return "~".join(fields).encode()


_KEPT = re.compile(rf"(?:^|;)\s*{LATER}=([^;\s]+)")
END_OF_KEPT = f"{LATER}=; Path=/; Max-Age=0; SameSite=Lax"


def read_kept(header: str) -> str:
    """What stands in that cookie: the choice as JSON, in percent signs. Empty when there is none, as nearly always."""
    found = _KEPT.search(header) if LATER in header else None
    return found[1] if found else ""


def add_months(ms: int, months: int) -> int:
    """A moment so many months later, on the last day where the month is shorter. Milliseconds, UTC."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    index = moment.year * 12 + moment.month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = min(moment.day, monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp()) * 1000 + ms % 1000


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"
