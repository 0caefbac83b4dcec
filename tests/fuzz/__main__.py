"""`python -m tests.fuzz --seconds N`: the same for longer, each run with other inputs, and a table of how many.

A third of the time goes to the parsers here, a third to the state machine of choices, a third to the server.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Verbosity, given, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.table import Table

from tests.fuzz.choices import Choices
from tests.fuzz.server import schemathesis, tried
from tests.fuzz.targets import TARGETS, Target

_PLENTY = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


def parser(target: Target, number: int) -> int:
    """One round of 500 inputs; how many there were."""
    count = 0

    @seed(number)
    @settings(max_examples=500, **_PLENTY)  # type: ignore[arg-type]
    @given(target.inputs)
    def check(value: object) -> None:
        nonlocal count
        count += 1
        target.check(value)

    check()
    return count


def machine(number: int) -> int:
    """One round of 20 stories of up to 50 steps; how many choices and events there were."""
    count = 0

    class Counting(Choices):
        def teardown(self) -> None:
            nonlocal count
            count += getattr(self, "taken", 0) + getattr(self, "events", 0)
            super().teardown()

    profile = settings(max_examples=20, stateful_step_count=50, verbosity=Verbosity.quiet, **_PLENTY)  # type: ignore[arg-type]
    run_state_machine_as_test(seed(number)(Counting), settings=profile)
    return count


def until(end: float, run: Callable[[int], int]) -> tuple[int, str]:
    """Rounds until the time is over or something is found: how many inputs, and what was found."""
    count = 0
    while True:
        try:
            count += run(secrets.randbelow(2**31))
        except Exception:
            return count, traceback.format_exc()
        if time.monotonic() >= end:
            return count, ""


def main() -> int:
    options = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    options.add_argument("--seconds", type=int, default=300, help="how long, in all (default: 300)")
    seconds = options.parse_args().seconds
    began = time.monotonic()
    table = Table("target", "inputs", "faults", title="What was tried")
    found: list[str] = []
    for place, (name, target) in enumerate(TARGETS.items(), 1):
        count, fault = until(began + seconds / 3 * place / len(TARGETS), lambda n, target=target: parser(target, n))  # type: ignore[misc]
        table.add_row(name, f"{count:,}", "1" if fault else "0")
        found += [fault] if fault else []
    count, fault = until(began + seconds * 2 / 3, machine)
    table.add_row("choices × signals × time × workers (choices and events)", f"{count:,}", "1" if fault else "0")
    found += [fault] if fault else []
    with tempfile.TemporaryDirectory() as folder:
        done = schemathesis(Path(folder), seconds=max(5, seconds // 3), seed=secrets.randbelow(2**31))
    table.add_row(
        "the server by its OpenAPI document (requests)", f"{tried(done.stdout):,}", "1" if done.returncode else "0"
    )
    found += [done.stdout] if done.returncode else []
    for text in found:
        print(text, file=sys.stderr)
    Console().print(table)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
