"""One embedded store with the known traffic in it, for all tests of answers that only read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from consent_gateway.store import client as store
from consent_gateway.store import consents, schema
from tests.answers import traffic
from tests.answers.shop import Shop


@pytest.fixture(scope="session")
def known() -> list[traffic.Row]:
    return traffic.made()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, known: list[traffic.Row]) -> Iterator[Client]:
    pytest.importorskip("chdb")
    folder: Path = tmp_path_factory.mktemp("answers")
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    connected = store.connect(f"chdb://{folder}/store")
    schema.apply(connected)
    for month in ("2026-10", "2026-11"):
        traffic.insert(connected, [row for row in known if traffic.month(row) == month])
    for statement in consents.statements(days=1000):
        connected.command(statement)
    for some in (traffic.records(), traffic.records()[::3]):  # a part of it was copied twice
        traffic.insert_records(connected, some)
    yield connected
    connected.close()
    tempfile.tempdir = before


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A store whose rows and days may be changed."""
    pytest.importorskip("chdb")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = Shop(tmp_path)
    yield made
    made.close()
