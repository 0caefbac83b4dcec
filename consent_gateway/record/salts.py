"""The salts of the visitor pseudonym: random, one a day, only the day's own exists.

They lie on a memory file system where there is one, so that they survive a crash but no backup and no disk holds them.
The workers of a host share them through that file. A day runs from midnight to midnight in `TIMEZONE`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from .keys import write_once

log = logging.getLogger("consent_gateway")

_SHARED_MEMORY = Path("/dev/shm")
SALT_BYTES = 32


def memory_dir(data_dir: Path) -> Path:
    """A private directory for what must not outlive the machine: in memory where that can be had, else in the data."""
    name = hashlib.sha256(str(data_dir.absolute()).encode()).hexdigest()[:12]
    shared = _SHARED_MEMORY / f"consent-gateway-{os.getuid()}-{name}"
    try:
        shared.mkdir(mode=0o700, exist_ok=True)
        status = shared.lstat()
        if shared.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise PermissionError(0, "the folder is another's")
        return shared
    except OSError as error:
        fallback = data_dir / "salts"
        log.warning("no private folder in %s (%s): salts lie in %s", _SHARED_MEMORY, error.strerror, fallback)
        with suppress(OSError):  # then there is no salt, and so no event: the site starts all the same
            fallback.mkdir(parents=True, mode=0o700, exist_ok=True)
        return fallback


def bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The first millisecond of a day, and that of the next one."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=zone)
    return int(start.timestamp() * 1000), int(end.timestamp() * 1000)


class Salts:
    """Today's salt, for the events of today. What happened on another day gets none, and so no visitor."""

    def __init__(self, directory: Path, zone: ZoneInfo) -> None:
        self.directory = directory
        self._zone = zone
        self._day: tuple[int, int, bytes] = (0, 0, b"")  # one value: another thread never sees half a midnight

    def of(self, at: int) -> bytes | None:
        now = int(time.time() * 1000)
        start, end, salt = self._day
        if not start <= now < end:
            start, end, salt = self._day = self._turn(now)
        return salt if start <= at < end else None

    def keep(self) -> None:
        """Called now and then by a thread that may wait, so that midnight is turned before a request finds it."""
        self.of(0)

    def _turn(self, now: int) -> tuple[int, int, bytes]:
        """Midnight: make or take up the new day's salt, and destroy the others."""
        today = datetime.fromtimestamp(now / 1000, self._zone).date()
        path = self.directory / f"salt-{today}"
        if not path.exists():
            write_once(path, os.urandom(SALT_BYTES))
        salt = path.read_bytes()
        for other in self.directory.glob("salt-*"):
            if other.name != path.name:
                destroy(other)
        return (*bounds(today, self._zone), salt)


class RunSalts:
    """The salts of one replay: one a log day, shared by its files, kept apart, destroyed at its end."""

    def __init__(self, directory: Path, zone: ZoneInfo) -> None:
        self.directory = directory / "replay"
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self._zone = zone
        self._day: tuple[int, int, bytes] = (0, 0, b"")

    def of(self, at: int) -> bytes:
        start, end, salt = self._day
        if not start <= at < end:
            day = datetime.fromtimestamp(at / 1000, self._zone).date()
            path = self.directory / f"salt-{day}"
            if not path.exists():
                write_once(path, os.urandom(SALT_BYTES))
            salt = path.read_bytes()
            self._day = (*bounds(day, self._zone), salt)
        return salt

    def end(self) -> None:
        for path in self.directory.glob("salt-*"):
            destroy(path)
        shutil.rmtree(self.directory, ignore_errors=True)


def destroy(path: Path) -> None:
    """Overwrite, then remove: where the file system writes in place, the bytes are gone."""
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        pass
