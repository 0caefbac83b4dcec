"""The users and tokens of this installation: `KEYS_DIR/people.json`, mode 0600, apart from the data and its backups.

Written whole or not at all, under a lock; read again when another process (the command line) has changed it. It holds
no password and no token, only what they are compared with.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

import msgspec

from ..rule.errors import ConfigError
from . import passwords

_FILE, _LOCK = "people.json", "people.lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_DAY = 86_400


class Role(StrEnum):
    """What a person may do."""

    OWNER = "owner"  # everything, also what is about single persons: the privacy tab
    VIEWER = "viewer"  # reads the reports


class Scope(StrEnum):
    """What a token may do."""

    STATS = "stats"  # read reports
    METRICS = "metrics"  # read metrics, and the details of health
    EVENTS = "events"  # send events, as a site's own server


class User(msgspec.Struct):
    """`generation` is in each of the user's sessions: a new one ends them all. Times are in seconds."""

    role: Role
    password: str
    generation: str
    made: int
    disabled: bool = False


class Token(msgspec.Struct):
    """A key for programs. `digest` is the SHA-256 of its secret, which is random and long: no salt is needed."""

    name: str
    digest: str
    scopes: list[Scope]
    made: int
    until: int


class Book(msgspec.Struct):
    """What the file holds. `links` is the generation of sessions that a sign-in link opened; `ended` are sessions that
    signed out, each with the second when it would have ended anyway."""

    users: dict[str, User] = msgspec.field(default_factory=dict)
    tokens: dict[str, Token] = msgspec.field(default_factory=dict)
    links: str = ""
    ended: dict[str, int] = msgspec.field(default_factory=dict)


class People:
    """Reads and changes the file."""

    def __init__(self, keys_dir: Path) -> None:
        self._path, self._lock_path = keys_dir / _FILE, keys_dir / _LOCK
        self._known: tuple[tuple[int, int, int], Book] | None = None
        self._changing = threading.Lock()

    def read(self) -> Book:
        """The users and tokens as they are now."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return Book()
        mark = (state.st_ino, state.st_mtime_ns, state.st_size)
        if self._known is None or self._known[0] != mark:
            try:
                self._known = mark, msgspec.json.decode(self._path.read_bytes(), type=Book)
            except msgspec.MsgspecError as error:
                raise ConfigError(f"{str(self._path)!r} is damaged: {error}; restore it, or remove it") from None
        return self._known[1]

    @contextmanager
    def change(self) -> Iterator[Book]:
        """A copy to change; it is in force when the block has ended."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._changing:
            handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                book = msgspec.json.decode(msgspec.json.encode(self.read()), type=Book)
                yield book
                self._write(book)
            finally:
                os.close(handle)

    def _write(self, book: Book) -> None:
        draft = self._path.with_name(f".{_FILE}-{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, msgspec.json.format(msgspec.json.encode(book), indent=1) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(draft, self._path)
        self._known = None

    # users

    def add(self, name: str, role: Role, password: str) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name[:80]!r} is no user's name: allowed are 1 to 64 letters, digits and . _ @ + -")
        kept = passwords.protect(passwords.check(password, name))
        with self.change() as book:
            if name in book.users:
                raise ConfigError(f"there is a user {name!r} already")
            book.users[name] = User(role, kept, new_generation(), int(time.time()))

    def set_role(self, name: str, role: Role) -> None:
        with self.change() as book:
            _user(book, name).role = role

    def set_password(self, name: str, password: str) -> None:
        """Ends all sessions of the user too: who took one over is out."""
        _user(self.read(), name)
        kept = passwords.protect(passwords.check(password, name))
        with self.change() as book:
            user = _user(book, name)
            user.password, user.generation = kept, new_generation()

    def disable(self, name: str, *, disabled: bool) -> None:
        with self.change() as book:
            user = _user(book, name)
            user.disabled, user.generation = disabled, new_generation()

    def remove(self, name: str) -> None:
        with self.change() as book:
            _user(book, name)
            del book.users[name]

    def end_links(self) -> None:
        """End all sessions that sign-in links opened."""
        with self.change() as book:
            book.links = new_generation()

    def knows(self, name: str, password: str) -> bool:
        """Is this the password of a user who may sign in? As slow when there is no such user."""
        user = self.read().users.get(name)
        found = passwords.matches(password, user.password if user else passwords.NOBODY)
        return found and user is not None and not user.disabled

    # tokens

    def make_token(self, name: str, scopes: list[Scope], days: int) -> str:
        """A new token, which nobody can read again: `cg_<id>_<secret>`."""
        key, secret, now = secrets.token_hex(4), secrets.token_urlsafe(32), int(time.time())
        with self.change() as book:
            book.tokens = {one: token for one, token in book.tokens.items() if token.until > now - 30 * _DAY}
            book.tokens[key] = Token(name, digest(secret), scopes, now, now + days * _DAY)
        return f"cg_{key}_{secret}"

    def revoke(self, key: str) -> None:
        with self.change() as book:
            if book.tokens.pop(key, None) is None:
                raise ConfigError(f"there is no token {key[:80]!r}: `consent-gateway tokens list` shows them")

    def token(self, text: str) -> Token | None:
        """The token that this is, while it is good."""
        prefix, _, rest = text.partition("_")
        key, _, secret = rest.partition("_")
        token = self.read().tokens.get(key)
        same = compare_digest(digest(secret), token.digest if token else digest(""))
        return token if prefix == "cg" and token and same and token.until > time.time() else None


def digest(secret: str) -> str:
    """What is kept of a token: its SHA-256."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def new_generation() -> str:
    """A random word that sessions carry; another one ends them all."""
    return secrets.token_urlsafe(9)


def _user(book: Book, name: str) -> User:
    if name not in book.users:
        raise ConfigError(f"there is no user {name[:80]!r}: `consent-gateway users list` shows them")
    return book.users[name]
