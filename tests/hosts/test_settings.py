"""What several hosts must have set, and what is refused at start."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.config.settings import Settings
from consent_gateway.record.keys import Keys
from consent_gateway.rule.errors import ConfigError

SECRET = "a secret that is long enough for this"
PERSON_KEY = b64encode(bytes(range(32))).decode()
WHOLE = {
    "SALTS": "redis://127.0.0.1:6379/0",
    "DSN": "clickhouses://db.example.eu:8443",
    "SECRET": SECRET,
    "PERSON_KEY": PERSON_KEY,
}


def test_one_host_is_the_default() -> None:
    settings = Settings()
    assert settings.SALTS == "memory-file" and not settings.several_hosts and settings.person_key is None


def test_several_hosts_have_all_that_they_need() -> None:
    settings = Settings(**WHOLE)
    assert settings.several_hosts
    assert settings.person_key == bytes(range(32))
    assert SECRET not in repr(settings) and PERSON_KEY not in repr(settings)


@pytest.mark.parametrize("missing", ["SECRET", "PERSON_KEY", "DSN"])
def test_each_of_them_is_demanded(missing: str) -> None:
    with pytest.raises(ConfigError, match=f"CONSENT_GATEWAY_{missing} .*several hosts|several hosts.*_{missing} "):
        Settings(**{name: value for name, value in WHOLE.items() if name != missing})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"SALTS": "redis://cache.example.eu:6379/0"}, "use rediss://"),
        ({"SALTS": "memory"}, "allowed are memory-file"),
        ({"SALTS": "redis:///0"}, "allowed are memory-file"),
        ({"SALTS": "rediss://cache.example.eu/0?ssl_cert_reqs=none"}, "only .ssl_ca_certs"),
        ({"PERSON_KEY": "c2hvcnQ="}, "base64 of 32 bytes"),
        ({"PERSON_KEY": "not base64 at all"}, "base64 of 32 bytes"),
        ({"CLUSTER": "main; DROP TABLE events", "DSN": WHOLE["DSN"]}, "name of a cluster"),
        ({"CLUSTER": "main"}, "embedded engine"),
        ({"CLUSTER": "main", "DSN": "chdb:///srv/store"}, "embedded engine"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_one_sentence(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        Settings(**values)
    assert "\n" not in str(error.value)


def test_what_may_hold_a_password_is_not_repeated() -> None:
    for values in ({"SALTS": "redis://:hunter2@cache.example.eu/0"}, {"PERSON_KEY": "hunter2"}):
        with pytest.raises(ConfigError) as error:
            Settings(**values)
        assert "hunter2" not in str(error.value)


def test_a_cluster_may_serve_one_host() -> None:
    assert not Settings(CLUSTER="main", DSN="clickhouse://127.0.0.1:8123").several_hosts


def test_hosts_with_one_person_key_know_a_person_by_one_pseudonym(tmp_path: Path) -> None:
    keys = [Keys(tmp_path / host, (SECRET,), Settings(**WHOLE).person_key) for host in ("a", "b")]
    assert keys[0].person == keys[1].person == bytes(range(32))
    other = Keys(tmp_path / "a", ("another secret after a rotation of it",), Settings(**WHOLE).person_key)
    assert other.person == keys[0].person


def test_another_person_key_than_the_one_in_use_is_refused(tmp_path: Path) -> None:
    made = Keys(tmp_path, (SECRET,)).person
    with pytest.raises(ConfigError, match="PERSON_KEY is not the key in"):
        Keys(tmp_path, (SECRET,), bytes(32))
    assert Keys(tmp_path, (SECRET,), made).person == made  # going on from one host: its own key as the setting
