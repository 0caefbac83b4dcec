"""One-time sign-in links, and signed sessions.

Links live in the memory of the back office, as hashes, for a quarter of an hour or until they are used. A session is a
signed cookie of half a day that names its user, the user's generation, and itself: it ends earlier when the user gets
another password, is disabled or removed, or signs out, because the file of people says so.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from itsdangerous import BadSignature, URLSafeTimedSerializer

from .people import People, Role, new_generation

LINK_SECONDS = 15 * 60
SESSION_SECONDS = 12 * 60 * 60


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: a name (of a token, the token's), a role, and `how` we know: session, link, token, site or terminal.

    `secret` is what forms of this person are bound to; nobody else knows it.
    """

    name: str
    role: Role
    how: str
    secret: str = ""


class Sessions:
    """Opens, recognises and ends sessions."""

    def __init__(self, signing: Sequence[str], people: People) -> None:
        self._signer = URLSafeTimedSerializer(
            list(signing),
            salt="consent-gateway.owner",
            signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"},
        )
        self._people = people
        self._form_key = hmac.digest(signing[-1].encode(), b"consent-gateway.form", "sha256")
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

    def cookie(self, name: str = "", *, secure: bool) -> str:
        """The `Set-Cookie` line of a new session: of a user, or of who came by a link."""
        book = self._people.read()
        if not name and not book.links:
            with self._people.change() as book:
                book.links = book.links or new_generation()
        generation = book.users[name].generation if name else book.links
        value = self._signer.dumps([name, generation, secrets.token_urlsafe(9)])
        return _line(secure, str(value), SESSION_SECONDS)

    def person(self, cookie_header: str, *, secure: bool) -> Person | None:
        """Whose session it is; None when it is none, has ended or was ended."""
        value = _value(cookie_header, secure)
        found = self._open(value)
        if found is None:
            return None
        name, generation, number = found
        book = self._people.read()
        if number in book.ended:
            return None
        if not name:
            return Person("", Role.OWNER, "link", value) if generation and generation == book.links else None
        user = book.users.get(name)
        if user is None or user.disabled or user.generation != generation:
            return None
        return Person(name, user.role, "session", value)

    def end(self, cookie_header: str, *, secure: bool) -> str:
        """Sign out: this session is none any more, wherever it was copied to. The `Set-Cookie` line that removes it."""
        found = self._open(_value(cookie_header, secure))
        if found is not None:
            now = int(time.time())
            with self._people.change() as book:
                book.ended = {number: until for number, until in book.ended.items() if until > now}
                book.ended[found[2]] = now + SESSION_SECONDS
        return _line(secure, "", 0)

    def form_token(self, secret: str) -> str:
        """What a form of this person carries. A second line: a post from elsewhere is refused by its origin before."""
        return hmac.new(self._form_key, secret.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    def is_form_of(self, secret: str, token: str) -> bool:
        return hmac.compare_digest(self.form_token(secret).encode(), token.encode("utf-8", "surrogatepass"))

    def _open(self, value: str) -> tuple[str, str, str] | None:
        try:
            match self._signer.loads(value, max_age=SESSION_SECONDS):
                case [str(name), str(generation), str(number)]:
                    return name, generation, number
        except BadSignature:
            pass
        return None


def _line(secure: bool, value: str, seconds: int) -> str:
    line = f"{_name(secure)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"
    return f"{line}; Secure" if secure else line


def _value(cookie_header: str, secure: bool) -> str:
    pairs = (part.strip().partition("=") for part in cookie_header.split(";"))
    return next((value for name, _, value in pairs if name == _name(secure)), "")


def _name(secure: bool) -> str:
    return "__Host-cg-owner" if secure else "cg-owner"


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
