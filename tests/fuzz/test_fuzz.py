"""The fuzzing, as far as every run of the tests can afford it. Longer: `make fuzz`, or `python -m tests.fuzz`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.choices import Choices
from tests.fuzz.server import schemathesis
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def check(value: object) -> None:
        target.check(value)

    check()


def test_what_was_found_stays_found() -> None:
    """A fault each: a number of so many digits was a fault of ours, and a refusal repeated all that was sent."""
    for name in ("limit", "site", "x" * 5000):
        TARGETS["a question"].check([(name, "9" * 5000)])


TestChoices = Choices.TestCase
TestChoices.settings = settings(max_examples=8, stateful_step_count=15, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
def test_the_server_keeps_what_its_document_says(tmp_path: Path) -> None:
    done: subprocess.CompletedProcess[str] = schemathesis(tmp_path, seconds=8)
    assert done.returncode == 0, done.stdout[-6000:]
