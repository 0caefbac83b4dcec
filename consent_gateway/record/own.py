"""The owner's own browser, kept out of the figures: a signed cookie that says just that, and nothing of who it is.

Set from the dashboard by somebody who is signed in. It is signed so that no page and no stranger can make browsers
vanish from the figures; it holds no identifier, so it is the same for every browser that it is set in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from itsdangerous import BadSignature, URLSafeSerializer

_SECONDS = 400 * 86_400  # what browsers allow at most
_VALUE = "out"


class OwnBrowser:
    """Sets and recognises the cookie."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._signer = URLSafeSerializer(
            list(secrets),
            salt="consent-gateway.own",
            signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"},
        )
        self._is_ours = lru_cache(64)(self._open)

    def cookie(self, *, out: bool, secure: bool) -> str:
        """The `Set-Cookie` line that keeps this browser out, or counts it again."""
        value = self._signer.dumps(_VALUE) if out else ""
        age = _SECONDS if out else 0
        line = f"{_name(secure)}={value!s}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax"
        return f"{line}; Secure" if secure else line

    def is_out(self, cookie_header: str, *, secure: bool) -> bool:
        """Is this a browser of the owner's? Costs nothing where the cookie isn't there."""
        if "cg-own=" not in cookie_header:
            return False
        pairs = (part.strip().partition("=") for part in cookie_header.split(";"))
        return any(self._is_ours(value) for name, _, value in pairs if name == _name(secure))

    def _open(self, value: str) -> bool:
        try:
            return bool(self._signer.loads(value) == _VALUE)
        except BadSignature:
            return False


def _name(secure: bool) -> str:
    return "__Host-cg-own" if secure else "cg-own"
