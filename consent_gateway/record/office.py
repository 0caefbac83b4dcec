"""How workers and the command line reach the back office: HTTP over a unix socket in `DATA_DIR`, for this user only.

Also the two locks by which processes of a host know of each other: `workers` (shared by every gateway that lives;
the back office ends when it gets it alone) and `office` (held by the one back office).
"""

from __future__ import annotations

import errno
import fcntl
import http.client
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from ..rule.errors import OfficeError

Params = Mapping[str, str] | Sequence[tuple[str, str]] | None  # pairs where a name comes several times

_SOCKET = "office.sock"
_PASSED = {
    "content-type", "cache-control", "content-security-policy", "location", "set-cookie", "content-disposition",
    "retry-after", "www-authenticate",
}  # fmt: skip


class _Connection(http.client.HTTPConnection):
    def __init__(self, data_dir: Path, timeout: float) -> None:
        super().__init__("office", timeout=timeout)
        self._data_dir = data_dir

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        with _short(self._data_dir) as path:
            self.sock.connect(path)  # its caller closes it, also when this fails


class _short:
    """A path of the socket that fits the 108 bytes which the kernel allows."""

    def __init__(self, data_dir: Path) -> None:
        self._handle = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._handle}/{_SOCKET}"

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def listen(data_dir: Path) -> socket.socket:
    """The back office's socket. The caller holds the `office` lock, so an old socket file is a dead one's."""
    (data_dir / _SOCKET).unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        with _short(data_dir) as path:
            server.bind(path)
    finally:
        os.umask(mask)
    server.listen(128)
    return server


def call(
    data_dir: Path,
    method: str,
    path: str,
    params: Params = None,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 60,
) -> tuple[int, dict[str, str], bytes]:
    """Ask the back office: status, headers (those a browser needs) and body. `OfficeError` when none answers."""
    connection = _Connection(data_dir, timeout)
    try:
        connection.request(method, f"{path}?{urlencode(params)}" if params else path, body, headers or {})
        answer = connection.getresponse()
        passed = {name: value for name, value in answer.headers.items() if name.lower() in _PASSED}
        return answer.status, passed, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise OfficeError(f"the back office does not answer: {error}") from error
    finally:
        connection.close()


class Lock:
    """A lock that the kernel frees when its holder dies, however it dies."""

    def __init__(self, data_dir: Path, name: str) -> None:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = data_dir / f"{name}.lock"
        self._handle: int | None = None

    def take(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Take it, or say at once that another holds it (unless told to wait)."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            handle = os.open(self._path, os.O_RDONLY)  # enough for a lock of a local file system
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def fileno(self) -> int:
        """For a child that inherits it: then both hold it, and it is free when both have let go."""
        assert self._handle is not None
        return self._handle

    def free(self) -> None:
        if self._handle is not None:
            with suppress(OSError):
                os.close(self._handle)
            self._handle = None
