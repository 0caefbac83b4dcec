"""What all tests share: nothing of the developer's own settings, and a way to run sites that end with the test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.running import ENV_PREFIX, Site

# a deadline for each example measures the machine, not the code, and so does the time in which examples are made
hypothesis_settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
hypothesis_settings.load_profile("tests")

for _name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
    del os.environ[_name]
os.environ["COLUMNS"] = "140"  # tables of the command line are as wide as the terminal, and no two terminals are alike


@pytest.fixture
def run_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`run_site(...)` is a started `Site(folder, ...)`, each in a folder of its own."""
    numbers = itertools.count()
    with ExitStack() as started:

        def run(*arguments: Any, **options: Any) -> Site:
            return started.enter_context(Site(tmp_path / f"site-{next(numbers)}", *arguments, **options))

        yield run
