"""The tables `consents` and `seals`: a copy of the ledger and of its seals, for reports and for whoever checks it.

The ledger is the truth. What was copied is a place in its files; a batch that is copied twice, after a crash, becomes
one, as the tables replace rows of the same record. After a restore all of it is copied again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from ..record import chain, seals
from ..record.chain import Line
from ..record.seals import Seal
from .client import DATABASE
from .layout import SINGLE, Layout

_ROWS = 10_000
_TIME = "DateTime64(3, 'UTC')"
_WORD = "LowCardinality(String)"

# name, type, what it holds
CONSENTS = (
    ("record", "String", "the id of the record"),
    ("host", _WORD, "the host whose ledger it is in"),
    ("site", _WORD, "the site, by its name in the settings"),
    ("at", _TIME, "when it was chosen, by the clock of the server"),
    ("action", _WORD, "what was done: accept_all, reject_all, save, withdraw, object or unobject"),
    ("status", _WORD, "the consent status from then on"),
    ("consent_id", "String", "of a grant; empty for a refusal"),
    ("supersedes", "String", "the consent that it ended"),
    ("granted", f"Array({_WORD})", "the purposes granted from then on"),
    ("objection", "Bool", "objects to legitimate interest"),
    ("policy_version", _WORD, "the version of the policy"),
    ("notice", "String", "the SHA-256 of the text that was shown"),
    ("language", _WORD, "the language of that text"),
    ("place", _WORD, "where it was chosen: banner, preferences or page"),
    ("script", "String", "the SHA-256 of the script that showed it"),
    ("gpc", "Bool", "the browser sent Sec-GPC: 1"),
    ("dnt", "Bool", "the browser sent DNT: 1"),
    ("valid_until", f"Nullable({_TIME})", "until when a grant counts"),
    ("hash", "String", "the SHA-256 of its line in the ledger"),
)
SEALS = (
    ("host", _WORD, "the host whose ledger was sealed"),
    ("at", _TIME, "when"),
    ("count", "UInt64", "records since the beginning"),
    ("head", "String", "the SHA-256 of the last one"),
    ("seal", "String", "the whole seal, as JSON"),
)


def statements(layout: Layout = SINGLE, *, days: int) -> Iterator[str]:
    """What makes the tables. `days` is how long records are kept."""
    for table, columns, key in (("consents", CONSENTS, "site, at, record"), ("seals", SEALS, "host, count, head")):
        body = ",\n".join(f"    `{name}` {kind} COMMENT '{words}'" for name, kind, words in columns)
        yield (
            f"CREATE TABLE IF NOT EXISTS {DATABASE}.{layout.local(table)}{layout.on_cluster}\n(\n{body}\n)\n"
            f"ENGINE = {layout.engine(table, 'Replacing')}\nORDER BY ({key})\n"
            f"TTL toDateTime(at) + INTERVAL {days} DAY"
        )
        if layout.cluster:
            yield layout.distributed(table, body)


class LedgerCopy:
    """Brings what is new in this host's ledger into the store. Used by one thread of the back office."""

    def __init__(self, data_dir: Path, host: str, layout: Layout = SINGLE) -> None:
        self._folder, self._host, self._layout = data_dir / "ledger", host, layout
        self._marker = self._folder / "copied"

    def copy(self, client: Client) -> int:
        """Copy records and seals; how many records went."""
        done = 0
        while batch := list(islice(chain.lines(self._folder, self._place()[:2]), _ROWS)):
            self._insert(client, "consents", [row for line in batch if (row := _row(line, self._host))])
            done += len(batch)
            self._keep(batch[-1].file, batch[-1].end, self._place()[2])
        own, (file, size, sealed) = seals.read(self._folder), self._place()
        if len(own) > sealed:
            self._insert(client, "seals", [_seal_row(seal, self._host) for seal in own[sealed:]])
            self._keep(file, size, len(own))
        return done

    def again(self) -> None:
        """Copy all of it at the next time: the tables came back from elsewhere."""
        self._marker.unlink(missing_ok=True)

    def stored_seals(self, client: Client) -> list[Seal]:
        """The seals of this host that the store has."""
        rows = client.query(
            "SELECT seal FROM seals FINAL WHERE host = {host:String} ORDER BY count", parameters={"host": self._host}
        ).result_rows
        return [json.loads(text) for (text,) in rows]

    def _insert(self, client: Client, table: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            data = b"\n".join(map(msgspec.json.encode, rows))
            settings = self._layout.insert_settings | {"insert_deduplicate": 0}
            client.raw_insert(self._layout.local(table), insert_block=data, fmt="JSONEachRow", settings=settings)

    def _place(self) -> tuple[str, int, int]:
        """File and bytes up to which records were copied, and how many seals."""
        try:
            file, size, sealed = json.loads(self._marker.read_text())
            return str(file), int(size), int(sealed)
        except (OSError, ValueError, TypeError):
            return "", 0, 0

    def _keep(self, file: str, size: int, sealed: int) -> None:
        draft = self._marker.with_suffix(".tmp")
        draft.write_text(json.dumps([file, size, sealed]))
        os.replace(draft, self._marker)


def _row(line: Line, host: str) -> dict[str, Any] | None:
    """A record as a row; `None` for a line that is no record, which `ledger verify` names."""
    record = line.record
    if record is None or not {"id", "site", "at", "status"} <= record.keys():
        return None
    signals, purposes = record.get("signals") or {}, record.get("purposes") or {}
    return {
        "record": record["id"],
        "host": host,
        "site": record["site"],
        "at": _time(record["at"]),
        "action": record.get("action", ""),
        "status": record["status"],
        "consent_id": record.get("consent_id", ""),
        "supersedes": record.get("supersedes", ""),
        "granted": sorted(name for name, about in purposes.items() if about.get("granted")),
        "objection": bool(record.get("objection")),
        "policy_version": record.get("policy_version", ""),
        "notice": record.get("notice", ""),
        "language": record.get("language", ""),
        "place": record.get("where", ""),
        "script": record.get("script", ""),
        "gpc": bool(signals.get("gpc")),
        "dnt": bool(signals.get("dnt")),
        "valid_until": _time(record["valid_until"]) if record.get("valid_until") else None,
        "hash": line.hash,
    }


def _seal_row(seal: Seal, host: str) -> dict[str, Any]:
    return {
        "host": host,
        "at": _time(seal["at"]),
        "count": seal["count"],
        "head": seal["head"],
        "seal": msgspec.json.encode(seal, order="sorted").decode(),
    }


def _time(text: str) -> str:
    """`2026-11-22T10:00:00.123+00:00` as the store reads it."""
    return text[:23].replace("T", " ")
