"""What a process knows of itself, and what a forked one must not share with it."""

from __future__ import annotations

import os

from consent_gateway.record import process


def in_a_child(work: object) -> bytes:
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.write(writes, work())  # type: ignore[operator]
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writes)
    found = os.read(reads, 1000)
    os.close(reads)
    return found


def test_a_fork_is_another_process() -> None:
    assert process.pid == os.getpid()
    assert int(in_a_child(lambda: str(process.pid).encode())) not in (0, os.getpid())
    assert in_a_child(lambda: b"%d" % (process.pid == os.getpid())) == b"1"


def test_no_random_bytes_come_twice_in_this_process_nor_in_a_child() -> None:
    """A nonce that came twice would give the key of the addresses away."""
    process.random_bytes(12)
    children = [in_a_child(lambda: process.random_bytes(12)) for _ in range(3)]
    ours = [process.random_bytes(12) for _ in range(2000)]
    assert len({*children, *ours}) == 2003 and {len(one) for one in (*children, *ours)} == {12}


def test_a_lock_that_the_parent_holds_does_not_hold_the_child() -> None:
    with process._lock:
        assert len(in_a_child(lambda: process.random_bytes(8))) == 8
