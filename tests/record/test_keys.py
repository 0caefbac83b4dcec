"""Keys: private, made once however many need them at once, and gone when destroyed."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.record.keys import Keys, write_once
from consent_gateway.rule.errors import ConfigError

from .processes import run

NOVEMBER, DECEMBER = 1_795_341_600_000, 1_798_000_000_000
SECRETS = ("s" * 44,)


def test_what_is_made_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys = Keys(tmp_path / "deep" / "keys")
        keys.encrypt_address("203.0.113.77", NOVEMBER)
        assert keys.receipt
    finally:
        os.umask(before)
    files = {path.name: path.stat() for path in keys.directory.iterdir()}
    assert set(files) == {"secret", "person", "address-2026-11", "receipt"}  # and no draft is left
    assert {stat.S_IMODE(status.st_mode) for status in files.values()} == {0o600}
    assert {status.st_size for status in files.values()} == {32}
    assert stat.S_IMODE(keys.directory.stat().st_mode) == 0o700
    assert len({path.read_bytes() for path in keys.directory.iterdir()}) == 4


def test_they_stay_the_same(tmp_path: Path) -> None:
    one, other = Keys(tmp_path), Keys(tmp_path)
    assert (one.secrets, one.person) == (other.secrets, other.person)
    public = [keys.receipt.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for keys in (one, other)]
    assert public[0] == public[1]
    assert other.decrypt_address(one.encrypt_address("2001:db8::1", NOVEMBER)) == "2001:db8::1"


def test_a_made_secret_is_announced_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Keys(tmp_path)
        Keys(tmp_path)
        Keys(tmp_path / "other", SECRETS)
    assert [record.getMessage().partition(" in ")[0] for record in caplog.records] == ["made a secret"]
    assert not (tmp_path / "other" / "secret").exists()


def test_of_many_processes_one_makes_a_key(tmp_path: Path) -> None:
    for turn in range(5):
        folder = tmp_path / f"keys-{turn}"

        def make(number: int, folder: Path = folder) -> None:
            keys = Keys(folder)
            (tmp_path / f"{folder.name}.{number}").write_text(f"{keys.secrets} {keys.person.hex()}")

        run(*(lambda number=number: make(number) for number in range(6)))
        assert len({path.read_text() for path in tmp_path.glob(f"{folder.name}.*")}) == 1
        assert {path.name for path in folder.iterdir()} == {"secret", "person"}


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_once(tmp_path / "key", b"first")
    write_once(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["key"]


@given(st.ip_addresses().map(str), st.integers(0, 4_000_000_000_000))
def test_an_address_is_encrypted_and_back(text: str, at: int) -> None:
    one, other = KEYS.encrypt_address(text, at), KEYS.encrypt_address(text, at)
    assert KEYS.decrypt_address(one) == KEYS.decrypt_address(other) == text
    assert one != other and text not in one
    assert len(one) == len("2026-11.") + 100  # whatever its length


def test_a_month_has_its_key_and_takes_its_addresses_with_it(tmp_path: Path) -> None:
    keys = Keys(tmp_path, SECRETS)
    november, december = keys.encrypt_address("203.0.113.77", NOVEMBER), keys.encrypt_address("203.0.113.78", DECEMBER)
    assert (november[:8], december[:8]) == ("2026-11.", "2026-12.")
    assert keys.decrypt_address(december[:8] + november[8:]) is None  # not with another month's
    (tmp_path / "address-2026-11").unlink()
    for reader in (keys, Keys(tmp_path, SECRETS)):
        assert reader.decrypt_address(november) is None
        assert reader.decrypt_address(december) == "203.0.113.78"


@given(
    st.text()
    | st.text(alphabet="2026-11./=+aZ\0é", max_size=200)
    | st.integers(1, 9999).map(lambda length: "x" * length + ".x")
)
def test_what_is_not_ours_is_not_decrypted(text: str) -> None:
    assert KEYS.decrypt_address(text) is None
    assert KEYS.decrypt_address(f"2026-11.{text}") is None


def test_a_changed_one_is_not_decrypted() -> None:
    sealed = KEYS.encrypt_address("203.0.113.77", NOVEMBER)
    for at in range(8, len(sealed), 7):
        assert KEYS.decrypt_address(sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]) is None


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 33])
def test_a_damaged_key_is_refused(tmp_path: Path, data: bytes) -> None:
    """An empty secret would sign cookies that anyone can forge."""
    (tmp_path / "secret").write_bytes(data)
    with pytest.raises(ConfigError, match=rf"secret' has {len(data)} bytes: allowed are 32"):
        Keys(tmp_path)


def test_a_folder_that_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"KEYS_DIR is '.*file/keys': Not a directory; allowed is a writable folder"):
        Keys(tmp_path / "file" / "keys")
    (tmp_path / "keys" / "person").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"person' can't be read or made: Is a directory"):
        Keys(tmp_path / "keys", SECRETS)


KEYS: Keys


@pytest.fixture(scope="module", autouse=True)
def shared_keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    global KEYS
    KEYS = Keys(tmp_path_factory.mktemp("keys"), SECRETS)
