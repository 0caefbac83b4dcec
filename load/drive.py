"""Load generators: wrk where it is installed, else one of our own; and one at a fixed rate, whatever the answers do.

`closed` keeps a number of connections busy and so finds the highest rate. `fixed` sends by the clock, counts time from
when a request was due, and so hides no slow answer (no coordinated omission). Both of our own run as
`drive.py …` in a process of their own, on raw sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import time
from array import array
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from load import traffic  # noqa: E402
from load.running import Trouble, prepared  # noqa: E402

_MASK = 0xFFFF_FFFF


@dataclass
class Outcome:
    """What a generator saw. `refused` were answered with 4xx or 5xx, `failed` not at all; times in milliseconds."""

    requests: int
    seconds: float
    refused: int
    failed: int
    p50_ms: float
    p99_ms: float
    p999_ms: float = 0.0
    late_ms: float = 0.0  # fixed rate: how late the generator itself sent, 99 of 100
    exact: bool = False  # no request was cut off at the end

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def generator(own: bool = False) -> str:
    """The name of the generator that `closed` uses."""
    return "own (raw sockets)" if own or not shutil.which("wrk") else "wrk"


def closed(port: int, file: Path, seconds: float, *, connections: int, cpu: int, own: bool = False) -> Outcome:
    """As many requests as that many connections take, for so long."""
    seed = random.getrandbits(31)
    if generator(own) == "wrk":
        line = ["wrk", "-t1", f"-c{connections}", f"-d{_wrk_time(seconds)}", "-s", str(ROOT / "load" / "wrk.lua")]
        line += [f"http://127.0.0.1:{port}/", "--", str(file), str(seed)]
    else:
        line = [sys.executable, __file__, "closed", str(port), str(file), str(seconds), str(connections), str(seed)]
    return _outcome(line, cpu)


def fixed(port: int, file: Path, seconds: float, rate: float, *, cpu: int, connections: int = 256) -> Outcome:
    """So many requests a second, evenly spread with a random part, for so long."""
    line = [sys.executable, __file__, "fixed", str(port), str(file), str(seconds), str(connections)]
    return _outcome([*line, str(random.getrandbits(31)), "--rate", str(rate)], cpu)


def _wrk_time(seconds: float) -> str:
    return f"{max(1, round(seconds))}s"  # whole seconds is all it takes


def _outcome(line: list[str], cpu: int) -> Outcome:
    run = subprocess.run(line, capture_output=True, text=True, preexec_fn=prepared(cpu))
    found = [text for text in run.stdout.splitlines() if text.startswith("RESULT ")]
    if run.returncode or not found:
        raise Trouble(f"the load generator ended with {run.returncode}: {(run.stderr or run.stdout)[-1500:]}")
    return Outcome(**json.loads(found[-1].removeprefix("RESULT ")))


class Requests:
    """The fixed set in turn, each event with an id that no other has."""

    def __init__(self, file: Path, seed: int) -> None:
        self._cut = traffic.read(file)
        self._at, self._counter, self._seed = 0, 0, seed

    def next(self) -> bytes:
        parts = self._cut[self._at]
        self._at = (self._at + 1) % len(self._cut)
        if len(parts) == 1:
            return parts[0]
        made = [parts[0].replace(traffic.ADDRESS, self._address())] if traffic.ADDRESS in parts[0] else [parts[0]]
        for part in parts[1:]:
            self._counter += 1
            count = self._counter
            made += (b"%08x%08x" % ((self._seed + count) & _MASK, count * 2654435 & _MASK), part)
        return b"".join(made)

    def _address(self) -> bytes:
        n = self._counter + self._seed % 1000
        if n % 4 == 0:
            return b"2a02:%x:%x::%x" % (0x1800 + n % 251, n // 251 % 65536, n % 65521)
        return b"%d.%d.%d.%d" % (77 + n % 16, n // 16 % 256, n // 4096 % 256, 1 + n % 254)


def answer_size(data: bytes | bytearray) -> int:
    """How long the first answer in `data` is; 0 while it is not whole."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return 0
    head += 4
    at = data.find(b"content-length: ", 0, head)
    length = int(data[at + 16 : data.find(b"\r", at)]) if at >= 0 else 0
    return head + length if len(data) >= head + length else 0


