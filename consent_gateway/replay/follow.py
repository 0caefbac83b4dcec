"""Access logs that grow: each line once, also when they are rotated and when the reader is killed.

A log may be rotated by another name (`access.log.1`, `access.log-20261128`, then `.gz`) or copied and emptied. So in
each round not only the named file is looked at, but also those whose name says that they came of it. What they are
tells their content, by the journals of `journal`: what was read of it once is not read again. A mark beside the
journals says until when a log was followed; what was rotated since is read first at the next start.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event as Ending

from ..record.salts import RunSalts
from ..record.spool import Spool
from ..rule.errors import SpoolFull
from .journal import Journal, Journals
from .run import Run, Summary
from .source import LogError, Source

log = logging.getLogger("consent_gateway")

_ROUND_SECONDS = 1.0
_LATER_SECONDS = 10.0  # a round while the store is away: fewer and larger segments, as live requests have them then
_BACKLOG = 100
_SLACK_SECONDS = 5.0
_ROTATED = r"[.-]\d[\dT:._-]*"
_MOST_HELD = 16

Tell = Callable[[Summary], None]


class FollowSalts:
    """Today's salt is that of live requests: a visitor is the same by the log and by the page's script. Lines of other
    days that wait at the start have salts of a replay, which end with that; afterwards there are none of other days."""

    def __init__(self, today: Callable[[int], bytes | None], backlog: RunSalts) -> None:
        self._today = today
        self._backlog: RunSalts | None = backlog

    def of(self, at: int) -> bytes | None:
        """The salt of a moment's day, or none."""
        return self._today(at) or (self._backlog.of(at) if self._backlog else None)

    def caught_up(self) -> None:
        """What waited at the start is read."""
        if self._backlog is not None:
            self._backlog.end()
            self._backlog = None


class Follower:
    """Follows logs by a run, until it is told to end."""

    def __init__(self, run: Run, names: Sequence[str], salts: FollowSalts, spool: Spool) -> None:
        self._run, self._salts, self._spool = run, salts, spool
        self._paths = [Path(name).absolute() for name in names]
        self._versions: dict[tuple[int, int], tuple[int, int]] = {}  # of each file, how it was when it was read
        self._held: dict[tuple[int, int], Journal] = {}
        self._said: set[str] = set()
        self._broken = False  # something was begun that the disk did not let us end
        self._since = {path: 0.0 for path in self._paths}

    def follow(self, ending: Ending, tell: Tell) -> Summary:
        """Read, wait, read; `tell` is called after each round. What was begun is ended before this returns."""
        with self._run.reading() as journals:
            names = {path: journals.hash(os.fsencode(path))[:16] for path in self._paths}
            marks = {path: journals.folder / f"{name}.followed" for path, name in names.items()}
            for path, mark in marks.items():
                self._since[path] = mark.stat().st_mtime - _SLACK_SECONDS if mark.exists() else time.time()
            while True:
                began, last = time.time(), ending.is_set()
                if self._round(journals):
                    self._salts.caught_up()
                    for mark in marks.values():
                        mark.touch(mode=0o600)
                        os.utime(mark, (began, began))
                tell(self._run.summary)
                if last:
                    return self._run.summary
                waiting = len(os.listdir(self._spool.sealed))
                ending.wait(_LATER_SECONDS if waiting >= _BACKLOG else _ROUND_SECONDS)

    def _round(self, journals: Journals) -> bool:
        """Read what is new. False when the disk refuses or the spool is full: then it is still there in the next."""
        self._run.now = int(time.time() * 1000)
        summary = self._run.summary
        try:
            if self._broken:
                self._run.recover(journals)
                self._broken = False
            for path in self._paths:
                for file in self._files(path):
                    self._read(file, journals)
            return True
        except (OSError, SpoolFull) as error:
            self._say(f"it can't be kept now, and is read again later: {error}")
            self._held.clear()
            self._versions.clear()
            self._broken = True
            return False
        finally:
            for told in (summary.known, summary.waiting, summary.empty, summary.errors):
                told.clear()
            summary.continued.clear()

    def _read(self, file: Path, journals: Journals) -> None:
        try:
            source = Source(str(file))
            if self._versions.get(source.file) == source.version:
                source.close()
                return
            journal = self._held.pop(source.file, None)
            if journal is not None and not journals.goes_on(source, journal):
                source.close()
                source, journal = Source(str(file)), None  # anew, because it is read forwards only
            self._versions[source.file] = source.version
            if source.first_line is not None:
                journal = self._held[source.file] = journal or self._known(journals, source)
            self._run.read_log(source, journals, journal)
        except LogError as error:
            # rotated this very moment, or not whole yet: it is looked at again when it has changed
            if file in self._paths:
                self._say(str(error))
        for words in self._run.summary.errors:
            self._say(words)

    def _known(self, journals: Journals, source: Source) -> Journal:
        """The journal of a log, one object for it whatever file it is read from: a copy and its original share it."""
        if len(self._held) >= _MOST_HELD:
            self._held.clear()
        found = journals.of(source, self._run.site, again=False)
        return next((held for held in self._held.values() if held.name == found.name), found)

    def _files(self, path: Path) -> Iterator[Path]:
        """The files that came of this one and have changed since it was followed, the oldest first, then itself."""
        names = re.compile(
            rf"{re.escape(path.name)}{_ROTATED}(\.gz)?|{re.escape(path.stem)}{_ROTATED}{re.escape(path.suffix)}(\.gz)?"
        )
        found = []
        for entry in os.scandir(path.parent):
            if entry.name == path.name or not names.fullmatch(entry.name) or not entry.is_file():
                continue
            status = entry.stat()
            if status.st_mtime >= self._since[path] or (status.st_dev, status.st_ino) in self._versions:
                found.append((status.st_mtime_ns, path.parent / entry.name))
        yield from (file for _, file in sorted(found))
        yield path

    def _say(self, words: str) -> None:
        """Once: a log that stays as it is would be told of every second."""
        if words not in self._said:
            self._said.add(words)
            log.warning("%s", words)
