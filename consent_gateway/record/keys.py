"""Secrets and keys in `KEYS_DIR`, apart from the data: files of mode 0600, made at the first need, never overwritten.

Cookie secrets, the key of the durable pseudonym, the Ed25519 key that signs receipts, and one AES-256 key a month for
addresses, whose id (the month) stands in front of what it encrypted.
"""

from __future__ import annotations

import logging
import os
import re
import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..rule.errors import ConfigError
from . import process
from .signature import key_id

log = logging.getLogger("consent_gateway")

_LONGEST_ADDRESS = 45
_KEY_BYTES = 32
MONTH = re.compile(r"\d{4}-\d\d")
ADDRESS = "address-"  # begins the name of a month's key
SETTLE_SECONDS = 60.0  # workers look for new keys every 10


class Keys:
    """The keys of one installation. Every process of the host shares them through the directory."""

    def __init__(self, directory: Path, secrets: tuple[str, ...] = (), person: bytes | None = None) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(
                f"KEYS_DIR is {str(directory)!r}: {error.strerror}; allowed is a writable folder"
            ) from None
        if not secrets:
            made = not (directory / "secret").exists()
            secrets = self._own_secrets()
            if made:
                log.warning("made a secret in %s: back it up; set CONSENT_GATEWAY_SECRET for several hosts", directory)
        self.secrets = secrets  # the newest last
        if person is not None:
            self._take_up(person)
        self.person = self._key("person")
        self._cipher = lru_cache(4)(lambda month: AESGCM(self._key(f"{ADDRESS}{month}")))

    def _own_secrets(self) -> tuple[str, ...]:
        """The secret in use last. One that was rotated verifies for ever; the one in its place signs only once every
        worker must have taken it up, and verifies until then."""
        newest = self._key("secret")
        earlier = [
            self._key(path.name)
            for path in sorted(self.directory.glob("secret-*"), key=lambda path: int(path.name.partition("-")[2]))
        ]
        young = bool(earlier) and time.time() - (self.directory / "secret").stat().st_mtime < SETTLE_SECONDS
        ordered = [newest, *earlier] if young else [*earlier, newest]
        return tuple(b64encode(key).decode() for key in ordered)

    def encrypt_address(self, text: str, received_at: int) -> str:
        """`2026-11.<base64 of nonce and ciphertext>`, padded so that the length tells nothing. Time in milliseconds."""
        month = _month(received_at)
        nonce = process.random_bytes(12)
        sealed = self._cipher(month).encrypt(nonce, text.ljust(_LONGEST_ADDRESS).encode(), month.encode())
        return f"{month}.{b64encode(nonce + sealed).decode()}"

    def decrypt_address(self, text: str) -> str | None:
        """The address again; `None` when its month's key was destroyed or the text is not ours."""
        month, _, sealed = text.partition(".")
        if not MONTH.fullmatch(month) or not (self.directory / f"{ADDRESS}{month}").exists():
            return None
        try:
            raw = b64decode(sealed)
            return self._cipher(month).decrypt(raw[:12], raw[12:], month.encode()).decode().rstrip()
        except (ValueError, InvalidTag):
            return None

    @property
    def store(self) -> bytes:
        """The key of the embedded store's encrypted disk."""
        return self._key("store")

    @property
    def receipt(self) -> Ed25519PrivateKey:
        """The key that signs receipts and seals."""
        return Ed25519PrivateKey.from_private_bytes(self._key("receipt"))

    @property
    def public_keys(self) -> dict[str, Ed25519PublicKey]:
        """By their id: that of `receipt`, and those of earlier ones, which still verify what they signed."""
        earlier = sorted(path.name for path in self.directory.glob("receipt-*"))
        keys = [Ed25519PrivateKey.from_private_bytes(self._key(name)).public_key() for name in ("receipt", *earlier)]
        return {key_id(key): key for key in keys}

    def _take_up(self, person: bytes) -> None:
        """The durable pseudonym's key as it is set. Another than the one in use would part everyone from their rows."""
        path = self.directory / "person"
        try:
            write_once(path, person)
        except OSError as error:
            raise ConfigError(f"the key {str(path)!r} can't be made: {error.strerror}") from None
        if self._key("person") != person:
            raise ConfigError(
                f"CONSENT_GATEWAY_PERSON_KEY is not the key in {str(path)!r}, which the stored persons were made with; "
                f"allowed is the same one: base64 -w0 {path}"
            )

    def _key(self, name: str) -> bytes:
        """32 random bytes in a file of that name; of several processes that make it at once, the first wins."""
        path = self.directory / name
        try:
            if not path.exists():
                write_once(path, os.urandom(_KEY_BYTES))
            key = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"the key {str(path)!r} can't be read or made: {error.strerror}") from None
        if len(key) != _KEY_BYTES:  # cut short by a bad copy, it would be guessed
            raise ConfigError(f"the key {str(path)!r} has {len(key)} bytes: allowed are {_KEY_BYTES}")
        return key


def write_once(path: Path, data: bytes) -> None:
    """Write a private file unless it is there: whole or not at all, and never over another's."""
    draft = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.close(handle)
        draft.unlink()


@lru_cache(64)
def _month_of_day(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86400, UTC):%Y-%m}"


def _month(ms: int) -> str:
    return _month_of_day(ms // 86_400_000)
