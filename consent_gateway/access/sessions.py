"""A one-time sign-in link, and the signed session that it opens.

Links live in the memory of the back office, as hashes, for a quarter of an hour or until they are used. A session is a
signed cookie of half a day.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from hashlib import sha256

from itsdangerous import BadSignature, URLSafeTimedSerializer

LINK_SECONDS = 15 * 60
SESSION_SECONDS = 12 * 60 * 60


class Sessions:
    """Opens and recognises owners' sessions."""

    def __init__(self, signing: Sequence[str]) -> None:
        self._signer = URLSafeTimedSerializer(
            list(signing),
            salt="consent-gateway.owner",
            signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"},
        )
        self._links: dict[bytes, float] = {}

    def new_link(self) -> str:
        """A token that opens one session, once."""
        now = time.monotonic()
        self._links = {digest: until for digest, until in self._links.items() if until > now}
        token = secrets.token_urlsafe(24)
        self._links[_digest(token)] = now + LINK_SECONDS
        return token

    def use_link(self, token: str) -> bool:
        return self._links.pop(_digest(token), 0.0) > time.monotonic()

    def cookie(self, *, secure: bool) -> str:
        """The `Set-Cookie` line of a new session."""
        value = self._signer.dumps("owner")
        line = f"{_name(secure)}={value}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict"
        return f"{line}; Secure" if secure else line

    def is_owner(self, cookie_header: str, *, secure: bool) -> bool:
        pairs = (part.strip().partition("=") for part in cookie_header.split(";"))
        value = next((value for name, _, value in pairs if name == _name(secure)), "")
        try:
            return bool(self._signer.loads(value, max_age=SESSION_SECONDS) == "owner")
        except BadSignature:
            return False


def _name(secure: bool) -> str:
    return "__Host-cg-owner" if secure else "cg-owner"


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
