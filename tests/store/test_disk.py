"""The embedded store on an encrypted disk: its rows are read through the engine and stand nowhere in clear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from consent_gateway.record.keys import Keys
from consent_gateway.rule.errors import ConfigError
from consent_gateway.store.disk import engine_config
from tests.running import Site, files_with

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
CANARY = "canary-path-that-is-found"


@pytest.mark.parametrize("encrypt", ["on", "off"])
def test_what_lies_on_the_disk(run_site: Callable[..., Site], encrypt: str) -> None:
    site = run_site(SITE="shop", ENCRYPT_STORE=encrypt)
    site.get(
        f"/page/{CANARY}", {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"}
    )
    site.forwarded()

    def pages() -> list[str]:
        return [row["path"] for row in site.office("GET", "/stats/pages")["rows"]]

    assert pages() == [f"/page/{CANARY}"]
    site.stop()
    found = files_with(site.data_dir, CANARY)
    assert bool(found) == (encrypt == "off"), "without encryption the same scan finds it"
    site.start()
    site.wait_for("the back office", site.office_answers)
    assert pages() == [f"/page/{CANARY}"]
    if encrypt == "on":
        key = (site.keys_dir / "store").read_bytes()
        assert files_with(site.data_dir, key, key.hex()) == []
        assert (site.keys_dir / "engine.xml").stat().st_mode & 0o077 == 0


def test_a_store_does_not_change_its_kind(tmp_path: Path) -> None:
    keys, store = Keys(tmp_path / "keys"), tmp_path / "store"
    part = store / "store" / "abc" / "uuid" / "202611_1_1_0"
    part.mkdir(parents=True)
    (part / "columns.txt").touch()
    with pytest.raises(ConfigError, match="is not encrypted; allowed is a new one"):
        engine_config(store, keys, encrypt=True)
    assert engine_config(store, keys, encrypt=False) is None
    other = tmp_path / "other"
    (tmp_path / "other.encrypted").mkdir()
    with pytest.raises(ConfigError, match="is encrypted; allowed is on"):
        engine_config(other, keys, encrypt=False)
    assert engine_config(other, keys, encrypt=True) == tmp_path / "keys" / "engine.xml"
