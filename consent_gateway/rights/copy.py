"""The register's copy in the store: table `rights_requests`, a row for each request as it stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from clickhouse_connect.driver.client import Client

from ..store.hosts import host_name
from ..store.layout import Layout
from .register import Register, Request, Step


class Copy:
    """Writes what changed since it last did; at a start everything, which replaces what is there."""

    def __init__(self, data_dir: Path, layout: Layout) -> None:
        self._data_dir, self._layout = data_dir, layout
        self._written: dict[int, int] = {}  # of each request, how many entries the copy knows

    def is_behind(self, register: Register) -> bool:
        return bool(self._changed(register))

    def write(self, client: Client, register: Register) -> None:
        changed = self._changed(register)
        if not changed:
            return
        host = host_name(self._data_dir)
        lines = b"\n".join(_row(request, host) for request in changed)
        client.raw_insert(
            self._layout.local("rights_requests"),
            insert_block=lines,
            fmt="JSONEachRow",
            settings=self._layout.insert_settings | {"insert_deduplicate": 0},
        )
        self._written |= {request.number: len(request.entries) for request in changed}

    def _changed(self, register: Register) -> list[Request]:
        return [one for one in register.all() if self._written.get(one.number) != len(one.entries)]


def _row(request: Request, host: str) -> bytes:
    """Without what people wrote, and without the consent id."""
    changed = datetime.fromisoformat(request.entries[-1].at).astimezone(UTC)
    done = [entry for entry in request.entries if entry.step is Step.DONE]
    row = {
        "host": host,
        "number": request.number,
        "right": request.right.value,
        "site": request.site,
        "state": request.state,
        "received": str(request.received),
        "due": str(request.due),
        "legal_limit": str(request.limit),
        "extended": request.extended,
        "held": request.held,
        "person": request.person,
        "proof": json.dumps(done[-1].proof) if done else "",
        "entries": len(request.entries),
        "changed": f"{changed:%Y-%m-%d %H:%M:%S}.000",
    }
    return json.dumps(row).encode()
