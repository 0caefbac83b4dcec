"""Keys that are listed, rotated and destroyed: nobody has to choose again, and a destroyed month stays unreadable."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from consent_gateway.record import key_ring
from consent_gateway.record.cookie import Cookies
from consent_gateway.record.keys import SETTLE_SECONDS, Keys
from consent_gateway.rule.consent import Consent, Status, Terms
from consent_gateway.rule.errors import ConfigError

NOVEMBER, DECEMBER = 1_795_341_600_000, 1_798_000_000_000
TERMS = Terms("1", frozenset({"analytics"}))
GIVEN = Consent(Status.GIVEN, TERMS.asked, consent_id="i" * 22, given_at=NOVEMBER, policy_version="1")


def reads(keys: Keys, cookie: str) -> bool:
    seen = Cookies(keys.secrets).read(cookie, "shop", secure=False, now=NOVEMBER + 1, terms=TERMS)
    return seen.status is Status.GIVEN


def written(keys: Keys) -> str:
    return Cookies(keys.secrets).write(GIVEN, "shop", secure=False, now=NOVEMBER).partition(";")[0]


def test_a_rotated_secret_still_verifies_and_the_new_one_signs_once_all_know_it(tmp_path: Path) -> None:
    before = Keys(tmp_path)
    old = written(before)
    assert key_ring.rotate(tmp_path, "secret", NOVEMBER) == f"secret-{NOVEMBER}"
    young = Keys(tmp_path)
    assert reads(young, old) and reads(before, written(young)), "a worker that has not looked yet still understands"
    past = (tmp_path / "secret").stat().st_mtime - SETTLE_SECONDS - 1
    os.utime(tmp_path / "secret", (past, past))
    settled = Keys(tmp_path)
    new = written(settled)
    assert reads(settled, old) and reads(young, new) and not reads(before, new), "the new one signs"
    key_ring.rotate(tmp_path, "secret", DECEMBER)
    assert reads(Keys(tmp_path), old) and reads(Keys(tmp_path), new) and len(Keys(tmp_path).secrets) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_rotated_receipt_key_is_published_beside_the_new_one(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    before = set(keys.public_keys)
    key_ring.rotate(tmp_path, "receipt", NOVEMBER)
    assert before < set(keys.public_keys) and len(keys.public_keys) == 2


def test_a_destroyed_month_can_be_read_nowhere(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    november, december = (keys.encrypt_address("203.0.113.77", at) for at in (NOVEMBER, DECEMBER))
    key = (tmp_path / "address-2026-11").read_bytes()
    key_ring.destroy_month(tmp_path, "2026-11", DECEMBER)
    for reader in (keys, Keys(tmp_path)):
        assert reader.decrypt_address(november) is None, "also not by a process that had the key in memory"
        assert reader.decrypt_address(december) == "203.0.113.77"
    assert not any(key in path.read_bytes() for path in tmp_path.iterdir())
    assert key_ring.destroyed_months(tmp_path) == ["2026-11"]
    assert (tmp_path / "log").read_text().endswith("destroyed address-2026-11\n")


@pytest.mark.parametrize(
    ("month", "why"),
    [("2026-12", "is not over"), ("2027-01", "is not over"), ("2026-10", "never made"), ("november", "is no month"),
     ("../secret", "is no month")],
)  # fmt: skip
def test_what_is_not_destroyed(tmp_path: Path, month: str, why: str) -> None:
    keys = Keys(tmp_path)
    keys.encrypt_address("203.0.113.77", DECEMBER)
    with pytest.raises(ConfigError, match=why):
        key_ring.destroy_month(tmp_path, month, DECEMBER)
    assert (tmp_path / "address-2026-12").exists()


@pytest.mark.parametrize("name", ["person", "address-2026-11", "secret-1", "../x", ""])
def test_what_is_not_rotated(tmp_path: Path, name: str) -> None:
    Keys(tmp_path).encrypt_address("203.0.113.77", NOVEMBER)
    with pytest.raises(ConfigError, match="is not rotated"):
        key_ring.rotate(tmp_path, name, NOVEMBER)


def test_every_key_says_what_it_is_for(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.encrypt_address("203.0.113.77", NOVEMBER)
    assert keys.receipt
    key_ring.rotate(tmp_path, "secret", NOVEMBER)
    found = {entry.name: entry.use for entry in key_ring.entries(tmp_path)}
    assert found.keys() == {"secret", f"secret-{NOVEMBER}", "person", "receipt", "address-2026-11"}
    assert all(found.values())
    with pytest.raises(ConfigError, match="there are no keys"):
        key_ring.entries(tmp_path / "none")
