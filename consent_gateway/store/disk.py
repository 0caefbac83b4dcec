"""The embedded store on an encrypted disk (`ENCRYPT_STORE`): AES-256-CTR by the engine, its key in `KEYS_DIR`.

Encrypted are the rows: every part of every table. In clear stay the tables' definitions, the names of parts and
columns, what passes through `DATA_DIR/tmp` while it is inserted, the spool, and the ledger. None of these holds a clear
address. A store is encrypted from its first table on, or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..record.keys import Keys
from ..rule.errors import ConfigError

_PARTS = "store/*/*/*_*_*_*/columns.txt"  # of a table's part, in clear or below the encrypted disk
CONFIG = "engine.xml"

_XML = """<clickhouse>
  <storage_configuration>
    <disks>
      <plain><type>local</type><path>{disk}/</path></plain>
      <encrypted>
        <type>encrypted</type><disk>plain</disk><path>rows/</path>
        <algorithm>AES_256_CTR</algorithm><key_hex>{key}</key_hex>
      </encrypted>
    </disks>
    <policies><encrypted><volumes><main><disk>encrypted</disk></main></volumes></encrypted></policies>
  </storage_configuration>
  <merge_tree><storage_policy>encrypted</storage_policy></merge_tree>
</clickhouse>
"""


def disk_of(store: Path) -> Path:
    """Where the engine puts what it encrypts: beside the store's own folder."""
    return store.with_name(f"{store.name}.encrypted")


def has_rows(store: Path) -> bool:
    """Does the embedded store hold any part of a table?"""
    return in_clear(store) or any((disk_of(store) / "rows").glob(_PARTS))


def in_clear(store: Path) -> bool:
    """Does a store lie here that was made without encryption?"""
    return any(store.glob(_PARTS))


def engine_config(store: Path, keys: Keys, *, encrypt: bool) -> Path | None:
    """The engine's configuration, a private file beside the keys; none where nothing is encrypted.

    `ConfigError` when the store is there already and is the other kind.
    """
    if encrypt and in_clear(store):
        raise ConfigError(
            f"CONSENT_GATEWAY_ENCRYPT_STORE is on, but the store in {store} is not encrypted; allowed is a new one: "
            "`consent-gateway backup FILE`, move the store away, start again, `consent-gateway restore FILE`"
        )
    if not encrypt and disk_of(store).exists():
        raise ConfigError(
            f"CONSENT_GATEWAY_ENCRYPT_STORE is off, but the store in {store} is encrypted; allowed is on, or a backup "
            "that is restored into a new store"
        )
    if not encrypt:
        return None
    path = keys.directory / CONFIG
    text = _XML.format(disk=disk_of(store), key=keys.store.hex())
    draft = path.with_name(f".{CONFIG}-{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
    draft.replace(path)
    return path
