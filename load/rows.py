"""From the spool to the table: segments out of the spool's own bytes, sent by the back office or inserted alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from load.running import ROOT, Installation, Trouble, cpu_seconds, prepared

ROWS = 10_000  # a segment

_ALONE = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from consent_gateway.store import client as store, lines, schema
client = store.connect("chdb://" + sys.argv[1])
schema.apply(client)
print("ready", flush=True)
for line in sys.stdin:
    paths = [Path(text) for text in line.split("|")]
    blocks = [path.read_bytes() for path in (Path(text.strip()) for text in line.split("|"))]
    began = time.process_time()
    for path, block in zip(paths, blocks):
        token = {"insert_deduplication_token": path.name.strip()}
        lines.insert_lines(client, "events", block, token, path.name)
    print(time.process_time() - began, flush=True)
"""
_TABLE = """
import sys, clickhouse_connect
client = clickhouse_connect.get_client(dsn=sys.argv[1])
print(client.query("SELECT count() FROM consent_gateway.events").result_rows[0][0])
print(client.query("SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts"
                   " WHERE active AND database = 'consent_gateway' AND table = 'events'").result_rows[0][0])
"""
_FILL = """
import sys, time, clickhouse_connect
client = clickhouse_connect.get_client(dsn=sys.argv[1])
have, wanted = 10_000, int(sys.argv[2])
while have < wanted:
    times = min(100, (wanted - have + 9_999) // 10_000)
    client.command("INSERT INTO consent_gateway.events"
                   " SELECT e.* REPLACE(cityHash64(e.visitor, n.number, %d) AS visitor,"
                   " concat('filled-', toString(n.number %% 100)) AS batch,"
                   " e.at - toIntervalSecond(1800 + rand() %% greatest(1, toSecond(e.at) + 60 * toMinute(e.at)"
                   " + 3600 * toHour(e.at) - 1800)) AS at)"
                   " FROM (SELECT * FROM consent_gateway.events LIMIT 10000) AS e CROSS JOIN numbers(%d) AS n"
                   % (have, times))
    have += times * 10_000
parts = "SELECT count() FROM system.parts WHERE active AND database = 'consent_gateway' AND table = 'events'"
while client.query(parts).result_rows[0][0] > 1:  # what is merged meanwhile is left out, and merged at the next turn
    client.command("OPTIMIZE TABLE consent_gateway.events FINAL")
    time.sleep(1)
"""
_numbers, _ids = iter(range(1, 1_000_000)), iter(range(1, 10**12))


def segments(lines: Sequence[bytes], count: int, folder: Path) -> list[Path]:
    """So many segments of these lines, each under a name that no other has, and each line with a new id."""
    from consent_gateway.record import spool

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = []
    for _ in range(count):
        month = lines[0].partition(b'"batch":"')[2][:6].decode()
        name = f"{month}-{'b' * 12}-{next(_numbers):06d}"
        path = folder / name
        with path.open("wb") as file:
            for line in lines:
                event = line.partition(b'",')[2][: -len(b',"crc":"00000000"}\n')]
                if spool.id_of(line):  # the same id in two segments is a repeat, and would not be stored
                    event = event[: -len(b',"id":"0123456789abcdef"')]
                file.write(
                    spool.line(name.encode(), b"{%b}" % event, f"{next(_ids) * 0x9E3779B97F4A7C15 % 2**64:016x}")
                )
        made.append(path)
    return made


def forwarded(installation: Installation, lines: Sequence[bytes], count: int, home: Path) -> float:
    """CPU µs per row of the back office, from complete segments in the spool to rows confirmed in the table."""
    made = segments(lines, count, home / "segments")
    folder = installation.data_dir / "spool" / "open"
    folder.mkdir(parents=True, exist_ok=True)
    assert installation.office is not None
    before = cpu_seconds(installation.office.pid)
    for path in made:
        path.rename(folder / path.name)
    installation.drain()
    return (cpu_seconds(installation.office.pid) - before) / (count * len(lines)) * 1e6


def in_table(installation: Installation) -> tuple[int, float]:
    """Rows in the table, and their mean bytes on disk. The back office has ended."""
    count, size = _run(_TABLE, installation, f"chdb://{installation.store}").split()
    return int(count), float(size)


def fill(installation: Installation, lines: Sequence[bytes], amount: int, home: Path) -> None:
    """An installation with so many rows in its table, of today until half an hour ago, as of a site that has run all
    day. (Of earlier days there are none: to close days is another work, see `queries.py`.)"""
    installation.start_office()
    forwarded(installation, lines, 1, home)
    installation.stop_office()
    if amount > ROWS:
        _run(_FILL, installation, f"chdb://{installation.store}", str(amount))


def _run(code: str, installation: Installation, *arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=installation.home
    )
    if run.returncode:
        raise Trouble(f"the store failed: {run.stderr[-800:]}")
    return run.stdout


class Alone:
    """A process that does nothing but the insert: the floor of the way into the table."""

    def __init__(self, home: Path, cpu: int) -> None:
        home.mkdir(parents=True)
        self._log = home / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _ALONE, str(home / "store"), str(ROOT)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=home, preexec_fn=prepared(cpu),
            )  # fmt: skip

    def __enter__(self) -> Self:
        self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def insert(self, paths: Sequence[Path]) -> float:
        """CPU µs per row."""
        assert self._process.stdin is not None
        self._process.stdin.write("|".join(map(str, paths)) + "\n")
        self._process.stdin.flush()
        return float(self._read()) / (len(paths) * ROWS) * 1e6

    def _read(self) -> str:
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        if not text:
            raise Trouble(f"the insert alone failed: {self._log.read_text()[-800:]}")
        return text