class _Line(asyncio.Protocol):
    """One connection that always has one request under way, until time is up."""

    def __init__(self, run: _Closed) -> None:
        self._run = run
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._run.requests.next())

    def data_received(self, data: bytes) -> None:
        self._data += data
        size = answer_size(self._data)
        if not size:
            return
        self._run.answered(self._data, time.perf_counter() - self._sent)
        self._data = self._data[size:]
        if self._run.is_over:
            self._run.ended()
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._run.is_over:
            self._run.failed += 1
            self._run.ended()


class _Closed:
    def __init__(self, requests: Requests, connections: int) -> None:
        self.requests = requests
        self.count = self.refused = self.failed = 0
        self.times = array("d")
        self.is_over = False
        self._left = connections
        self._done = asyncio.Event()

    def answered(self, data: bytes, seconds: float) -> None:
        self.count += 1
        self.refused += data[9:10] not in b"23"
        self.times.append(seconds)

    def ended(self) -> None:
        self._left -= 1
        if not self._left:
            self._done.set()

    async def run(self, port: int, seconds: float, connections: int) -> Outcome:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        for _ in range(connections):
            await loop.create_connection(lambda: _Line(self), "127.0.0.1", port)
        loop.call_later(seconds, self._end)
        await asyncio.wait_for(self._done.wait(), seconds + 30)
        took = time.perf_counter() - began
        return Outcome(self.count, took, self.refused, self.failed, *_shares(self.times), exact=True)

    def _end(self) -> None:
        self.is_over = True


def run_fixed(requests: Requests, port: int, seconds: float, connections: int, rate: float, seed: int) -> Outcome:
    """One loop over non-blocking sockets. A request that is due while all connections are busy waits for one."""
    chance = random.Random(seed)
    lines: dict[int, socket.socket] = {}
    for _ in range(connections):
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setblocking(False)
        lines[line.fileno()] = line
    poll = select.epoll()
    for number in lines:
        poll.register(number, select.EPOLLIN)
    free, due_at, data = deque(lines), dict.fromkeys(lines, 0.0), {number: b"" for number in lines}
    waiting: deque[float] = deque()
    times, late = array("d"), array("d")
    refused = failed = sent = 0
    clock = time.perf_counter
    began = clock()
    due, last = began, began + seconds
    while sent < len(times) + len(waiting) + failed or due < last or len(free) < len(lines) - failed:
        now = clock()
        while due <= now and due < last:
            waiting.append(due)
            due += chance.expovariate(rate)
        while waiting and free:
            number, wanted = free.popleft(), waiting.popleft()
            due_at[number] = wanted
            late.append(clock() - wanted)
            lines[number].send(requests.next())
            sent += 1
        pause = 0.0 if waiting and free else max(0.0, min(due - clock(), 0.01)) if due < last else 0.01
        # epoll counts in milliseconds, so a shorter pause is slept by looking again at once
        for number, _ in poll.poll(pause if pause >= 0.002 else 0):
            data[number] += lines[number].recv(65536)
            size = answer_size(data[number])
            if size:
                times.append(clock() - due_at[number])
                refused += data[number][9:10] not in b"23"
                data[number] = data[number][size:]
                free.append(number)
        if clock() > last + 30:
            failed = len(lines) - len(free)
            break
    took = max(last, clock()) - began
    for line in lines.values():
        line.close()
    shares = _shares(times)
    return Outcome(len(times), took, refused, failed, *shares, late_ms=_shares(late)[1], exact=not failed)


def _shares(times: array[float]) -> tuple[float, float, float]:
    """p50, p99 and p99.9 in milliseconds."""
    ordered = sorted(times)
    if not ordered:
        return 0.0, 0.0, 0.0
    p50, p99, p999 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99, 0.999))
    return p50, p99, p999


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=("closed", "fixed"))
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("connections", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--rate", type=float, default=0)
    options = parser.parse_args()
    requests = Requests(options.file, options.seed)
    if options.way == "fixed":
        outcome = run_fixed(requests, options.port, options.seconds, options.connections, options.rate, options.seed)
    else:
        try:
            import uvloop

            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        except ModuleNotFoundError:
            pass

        async def drive() -> Outcome:
            run = _Closed(requests, options.connections)
            return await run.run(options.port, options.seconds, options.connections)

        outcome = asyncio.run(drive())
    print("RESULT", json.dumps(vars(outcome)))


if __name__ == "__main__":
    main()
    os._exit(0)
