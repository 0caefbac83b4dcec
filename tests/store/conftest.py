"""Hosts on both engines: the embedded one in this process, and a server, by the unmodified client."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clickhouse_double import ClickHouseDouble
from tests.store.host import Host

NewHost = Callable[..., Host]


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseDouble]:
    with ClickHouseDouble(tmp_path_factory.mktemp("server")) as double:
        yield double


@pytest.fixture
def server(running_server: ClickHouseDouble) -> Iterator[ClickHouseDouble]:
    """A server without faults, and without events."""
    running_server.start()
    running_server.clear()
    with Host(running_server.data / "host", running_server.dsn) as host:
        host.query("DROP TABLE events")
    yield running_server
    running_server.start()
    running_server.clear()


@pytest.fixture
def hosts() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def on_server(server: ClickHouseDouble, tmp_path: Path, hosts: ExitStack) -> NewHost:
    """A host on the server; each call another."""
    numbers = itertools.count()

    def new(**options: Any) -> Host:
        return hosts.enter_context(Host(tmp_path / f"host-{next(numbers)}", server.dsn, **options))

    return new


@pytest.fixture(params=["embedded", "server"])
def new_host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewHost:
    """A host on each engine. One a test: the embedded engine has one path at a time."""
    if request.param == "server":
        made: NewHost = request.getfixturevalue("on_server")
        return made
    pytest.importorskip("chdb")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stack: ExitStack = request.getfixturevalue("hosts")
    return lambda **options: stack.enter_context(Host(tmp_path / "host", **options))
