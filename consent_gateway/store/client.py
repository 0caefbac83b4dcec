"""One client for both engines: `clickhouse-connect`, whose embedded backend is chDB.

The embedded engine writes each insert in clear through a temporary file, and `kill -9` leaves that file behind: it
gets a private folder that is emptied at start. It also reads `./config.xml`: the back office works in a folder of
its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ..rule.errors import ConfigError, StoreError

DATABASE = "consent_gateway"
Failure = (ClickHouseError, OSError)  # what the client raises when the store refuses, hangs or is away


def prepare(data_dir: Path) -> None:
    """Once a process, before the first connection: a private, empty folder for temporary files and to work in."""
    private = data_dir.absolute() / "tmp"
    shutil.rmtree(private, ignore_errors=True)
    private.mkdir(mode=0o700)
    os.environ["TMPDIR"] = tempfile.tempdir = str(private)
    os.chdir(private)


def connect(dsn: str, *, timeout: float = 30) -> Client:
    """A client of the database, which is made when it is not there. One client for each concurrent use."""
    parts = urlsplit(dsn)
    try:
        if parts.scheme == "chdb":
            Path(parts.path).mkdir(parents=True, exist_ok=True, mode=0o700)
            client = clickhouse_connect.get_client(dsn=dsn)
        else:
            client = clickhouse_connect.get_client(
                dsn=f"clickhouse://{parts.netloc}",
                secure=parts.scheme == "clickhouses",
                autogenerate_session_id=False,
                connect_timeout=5,
                send_receive_timeout=timeout,
                settings={"async_insert": 0},
            )
        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
        client.database = DATABASE
        return client
    except ModuleNotFoundError:
        raise ConfigError(
            "CONSENT_GATEWAY_DSN names the embedded engine, which is not installed: "
            "pip install 'consent-gateway[embedded]', or name a server"
        ) from None
    except Failure as error:
        raise StoreError(f"no connection to the store: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """What an engine's error says, without its stack and without rows of data."""
    text = str(error).strip().partition("\n")[0]
    return text.partition(": (at row")[0][:300]
