"""The forwarder, the engine and the store die at any moment; the next one finds each row once, and balanced books."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Timer

import pytest

from consent_gateway.rule.errors import StoreError
from tests.clickhouse_double import ClickHouseDouble
from tests.store.conftest import NewHost
from tests.store.host import SCENES, STRIDE, Host, event, run, until

CI = os.environ.get("CI", "").lower() in ("1", "true")


def check(reader: Host, folder: Path, scene: str, number: int) -> None:
    """The events of one step: each of those that may be kept once, and nothing of persons who stopped."""
    first, last = number * STRIDE, (number + 1) * STRIDE - 1
    rows = reader.query(
        f"SELECT view_id, person, city FROM events WHERE view_id BETWEEN {first} AND {last} ORDER BY view_id"
    )
    assert rows == [(first + kept, 0, "") for kept in sorted(SCENES[scene].kept)]
    with Host(folder) as host:
        assert host.balance() == {}
        assert not host.segments() and not host.segments("open") and not host.tally.sent


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_the_forwarder_killed_after_every_step(scene: str, server: ClickHouseDouble, tmp_path: Path) -> None:
    steps = range(6, 13, 2) if scene == "scrub" else ()  # what comes before is the same in both
    places = json.loads(run(scene, tmp_path, server.dsn, *map(str, steps)).stdout)
    assert {"replace", "insert_lines", "unlink"} <= set(places) if scene == "seal" else len(places) == len(steps)
    with Host(tmp_path / "reader", server.dsn) as reader:
        for number in steps or range(len(places) + 1):
            check(reader, tmp_path / str(number), scene, number)


def test_the_forwarder_and_its_embedded_engine_killed(tmp_path: Path) -> None:
    pytest.importorskip("chdb")
    steps = (11, 12)  # after the first insert
    places = json.loads(run("seal", tmp_path, "-", *map(str, steps)).stdout)
    assert "insert_lines" in places
    for number in steps:
        with Host(tmp_path / str(number)) as host:
            check(host, host.data_dir, "seal", number)


def test_the_store_killed_in_the_middle_of_an_insert_and_started_again(
    server: ClickHouseDouble, on_server: NewHost
) -> None:
    host = on_server(timeout=5)
    sent = 0
    for delay in (0.0, 0.01, 0.05):
        host.accept(*(event(number) for number in range(sent, sent + 2000)))
        sent += 2000
        before = len(server.requests("INSERT INTO events"))
        timer = Timer(delay, server.kill)

        def kill_soon(before: int = before, timer: Timer = timer) -> None:
            until("the insert", lambda: len(server.requests("INSERT INTO")) > before)
            timer.start()

        watch = Timer(0, kill_soon)
        watch.start()
        with suppress(StoreError):
            host.forward()
        watch.join()
        timer.join()
        assert host.balance() == {}
        server.start()
        host._reader = None
        host.restart()
        assert host.forward() == 0
        assert host.stored() == list(range(sent))
        assert host.balance() == {}


# the trap


def may_trace(home: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(["strace", "-o", str(home / "tried"), "true"], capture_output=True, text=True)
    if tried.returncode:
        reason = f"this machine does not permit ptrace: {tried.stderr.strip()}"
        if CI:
            pytest.fail(reason)
        pytest.skip(reason)


def test_the_engine_killed_between_its_token_log_and_its_rename(tmp_path: Path) -> None:
    """strace kills it at the very system call. A sender that believes answers loses the batch: the engine knows the
    token and says yes, without a row. Ours counts."""
    pytest.importorskip("chdb")
    may_trace(tmp_path)
    traced = tmp_path / "trace"
    home, other = tmp_path / "killed", tmp_path / "traced"
    for folder in (home, other):
        with Host(folder) as host:
            host.connect().close()  # makes the table
            host.accept(*(event(number) for number in range(100)))
    run("forward", other, "-", strace=["strace", "-f", "-qq", "-e", "trace=/^rename", "-o", str(traced)])
    found = re.search(r'(rename\w*)\([^"]*"[^"]*(/tmp_insert_[^"]+)"', traced.read_text())
    assert found, "the engine renames a part to make it one"
    call, part = found.groups()
    tables = [f"--trace-path={table}{part}" for table in (home / "store" / "store").glob("*/*")]

    inject = f"inject={call}:error=EIO:signal=KILL"
    strace = ["strace", "-f", "-qq", "-e", f"trace={call}", "-e", inject, *tables, "-o", str(traced)]
    killed = run("forward", home, "-", strace=strace, check=False)
    assert killed.returncode != 0 and "tmp_insert_" in traced.read_text()

    assert len(list((home / "spool" / "sealed").iterdir())) == 1
    naive = run("plain", home, "-")
    assert json.loads(naive.stdout) == {"stored": []}, "the trap is gone: is the remedy still needed?"

    with Host(home) as host:
        assert host.balance() == {} and host.forward() == 0
        assert host.stored() == list(range(100))
        assert host.balance() == {}


def test_the_same_over_http(server: ClickHouseDouble, on_server: NewHost) -> None:
    """The client itself sends an insert again when the connection ends, and would be content with the answer."""
    host = on_server()
    host.accept(*(event(number) for number in range(100)))
    host.query("SELECT 1")
    server.fault("lose_rows")
    assert host.forward() == 0
    tokens = [one["settings"]["insert_deduplication_token"] for one in server.requests("INSERT INTO events")][-3:]
    assert tokens[0] == tokens[1] and tokens[2] == f"{tokens[0]}.1"
    assert host.stored() == list(range(100)) and host.balance() == {}


def test_the_trap_twice_over(server: ClickHouseDouble, on_server: NewHost) -> None:
    """Also the second token is logged without rows; its insert is given up, so the next round begins anew."""
    host = on_server()
    host.accept(*(event(number) for number in range(100)))
    host.query("SELECT 1")
    server.fault("lose_rows", times=1)
    server.fault("lose_rows", match=".1'", times=1)
    assert host.forward() == 0
    assert host.stored() == list(range(100)) and host.balance() == {}
