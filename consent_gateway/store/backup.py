"""A backup: the store, the ledger and the notices in one file; not the salts, not the keys, not the spool.

A gzipped tar. A table is in pieces of tab-separated text: whole rows, so that they are counted while they pass and can
be inserted piece by piece, by any engine into any engine. Each partition is one query, so of a batch (it has one
partition) either all rows are in or none. The manifest comes last: what a cut file lacks first. It holds a SHA-256 of
every other member.
"""

from __future__ import annotations

import fcntl
import gzip
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

from clickhouse_connect.driver.client import Client
from urllib3.exceptions import HTTPError

from ..config.notices import Notices
from ..config.policy_file import load
from ..record.ledger import Stops
from ..rule.errors import ConsentGatewayError
from .client import DATABASE
from .layout import Layout

FORMAT = 1
MANIFEST = "manifest.json"
STOPS = "ledger/stops.jsonl"
LAST = "last-backup.json"  # in DATA_DIR: when and where the last one was made
_PIECE_BYTES = 16 * 1024**2
_READ_BYTES = 1024**2
_LEVEL = 3  # of gzip
_DERIVED = {"stops", "consents", "seals", "days", "day_visits", "closed", "migrations"}  # of the ledger, of the events
_NOT_KEPT = {
    "stops",
    "scrubbed",
    "late",
    "copied",
    "lock",
}  # of the ledger's: kept as text, or about this store

Step = Callable[[str, int, int], None]  # words, done, of how many; called often, and may raise to end the work


class BackupError(ConsentGatewayError):
    """A backup can't be made, is not whole, or can't be restored here."""


@dataclass
class Manifest:
    """What a backup says of itself. `files` is name to [bytes, SHA-256, rows]; `tables` name to [[column, type]]."""

    made_at: str
    product: str
    engine: str
    format: int = FORMAT
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    files: dict[str, tuple[int, str, int]] = field(default_factory=dict)

    def rows(self, table: str) -> int:
        return sum(rows for name, (_, _, rows) in self.files.items() if name.startswith(f"store/{table}/"))

    def as_json(self) -> bytes:
        return json.dumps(self.__dict__, indent=1).encode()


def back_up(target: Path, client: Client, layout: Layout, data_dir: Path, policy: Path | None, step: Step) -> Manifest:
    """Write a backup to a file that is not there yet. It appears whole, or not at all."""
    draft = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        if target.exists():
            raise FileExistsError(17, "it exists, and a backup overwrites nothing")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BackupError(f"{target} can't be written: {error.strerror}") from None
    try:
        with open(handle, "wb") as file:
            manifest = _write(file, client, layout, data_dir, policy, step)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, target)  # refuses what came there meanwhile
        _sync_folder(target.parent)
        return manifest
    except OSError as error:
        raise BackupError(f"{target} can't be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def _write(file: BinaryIO, client: Client, layout: Layout, data_dir: Path, policy: Path | None, step: Step) -> Manifest:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(now, _product(), str(client.command("SELECT version()")))
    packed = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        tables = tables_of(client, layout)
        total = sum(rows_of(client, table) for table in tables)
        done = 0
        step("writing", 0, total)
        for table in tables:
            manifest.tables[table] = columns = columns_of(client, table)
            for number, (piece, rows) in enumerate(_pieces(client, table, [name for name, _ in columns]), 1):
                _add(tar, manifest, f"store/{table}/{number:06d}.tsv", piece, rows)
                done += rows
                step("writing", min(done, total), total)
        # after the store: what ended while it was read is in here, and applied at the restore
        for name, data in _documents(data_dir, policy):
            _add(tar, manifest, name, data)
        _add(tar, manifest, MANIFEST, manifest.as_json())
    return manifest


def _product() -> str:
    try:
        return version("consent-gateway")
    except PackageNotFoundError:  # run from its sources
        return "of the sources"


def _add(tar: tarfile.TarFile, manifest: Manifest, name: str, data: bytes, rows: int = 0) -> None:
    if name != MANIFEST:
        manifest.files[name] = (len(data), sha256(data).hexdigest(), rows)
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))


