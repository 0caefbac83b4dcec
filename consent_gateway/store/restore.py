"""Put a backup back: check all of it first, then the store, the ledger and the notices, then what ended since.

The store has to be empty, or is emptied on request. The ledger only grows: what is in the backup and not here comes
back, what is here stays. So withdrawals and erasures that are newer than the backup are known, and the store is
scrubbed for every one of them before the restore is done. Segments in the spool are left alone: the forwarder asks the
store before it sends one.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from clickhouse_connect.driver.client import Client

from ..record.keys import write_once
from ..record.ledger import Stop, Stops
from .backup import FORMAT, MANIFEST, STOPS, BackupError, Manifest, Step, columns_of, rows_of, tables_of
from .client import DATABASE
from .layout import Layout

_TABLE = re.compile(r"store/([a-z_]+)/\d{6,}\.tsv")
_DOCUMENT = re.compile(r"(ledger|notices|policy|rights)/[A-Za-z0-9][A-Za-z0-9._-]*")
_READ_BYTES = 1024**2
_MOST_MANIFEST = 256 * 1024**2


def check(file: BinaryIO, step: Step) -> Manifest:
    """Read all of a backup, and return its manifest. `BackupError` says what is wrong with it."""
    size = os.fstat(file.fileno()).st_size
    found: dict[str, tuple[int, str]] = {}
    manifest: Manifest | None = None
    with _members(file) as members:
        for name, content in members:
            step("checking", file.tell(), size)
            if manifest is not None or name in found:
                raise BackupError(f"it holds {name!r} where none should be")
            if name == MANIFEST:
                manifest = _manifest(content.read(_MOST_MANIFEST))
                continue
            digest, length = sha256(), 0
            while data := content.read(_READ_BYTES):
                digest.update(data)
                length += len(data)
                step("checking", file.tell(), size)
            found[name] = (length, digest.hexdigest())
    if manifest is None:
        raise BackupError("it has no manifest, so its end is missing")
    for name, (length, digest_, _) in manifest.files.items():
        if found.pop(name, None) != (length, digest_):
            raise BackupError(f"{name} in it is not as it was written")
        table = _TABLE.fullmatch(name)
        if not (table and table[1] in manifest.tables) and not _DOCUMENT.fullmatch(name):
            raise BackupError(f"it holds {name!r}, which this version does not know")
    if found:
        raise BackupError(f"it holds {min(found)!r}, which its manifest does not name")
    return manifest


def restore(
    file: BinaryIO, manifest: Manifest, client: Client, layout: Layout, data_dir: Path, step: Step, *, replace: bool
) -> dict[str, Any]:
    """Put back what `check` found whole. The caller sees that nothing is forwarded meanwhile, and scrubs afterwards.

    `BackupError` before anything was touched when it does not fit here. Returns what came back.
    """
    _refuse_unfit(manifest, client, layout, replace=replace)
    if replace:
        for table in tables_of(client, layout):
            client.command(f"TRUNCATE TABLE {DATABASE}.{layout.local(table)}{layout.on_cluster}")
    total = sum(manifest.rows(table) for table in manifest.tables)
    done = new_stops = 0
    beside: list[str] = []
    file.seek(0)
    with _members(file) as members:
        for name, content in members:
            if piece := _TABLE.fullmatch(name):
                table = piece[1]
                _insert(client, layout, table, [column for column, _ in manifest.tables[table]], content.read())
                done += manifest.files[name][2]
                step("restoring", done, total)
            elif name == STOPS:
                new_stops = _add_stops(data_dir, content.read())
            elif name != MANIFEST:
                kept = _grow(data_dir / name, content.read())
                beside += [str(kept)] if kept else []
    return {"rows": done, "stops": new_stops, "beside": beside, "made_at": manifest.made_at}


def _refuse_unfit(manifest: Manifest, client: Client, layout: Layout, *, replace: bool) -> None:
    here = tables_of(client, layout)
    for table, columns in manifest.tables.items():
        if table not in here:
            raise BackupError(
                f"it holds the table {table!r}, which version {manifest.product} had and this one has not"
            )
        unknown = {name for name, _ in columns} - {name for name, _ in columns_of(client, table)}
        if unknown:
            raise BackupError(f"it holds the column {min(unknown)!r} of {table}, which this version does not know")
    for table in here:
        if not replace and (rows := rows_of(client, table)):
            raise BackupError(f"the store is not empty ({table} has {rows:,} rows); --replace empties it first")


def _insert(client: Client, layout: Layout, table: str, columns: list[str], data: bytes) -> None:
    """Into a cluster by the sharding key, and not before each shard has it."""
    settings: dict[str, Any] = {"insert_deduplicate": 0} | layout.insert_settings
    if layout.cluster:
        settings["distributed_foreground_insert"] = 1
    client.raw_insert(table, column_names=columns, insert_block=data, fmt="TabSeparated", settings=settings)


def _add_stops(data_dir: Path, data: bytes) -> int:
    """Stops that are in the backup and not here. (The newer ones are here and not in the backup.)"""
    stops = Stops(data_dir)
    added, file = 0, None
    try:
        for person, at, why in map(json.loads, data.splitlines()):
            if (at, Stop(why)) not in stops.of(person):
                file = stops.add(person, at, Stop(why))
                added += 1
        if file is not None:
            file.sync()
    finally:
        stops.close()
    return added


def _grow(path: Path, data: bytes) -> Path | None:
    """Have a file that holds at least what the backup's holds. Where both went on differently both are kept: the
    backup's beside it, which is returned."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_once(path, data)
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        here = file.read()
        if here[: len(data)] == data:
            return None
        if data[: len(here)] == here:
            file.write(data[len(here) :])
            file.flush()
            os.fdatasync(file.fileno())
            return None
    beside = path.with_name(f"{path.name}.restored-{sha256(data).hexdigest()[:8]}")
    write_once(beside, data)
    return beside


@contextmanager
def _members(file: BinaryIO) -> Iterator[Iterator[tuple[str, Any]]]:
    """The files in a backup, as (name, what to read it from), one after the other; a damaged one as `BackupError`."""
    try:
        with GzipFile(fileobj=file, mode="rb") as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            yield ((member.name, tar.extractfile(member)) for member in tar if _is_plain(member))
            while packed.read(_READ_BYTES):  # to the end, where gzip's own check sum is
                pass
    except EOFError:
        raise BackupError("it is cut short") from None
    except (tarfile.TarError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BackupError(f"it is damaged, or no backup: {error}") from None


def _is_plain(member: tarfile.TarInfo) -> bool:
    if not member.isreg():
        raise BackupError(f"it holds {member.name!r}, which is no plain file")
    return True


def _manifest(data: bytes) -> Manifest:
    try:
        values = json.loads(data)
        if values["format"] != FORMAT:
            raise BackupError(f"it is of format {values['format']}; this version reads format {FORMAT}")
        manifest = Manifest(**values)
        manifest.files = {name: (int(size), str(digest), int(rows)) for name, (size, digest, rows) in
                          manifest.files.items()}  # fmt: skip
        return manifest
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BackupError("its manifest is not as it was written") from None
