"""A log as lines with their places: a plain file, a gzip one (known by its first bytes, not its name) or a pipe.

Places are byte offsets in the decompressed content, so that a log keeps them when it is rotated to `.gz`.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..rule.errors import ConsentGatewayError
from .accesslog import LONGEST

STDIN = "-"
HEAD = 4096  # bytes of the beginning by which a log is known
WINDOW = 1024  # bytes at most that are looked at just before a place

_BLOCK = 1 << 18
_ZIPPED_BLOCK = 1 << 14
_CUT = 4 * LONGEST  # in bytes, and a character takes at most four
_GZIP = b"\x1f\x8b"


class LogError(ConsentGatewayError):
    """A log can't be opened, or was changed since it was read. The message names it."""


class Source:
    """One log, read forwards. A pipe has no name to find it by again.

    A last line without a line feed is complete in a gzip file and a pipe (`unfed` says that it was yielded); in a plain
    file, which may yet grow, it is left (`waiting`). `damage` says why a log could be read only in part.
    """

    def __init__(self, name: str, pipe: BinaryIO | None = None) -> None:
        self.name = "standard input" if name == STDIN else name
        self.waiting = self.unfed = False
        self.damage = ""
        self._raw = (pipe or sys.stdin.buffer) if name == STDIN else _open(name)
        status = os.fstat(self._raw.fileno()) if name != STDIN else None
        self.is_pipe = status is None or not stat.S_ISREG(status.st_mode)
        self.size = status.st_size if status and not self.is_pipe else 0  # on disk; 0 when it isn't known
        # which file this is whatever its name, and as it was before a byte was read
        self.file = (status.st_dev, status.st_ino) if status else (0, 0)
        self.version = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        self._buffer = self._raw.read(len(_GZIP))
        self._start = 0  # where the buffer's first byte stands
        zipped = self._buffer == _GZIP
        self._ends = zipped or self.is_pipe  # nothing can be added: a last line without a line feed is complete
        self._blocks = self._inflate() if zipped else self._read()
        if zipped:
            self._buffer = b""
        self.head = self._need(HEAD)

    @property
    def position(self) -> int:
        """How far the file on disk is read."""
        return 0 if self.is_pipe else self._raw.tell()

    @property
    def first_line(self) -> bytes | None:
        """The first line, or as much of it as `HEAD` holds; `None` when there is none yet."""
        line, feed, _ = self.head.partition(b"\n")
        return line if feed or (line and self._ends) or len(line) == HEAD else None

    def window(self, end: int) -> bytes | None:
        """The last `WINDOW` bytes before a place; `None` when the log ends before it. Later calls name later places."""
        begin = max(0, end - WINDOW)
        self._advance(begin)
        found = self._need(end - begin)
        return found if len(found) == end - begin else None

    def lines(self, start: int) -> Iterator[tuple[bytes, int]]:
        """Each complete line from a place on, without its line feed, and how many bytes it takes.

        A line that is far too long to be one lacks its middle.
        """
        self._advance(start)
        rest, self._buffer = self._buffer, b""
        let_go = 0  # bytes of an overlong line
        while True:
            *whole, rest = rest.split(b"\n")
            for text in whole:
                yield text, len(text) + 1 + let_go
                let_go = 0
            if len(rest) > _CUT + WINDOW:
                let_go += len(rest) - _CUT - WINDOW
                rest = rest[:_CUT] + rest[-WINDOW:]
            block = self._next()
            if not block:
                break
            rest += block
        if rest and not self.damage:
            if self._ends:
                self.unfed = True
                yield rest, len(rest) + let_go
            else:
                self.waiting = True

    def close(self) -> None:
        if self._raw is not sys.stdin.buffer:
            self._raw.close()

    def _need(self, size: int) -> bytes:
        """The next bytes, without moving on; fewer at the end."""
        while len(self._buffer) < size and (block := self._next()):
            self._buffer += block
        return self._buffer[:size]

    def _advance(self, place: int) -> None:
        if not self._ends and place > self._start + len(self._buffer):
            self._raw.seek(place)
            self._buffer, self._start, self._blocks = b"", place, self._read()
        while (past := place - self._start) > len(self._buffer):
            self._start += len(self._buffer)
            self._buffer = self._next()
            if not self._buffer:
                return
        self._buffer = self._buffer[past:]
        self._start = place

    def _next(self) -> bytes:
        try:
            return next(self._blocks, b"")
        except zlib.error:
            self.damage = f"{self.name} is damaged: only a part of it can be unpacked"
        except EOFError:
            self.damage = f"{self.name} is damaged: it ends too early"
        except OSError as error:
            self.damage = f"{self.name} can't be read further: {error.strerror}"
        return b""

    def _read(self) -> Iterator[bytes]:
        while block := self._raw.read(_BLOCK):
            yield block

    def _inflate(self) -> Iterator[bytes]:
        """The content of all members. By zlib itself, because `gzip` loses what it read before an error."""
        piece, member = _GZIP, zlib.decompressobj(31)
        while piece:
            if block := member.decompress(piece):
                yield block
            piece = member.unused_data or self._raw.read(_ZIPPED_BLOCK)
            if member.eof and (piece := piece.lstrip(b"\0")):  # zeros pad what lay on a tape
                member = zlib.decompressobj(31)
        if not member.eof:
            raise EOFError


def check(name: str) -> None:
    """Can this log be read? `LogError` says in one line why not. Nothing is opened: a named pipe opens only once."""
    path = Path(name)
    if name == STDIN:
        return
    if path.is_dir():
        raise LogError(f"{name} is a folder: name the logs in it")
    if not path.exists():
        raise LogError(f"{name} does not exist")
    if not os.access(path, os.R_OK):
        raise LogError(f"{name} can't be read: permission denied")


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise LogError(f"{name} can't be read: {error.strerror}") from None
