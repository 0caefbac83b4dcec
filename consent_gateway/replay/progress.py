"""What a person watches while a replay runs: a bar with rate and time left; plain lines where there is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .source import Source

_PLAIN_SECONDS = 5.0


class Display:
    """A run's progress on standard error. `size` is that of all its files, in bytes; 0 when one is a pipe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._before = 0  # bytes of the logs before this one
        self._source: Source | None = None
        self._began = self._told = time.monotonic()
        console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        if console.is_terminal:
            words = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[rate]}"),
            )
            self._bar = Progress(*words, TimeRemainingColumn(), TextColumn("left"), console=console, transient=True)
            self._task = self._bar.add_task("reading", total=size or None, rate="")

    def __enter__(self) -> Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, source: Source, lines: int) -> None:
        if source is not self._source:
            self._before += self._source.size if self._source else 0
            self._source = source
        done = self._before + source.position
        now = time.monotonic()
        rate = lines / max(now - self._began, 0.001)
        said = f"{lines:,} lines, {rate:,.0f}/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=source.name, rate=said)
        elif now - self._told >= _PLAIN_SECONDS:
            self._told = now
            left = (self._size - done) * (now - self._began) / done if self._size and done else 0.0
            share = f"{100 * done // self._size} %, " if self._size else ""
            print(
                f"{source.name}: {share}{said}" + (f", {left:.0f} s left" if left else ""), file=sys.stderr, flush=True
            )
