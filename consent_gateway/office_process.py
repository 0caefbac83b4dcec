"""The back office as a process of its own: started where none runs, and waited for by those who need its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .config.settings import Settings
from .record import office
from .rule.errors import ConfigError, OfficeError

_OFFICE_START_SECONDS = 30.0


def make_data_dir(settings: Settings) -> Path:
    """`DATA_DIR`, for this user only, made when it is not there."""
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _wrong_data_dir(settings, str(error.strerror)) from None
    may_write = os.access(settings.DATA_DIR, os.W_OK | os.X_OK)
    if not may_write and not os.statvfs(settings.DATA_DIR).f_flag & os.ST_RDONLY:  # that may be a passing fault
        raise _wrong_data_dir(settings, "Permission denied")
    return settings.DATA_DIR


def _wrong_data_dir(settings: Settings, why: str) -> ConfigError:
    return ConfigError(f"CONSENT_GATEWAY_DATA_DIR is {str(settings.DATA_DIR)!r}: {why}; allowed is a writable folder")


def ensure_office(settings: Settings) -> subprocess.Popen[bytes] | None:
    """Start the back office unless this host has one. Of several workers that see it gone, one starts it."""
    held = office.Lock(settings.DATA_DIR, "office")
    if not held.take():
        return None
    held.free()
    starting = office.Lock(settings.DATA_DIR, "starting")
    if not starting.take():
        return None
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "consent_gateway.office"],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl+C in a terminal is for the workers: it ends after the last of them
            pass_fds=[starting.fileno()],  # until it is dead, nobody starts another
        )
    finally:
        starting.free()
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin:
        child.stdin.write(_as_json(settings))
    threading.Thread(target=child.wait, daemon=True).start()  # reap it
    return child


def _as_json(settings: Settings) -> bytes:
    values = settings.model_dump(mode="json")
    values["SECRET"] = [secret.get_secret_value() for secret in settings.SECRET]
    for name in ("PERSON_KEY", "METRICS_TOKEN"):
        values[name] = getattr(settings, name).get_secret_value()
    values["PREFIXES"] = [settings.PREFIXES.v4, settings.PREFIXES.v6]
    for name in ("DATA_DIR", "KEYS_DIR", "GEO_DB", "POLICY"):
        path_value = getattr(settings, name)
        values[name] = str(path_value.absolute()) if path_value else None
    return json.dumps(values).encode()


@contextmanager
def running_office(settings: Settings) -> Iterator[None]:
    """See that a back office runs and answers while the block does; it ends with the last that needs it."""
    make_data_dir(settings)
    lock = office.Lock(settings.DATA_DIR, "workers")
    lock.take(shared=True, wait=True)
    try:
        until = time.monotonic() + _OFFICE_START_SECONDS
        child: subprocess.Popen[bytes] | None = None
        while True:
            if settings.BACK_OFFICE == "auto":
                child = ensure_office(settings) or child
            try:
                office.call(settings.DATA_DIR, "GET", "/health")
                break
            except (OfficeError, FileNotFoundError):
                if time.monotonic() > until or (child is not None and child.returncode):
                    raise OfficeError("the back office did not start; its messages stand above") from None
                time.sleep(0.05)
        yield
    finally:
        lock.free()
