"""Equipment: one host with its rights, on the embedded engine, and the clock as an argument."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consent_gateway.rights.erasure import Eraser
from consent_gateway.rights.service import Rights
from consent_gateway.store.layout import SINGLE
from tests.store.host import Host


class RightsHost(Host):
    """A host and what its back office does for a right. `now` is what its clock says, the machine's unless set."""

    now: datetime | None = None

    def clock(self) -> datetime:
        return self.now or datetime.now(UTC)

    def start_rights(self) -> Rights:
        """As a new back office, after the last one ended."""
        eraser = Eraser(self.spool, self.tally, self.forwarder, self.scrubber, SINGLE, self.clock)
        self.rights = Rights(
            self.data_dir, self.stops, eraser, self.forwarder, self.connect, SINGLE, self.clock
        )  # fmt: skip
        return self.rights

    def tables_of(self, person: int) -> dict[str, list[int]]:
        """The view ids of a person, by table."""
        return {
            table: [int(one) for (one,) in self.query(
                f"SELECT view_id FROM {table}{' FINAL' * (table == 'held')} WHERE person = {person} ORDER BY view_id"
            )]
            for table in ("events", "held")
        }  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RightsHost]:
    pytest.importorskip("chdb")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with RightsHost(tmp_path / "host") as host:
        host.start_rights()
        yield host
