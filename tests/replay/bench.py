"""What the tests of the replay share: logs with documentation addresses only, a rule of the real parts, and a look at
what is in the spool. Run as a program, it replays one log and kills itself at a named step."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from consent_gateway.enrich import agent, path, referrer
from consent_gateway.enrich.geo import Geo
from consent_gateway.record import books
from consent_gateway.record.salts import RunSalts
from consent_gateway.record.spool import Spool, is_whole
from consent_gateway.replay import run as running
from consent_gateway.replay.journal import Journal
from consent_gateway.replay.run import Run, Summary
from consent_gateway.rule.address import Prefixes
from consent_gateway.rule.privacy import Lookups, Rule

SITE = "shop"
KEY = b"k" * 32
NOW = datetime(2026, 11, 22, tzinfo=UTC)
STEPS = ("stage", "commit", "count", "publish")

_geo = Geo()


def entry(
    number: int = 0,
    *,
    host: str = "192.0.2.1",
    at: datetime | None = None,
    request: str = "",
    status: int = 200,
    agent: str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
) -> bytes:
    """A line whose path tells its number."""
    when = at or NOW - timedelta(days=3) + timedelta(seconds=number)
    request = request or f"GET /p/{number} HTTP/1.1"
    return f'{host} - - [{when:%d/%b/%Y:%H:%M:%S} +0000] "{request}" {status} 512 "-" "{agent}"\n'.encode()


def lines(start: int, end: int) -> bytes:
    return b"".join(entry(number, host=f"198.51.100.{number % 250}") for number in range(start, end))


class Bench:
    """An installation in a folder. Each `replay` is a process of its own as far as the product can tell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.memory = folder / "memory"
        self.memory.mkdir(parents=True, exist_ok=True)
        self.spool = Spool(self.data)

    def put(self, name: str, content: bytes) -> str:
        target = self.folder / name
        target.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(target)

    def run(self, **options: Any) -> Run:
        salts = RunSalts(self.memory, ZoneInfo("UTC"))
        self.books = books.Books(self.data)
        return Run(
            self.data,
            site=SITE,
            rule=make_rule(salts.of),
            salts=salts,
            spool=self.spool,
            books=self.books,
            key=KEY,
            **{"now": int(NOW.timestamp() * 1000)} | options,
        )

    def replay(self, *names: str, **options: Any) -> Summary:
        run = self.run(**options)
        try:
            return run.read(names)
        finally:
            self.books.close()

    def events(self) -> list[dict[str, Any]]:
        """Everything in the spool, after a look at its form: whole lines, one batch and one month a segment."""
        found = []
        for segment in self.spool.segments(self.spool.sealed):
            for text in segment.read_bytes().splitlines():
                assert is_whole(text)
                row = json.loads(text)
                assert row["batch"] == segment.name
                assert row["at"][:7].replace("-", "") == segment.name[:6]
                found.append(row)
        assert not list(self.spool.open.iterdir())
        return found

    def numbers(self) -> list[int]:
        """The numbers of the lines in the spool, in order of number: `[0, 1, 2]` when each came once."""
        return sorted(int(row["path"].rpartition("/")[2]) for row in self.events())

    def counted(self) -> dict[str, int]:
        """What the books of all runs say together."""
        total: Counter[books.Key] = Counter()
        for book in (self.data / "books").glob("*.book"):
            total.update(books.read(book))
        return {term: number for (_, term), number in total.items()}

    @property
    def drafts(self) -> list[str]:
        return [path.name for path in (self.data / "replay").iterdir() if path.suffix != ".journal"]


def make_rule(salt: Callable[[int], bytes | None]) -> Rule:
    return Rule(
        look=Lookups(
            place=_geo, agent=agent.describe, page=path.read_page, origin=referrer.trace, text=path.scrub_text
        ),
        person_key=KEY,
        salt=salt,
        encrypt=lambda text, at: "",
        own_hosts={SITE: frozenset(["www.example.eu"])},
        policy_version=lambda at: "1",
        prefixes=Prefixes(),
    )


def break_at(step: str, after: bool, times: int, fault: Callable[[], None], patch: Callable[..., None]) -> None:
    """Let `fault` happen before or after a step of the commit, at its `times`th time."""
    real = getattr(Journal, step)
    seen = 0

    def broken(self: Journal, *arguments: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == times and not after:
            fault()
        real(self, *arguments)
        if seen == times and after:
            fault()

    patch(Journal, step, broken)


def main() -> None:
    folder, log, step, after = sys.argv[1:]
    running._CHUNK_LINES = 10
    break_at(step, after == "after", 2, lambda: os.kill(os.getpid(), signal.SIGKILL), setattr)
    Bench(Path(folder)).replay(log)


if __name__ == "__main__":
    main()
