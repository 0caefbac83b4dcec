"""One client for both engines: `clickhouse-connect`, whose embedded backend is chDB.

For the embedded engine the client writes what it inserts in clear into a temporary file first (but for events: see
`lines`), and `kill -9` leaves that file behind: it gets a private folder that is emptied at start. The engine also
reads `./config.xml`: the back office works in a folder of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ..rule.errors import ConfigError, StoreError
from .disk import has_rows

DATABASE = "consent_gateway"
Failure = (ClickHouseError, OSError)  # what the client raises when the store refuses, hangs or is away
_ROOM = 32 * 1024**2  # bytes that must be free when the embedded engine makes its tables


def prepare(data_dir: Path) -> None:
    """Once a process, before the first connection: a private, empty folder for temporary files and to work in."""
    private = data_dir.absolute() / "tmp"
    shutil.rmtree(private, ignore_errors=True)
    private.mkdir(mode=0o700)
    os.environ["TMPDIR"] = tempfile.tempdir = str(private)
    os.chdir(private)


def connect(
    dsn: str,
    *,
    timeout: float = 30,
    on_cluster: str = "",
    settings: Mapping[str, Any] = MappingProxyType({}),
    config: Path | None = None,
) -> Client:
    """A client of the database, which is made when it is not there. One client for each concurrent use.

    `on_cluster` and `settings` (for every statement) are a `Layout`'s, `config` is the embedded engine's own file
    (`disk`).
    """
    parts = urlsplit(dsn)
    try:
        if parts.scheme == "chdb":
            _look_after(Path(parts.path))
            options: dict[str, Any] = {"chdb_options": {"config-file": str(config)}} if config else {}
            client = clickhouse_connect.get_client(dsn=dsn, **options)
        else:
            client = clickhouse_connect.get_client(
                dsn=f"clickhouse://{parts.netloc}",
                secure=parts.scheme == "clickhouses",
                autogenerate_session_id=False,
                connect_timeout=5,
                send_receive_timeout=timeout,
                settings={"async_insert": 0} | dict(settings),
            )
        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}{on_cluster} ENGINE = Atomic")
        client.database = DATABASE
        return client
    except ImportError:
        raise ConfigError(
            "CONSENT_GATEWAY_DSN names the embedded engine, which is not installed: "
            "pip install 'consent-gateway[embedded]', or name a server"
        ) from None
    except Failure as error:
        raise StoreError(f"no connection to the store: {first_line(error)}") from error


def _look_after(store: Path) -> None:
    """Make the embedded store's folder. On a full disk the engine "makes" a database or table with an empty definition
    and reports success, and then never opens again. So it makes none without room; and where there are no rows yet,
    nothing is lost by taking an empty definition away.
    """
    store.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not has_rows(store):
        for definition in (*store.glob("metadata/*.sql"), *store.glob("store/*/*/*.sql")):
            if not definition.stat().st_size:
                definition.unlink()
    if not (store / "metadata" / DATABASE / "events.sql").exists() and shutil.disk_usage(store).free < _ROOM:
        raise StoreError(f"the disk has no room to make the tables: {_ROOM >> 20} MiB must be free in {store}")


def first_line(error: BaseException) -> str:
    """What an engine's error says, without its stack and without rows of data."""
    text = str(error).strip().partition("\n")[0]
    return text.partition(": (at row")[0][:300]
