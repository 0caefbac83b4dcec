"""Passwords: kept as scrypt (RFC 7914) of 32 MiB and three passes, each with a salt of its own.

That is OWASP's setting where memory is short; stronger than PBKDF2, which a graphics card guesses cheaply. About a
quarter of a second here, so at most two are worked out at once.
"""

from __future__ import annotations

import hashlib
import os
import threading
import unicodedata
from base64 import b64decode, b64encode
from hmac import compare_digest

from ..rule.errors import ConfigError

SHORTEST, LONGEST = 12, 256

_COST, _BLOCK, _PASSES = 2**15, 8, 3
_MEMORY = 64 * 1024 * 1024  # the limit that OpenSSL is told
_AT_ONCE = threading.BoundedSemaphore(2)


def check(password: str, name: str) -> str:
    """The password itself; `ConfigError` when it is too easy. Length is what counts (NIST SP 800-63B 5.1.1)."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(f"the password has {len(password)} characters: allowed are {SHORTEST} to {LONGEST}")
    if len(set(password)) < 5 or name.lower() in password.lower():
        raise ConfigError("the password repeats few characters or holds the name: choose one that nobody guesses")
    return password


def protect(password: str) -> str:
    """What is kept of a password: `scrypt$cost$block$passes$salt$key`."""
    salt = os.urandom(16)
    key = _derive(password, salt, _COST, _BLOCK, _PASSES)
    return f"scrypt${_COST}${_BLOCK}${_PASSES}${b64encode(salt).decode()}${b64encode(key).decode()}"


def matches(password: str, kept: str) -> bool:
    """Is it this one? As slow for a user who is not there: see `NOBODY`."""
    _, cost, block, passes, salt, key = kept.split("$")
    if len(password) > LONGEST:
        return False
    found = _derive(password, b64decode(salt), int(cost), int(block), int(passes))
    return compare_digest(found, b64decode(key))


def _derive(password: str, salt: bytes, cost: int, block: int, passes: int) -> bytes:
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    with _AT_ONCE:
        return hashlib.scrypt(text, salt=salt, n=cost, r=block, p=passes, maxmem=_MEMORY, dklen=32)


NOBODY = f"scrypt${_COST}${_BLOCK}${_PASSES}${b64encode(bytes(16)).decode()}${b64encode(bytes(32)).decode()}"
"""What the password of a name that nobody has is compared with, so that the time tells nothing."""
