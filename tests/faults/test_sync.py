"""EVENT_SYNC: the answer leaves after the disk has confirmed, one sync serves many, and none hits a wrong file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consent_gateway.record import spool
from consent_gateway.record.ledger import File, Ledger, SharedSync
from consent_gateway.rule.errors import SpoolFull
from tests.faults.servers import APP, event, spooled
from tests.running import Site


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
def test_the_answer_waits_for_the_disk(run_site: Callable[..., Site], tmp_path: Path) -> None:
    site = run_site(APP, BACK_OFFICE="external", EVENT_SYNC="1", SITE="shop")
    trace = tmp_path / "trace"
    line = ["strace", "-f", "-y", "-e", "trace=write,fdatasync,sendto,send,sendmsg", "-s", "30", "-o", str(trace)]
    line += ["-e", "inject=fdatasync:delay_exit=20000"]  # microseconds: so that some wait together
    with subprocess.Popen([*line, "-p", str(site.pid)], stderr=subprocess.PIPE) as tracing:
        assert tracing.stderr is not None
        attached = tracing.stderr.readline()
        try:
            if b"attached" not in attached:
                pytest.skip(f"strace may not: {attached.decode()}")
            with ThreadPoolExecutor(20) as pool:
                assert site.post("/_cg/events", event(0)).status == 204
                answers = list(pool.map(lambda number: site.post("/_cg/events", event(number)).status, range(1, 60)))
        finally:
            tracing.terminate()
    assert answers == [204] * 59
    assert len(spooled(site)) == 60
    done = r"(write)\(\d+<[^>]*/spool/open/|(fdatasync)(?: resumed>|\(\d+<[^>]*>\) += 0)|(204) No Content"
    order = ["".join(step) for step in re.findall(done, trace.read_text())]
    assert order[:3] == ["write", "fdatasync", "204"]
    assert 2 <= order.count("fdatasync") == order.count("write") < 60


def test_a_sync_never_hits_a_segment_that_was_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed handle's number may be another file's at once."""
    monkeypatch.setattr(spool, "ROWS_A_SEGMENT", 3)
    synced: list[str] = []
    fdatasync = os.fdatasync

    def watched(handle: int) -> None:
        before = os.readlink(f"/proc/self/fd/{handle}")
        time.sleep(0.002)
        fdatasync(handle)
        assert os.readlink(f"/proc/self/fd/{handle}") == before
        synced.append(before)

    monkeypatch.setattr(os, "fdatasync", watched)
    writer = spool.Writer(spool.Spool(tmp_path), 10**9)
    end = threading.Event()

    def let_go() -> None:
        while not end.is_set():
            writer.let_go(everything=True)
            with (tmp_path / "other").open("w"):  # takes the number
                pass

    with ThreadPoolExecutor(5) as pool:
        going = pool.submit(let_go)
        for done in [pool.submit(writer.append, "202611", [(b'{"a":1}', "")], sync=True) for _ in range(100)]:
            done.result()
        end.set()
        going.result()
    writer.let_go(everything=True)
    assert len(synced) == 100
    assert {Path(path).parent.name for path in synced} == {"open"}
    assert sum(len(spool.read_lines(path)[0]) for path in (tmp_path / "spool" / "open").iterdir()) == 100


def test_a_sync_that_fails_is_told_and_its_segment_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = spool.Writer(spool.Spool(tmp_path), 10**9)

    def fail(handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        with pytest.raises(SpoolFull, match="did not confirm"):
            writer.append("202611", [(b'{"a":1}', "")], sync=True)
    writer.append("202611", [(b'{"a":2}', "")], sync=True)
    writer.let_go(everything=True)
    assert len(list((tmp_path / "spool" / "open").iterdir())) == 2


async def both(sync: SharedSync, writes: list[Callable[[], File]]) -> list[BaseException | None]:
    import asyncio

    return await asyncio.gather(*(sync.wait(write) for write in writes), return_exceptions=True)


def test_choices_share_a_sync_over_the_end_of_a_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    synced: list[str] = []
    monkeypatch.setattr(
        os, "fdatasync", lambda handle: synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
    )
    ledger, sync = Ledger(tmp_path), SharedSync()
    taken, hold = threading.Event(), threading.Event()

    def first() -> File:
        taken.set()
        hold.wait(30)
        return ledger.append({"n": 0}, "2026-11")

    def fails() -> File:
        raise OSError(28, "No space left on device")

    async def run() -> list[BaseException | None]:
        waiting = asyncio.ensure_future(sync.wait(first))
        assert await asyncio.to_thread(taken.wait, 30)  # the thread is busy now: what follows is one lot
        writes = [lambda n=n: ledger.append({"n": n}, "2026-11" if n < 20 else "2026-12") for n in range(1, 40)]
        rest = asyncio.ensure_future(both(sync, [*writes, fails]))
        await asyncio.sleep(0.05)
        hold.set()
        await waiting
        return await rest

    results = asyncio.run(run())
    assert sync.close(5)
    ledger.close()
    assert [str(error) for error in results if error] == ["[Errno 28] No space left on device"]
    assert synced[0] == "2026-11.jsonl"
    assert sorted(synced[1:]) == ["2026-11.jsonl", "2026-12.jsonl"]
    assert len((tmp_path / "ledger" / "2026-12.jsonl").read_text().splitlines()) == 20
