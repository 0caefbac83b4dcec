"""What is done to the keys of an installation: listed, rotated, destroyed. Each act leaves a line in `KEYS_DIR/log`.

A rotated secret signs nothing more and still verifies; the new one verifies at once and signs once every worker has had
the time to take it up (`Keys.secrets`), so no visitor's choice is lost in between. An address key that is destroyed
makes the addresses of its month unreadable everywhere: in the store, in the spool, and in every backup.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..rule.errors import ConfigError
from .keys import ADDRESS, MONTH, write_once
from .salts import destroy

ROTATED = ("secret", "receipt")
_USES = {
    "secret": "signs visitors' cookies and owners' sessions",
    "person": "makes the durable pseudonym; another one would part everyone from their rows",
    "receipt": "signs receipts and seals",
    "store": "encrypts the embedded store's disk (ENCRYPT_STORE)",
}
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: its name, when it was made, and what it is for."""

    name: str
    made: datetime
    use: str


def entries(directory: Path) -> list[Entry]:
    """The keys of a directory, by name. `ConfigError` when there is none."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.is_file() and path.name[0] != ".")
    except OSError as error:
        raise ConfigError(f"there are no keys in {directory}: {error.strerror}") from None
    return [
        Entry(path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC), use)
        for path in paths
        if (use := _use(path.name))
    ]


def _use(name: str) -> str:
    if name in _USES:
        return _USES[name]
    if name.startswith(ADDRESS) and MONTH.fullmatch(name.removeprefix(ADDRESS)):
        return f"encrypts the addresses of {name.removeprefix(ADDRESS)}"
    kind = name.partition("-")[0]
    return f"verifies only: was `{kind}` until it was rotated" if kind in ROTATED and "-" in name else ""


def rotate(directory: Path, name: str, now: int) -> str:
    """Put a new key in a key's place; the old one still verifies, under the name that is returned."""
    if name not in ROTATED:
        raise ConfigError(f"{name!r} is not rotated: allowed are {' and '.join(ROTATED)}")
    path = directory / name
    if not path.exists():
        raise ConfigError(f"there is no key {name!r} in {directory} yet")
    earlier = directory / f"{name}-{now}"
    os.link(path, earlier)  # at no moment is there neither
    draft = directory / f".{name}-{now}"
    write_once(draft, os.urandom(_KEY_BYTES))
    draft.replace(path)
    _note(directory, now, f"rotated {name}; the earlier one is {earlier.name}")
    return earlier.name


def destroy_month(directory: Path, month: str, now: int) -> None:
    """Make the addresses of a month unreadable, for ever. Not the current one's: its key would be made anew."""
    if not MONTH.fullmatch(month):
        raise ConfigError(f"{month!r} is no month: allowed is one like 2026-11")
    if month >= f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m}":
        raise ConfigError(f"{month} is not over: its key would be made anew with the next address")
    path = directory / f"{ADDRESS}{month}"
    if not path.exists():
        raise ConfigError(f"there is no key of {month}: it was never made, or is destroyed already")
    destroy(path)
    _note(directory, now, f"destroyed {path.name}")


def destroyed_months(directory: Path) -> list[str]:
    """The months whose addresses were made unreadable, as the log says."""
    try:
        lines = (directory / "log").read_text().splitlines()
    except OSError:
        return []
    return [line.rpartition(ADDRESS)[2] for line in lines if f" destroyed {ADDRESS}" in line]


def _note(directory: Path, now: int, what: str) -> None:
    at = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="seconds")
    handle = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, f"{at} {what}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
