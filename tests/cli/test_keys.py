"""`consent-gateway keys list|rotate|destroy`, as a person types it, and a running site that takes a new secret up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_gateway.cli import app
from consent_gateway.record.keys import Keys
from tests.faults.servers import choose, cookie_of
from tests.running import Site

RUNNER = CliRunner()


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("CONSENT_GATEWAY_KEYS_DIR", str(tmp_path / "keys"))
    made = Keys(tmp_path / "keys")
    made.encrypt_address("203.0.113.77", 1_760_000_000_000)
    return made


def test_list_shows_uses_and_no_key(keys: Keys) -> None:
    answer = RUNNER.invoke(app, ["keys", "list"])
    assert answer.exit_code == 0 and "address-2025-10" in answer.output and "durable" in answer.output
    assert keys.secrets[0] not in answer.output


def test_destroy_asks_first(keys: Keys) -> None:
    kept = RUNNER.invoke(app, ["keys", "destroy", "2025-10"], input="n\n")
    assert kept.exit_code == 1 and (keys.directory / "address-2025-10").exists()
    answer = RUNNER.invoke(app, ["keys", "destroy", "2025-10", "--yes"])
    assert answer.exit_code == 0 and not (keys.directory / "address-2025-10").exists()
    assert "2025-10 were made unreadable" in RUNNER.invoke(app, ["keys", "list"]).output
    again = RUNNER.invoke(app, ["keys", "destroy", "2025-10", "--yes"])
    assert again.exit_code == 1 and "destroyed already" in again.stderr


def test_rotate_refuses_what_is_not_rotated(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RUNNER.invoke(app, ["keys", "rotate", "person"]).exit_code == 2
    monkeypatch.setenv("CONSENT_GATEWAY_SECRET", "s" * 40)
    answer = RUNNER.invoke(app, ["keys", "rotate", "secret"])
    assert answer.exit_code == 2 and "behind the others" in answer.stderr


def test_a_running_site_takes_a_new_secret_up_and_nobody_chooses_again(
    run_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = run_site(workers=2, SITE="shop")
    old = cookie_of(choose(site, "accept_all"))
    monkeypatch.setenv("CONSENT_GATEWAY_KEYS_DIR", str(site.keys_dir))
    assert RUNNER.invoke(app, ["keys", "rotate", "secret"]).exit_code == 0
    past = time.time() - 3600
    os.utime(site.keys_dir / "secret", (past, past))  # as if its hour had passed
    newest = Keys(site.keys_dir).secrets[-1]

    def signs_with_it() -> bool:
        from consent_gateway.record.cookie import Cookies
        from consent_gateway.rule.consent import Status, Terms

        answer = choose(site, "accept_all")
        if (
            answer.status != 200
        ):  # the other worker has not looked yet: the minute that this test leaves out is for that
            return False
        cookie = cookie_of(answer)
        terms = Terms("1", frozenset({"analytics"}))
        seen = Cookies([newest]).read(f"cg={cookie}", "shop", secure=False, now=int(time.time() * 1000), terms=terms)
        return seen.status is Status.GIVEN

    site.wait_for("the new secret to sign", signs_with_it)
    for _ in range(10):
        assert site.get("/_cg/state", cookies={"cg": old}).json()["status"] == "given"