def tables_of(client: Client, layout: Layout) -> list[str]:
    """The tables that hold data of their own, by the names that they are read by."""
    found = client.query(
        "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree' ORDER BY name",
        parameters={"database": DATABASE},
    ).result_rows
    names = [str(name).removesuffix("_local") if layout.cluster else str(name) for (name,) in found]
    return [name for name in names if name not in _DERIVED]


def rows_of(client: Client, table: str) -> int:
    """How many rows a table has."""
    return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])


def columns_of(client: Client, table: str) -> list[list[str]]:
    """Those that can be inserted, in order, as [name, type]."""
    found = client.query(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String} "
        "AND default_kind NOT IN ('ALIAS', 'MATERIALIZED') ORDER BY position",
        parameters={"database": DATABASE, "table": table},
    ).result_rows
    return [[str(name), str(kind)] for name, kind in found]


def _pieces(client: Client, table: str, columns: list[str]) -> Iterator[tuple[bytes, int]]:
    """Whole rows, about 16 MiB at a time, and how many. Line feeds and tabs in a value are escaped."""
    names = ", ".join(f"`{name}`" for name in columns)
    found = client.query(f"SELECT DISTINCT _partition_id FROM {table} ORDER BY 1").result_rows
    for (partition,) in found:
        sql = f"SELECT {names} FROM {table} WHERE _partition_id = {{id:String}}"
        stream: Any = client.raw_stream(sql, parameters={"id": partition}, fmt="TabSeparated")
        kept = bytearray()
        try:
            while data := stream.read(_READ_BYTES):
                kept += data
                if len(kept) >= _PIECE_BYTES and (end := kept.rfind(b"\n") + 1):
                    yield bytes(kept[:end]), kept.count(b"\n", 0, end)
                    del kept[:end]
        except HTTPError as error:
            raise BackupError(f"the store broke off its answer (table {table}, partition {partition})") from error
        finally:
            stream.close()
        if kept:
            last = kept[kept.rfind(b"\n", 0, -1) + 1 :]  # where a server says that it failed midway
            if not last.endswith(b"\n") or last.count(b"\t") != len(columns) - 1:
                raise BackupError(f"the store cut its answer short (table {table}, partition {partition})")
            yield bytes(kept), kept.count(b"\n")


def _documents(data_dir: Path, policy: Path | None) -> Iterator[tuple[str, bytes]]:
    """The ledger with its stops, the register of requests, the notices that were shown, and the policy."""
    Notices(load(policy), data_dir, lambda: int(time.time() * 1000))  # puts those of now beside the earlier ones
    own = "" if policy is None else _plain(policy.name)
    for folder in ("ledger", "notices", "policy", "rights"):
        for path in sorted((data_dir / folder).glob("*")):
            if path.is_file() and path.name[0] != "." and path.suffix != ".tmp" and path.name not in _NOT_KEPT:
                if (folder, path.name) == ("policy", own):
                    continue  # that of an earlier backup, under the name of the one in force
                yield f"{folder}/{path.name}", _at_rest(path)
    stops = Stops(data_dir)
    try:
        stops.look()
        yield STOPS, b"".join(b"%s\n" % json.dumps([who, at, int(why)]).encode() for who, at, why in stops.seen)
    finally:
        stops.close()
    if policy is not None:
        yield f"policy/{own}", policy.read_bytes()


def _plain(name: str) -> str:
    """A file's name as a backup may hold it."""
    return re.sub(r"[^A-Za-z0-9._-]|^[._-]+", "", name) or "policy.toml"


def _at_rest(path: Path) -> bytes:
    """A file that others append to, between two appends."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        return file.read()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # not every file system can
            os.fsync(handle)
    finally:
        os.close(handle)
