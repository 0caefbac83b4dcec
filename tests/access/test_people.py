"""Users and tokens: what is kept of them, who is recognised, and how the file of them changes."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from consent_gateway.access import passwords
from consent_gateway.access import people as module
from consent_gateway.access.people import People, Role, Scope
from consent_gateway.rule.errors import ConfigError

PASSWORD = "a long sentence nobody guesses"


def test_a_user(tmp_path: Path) -> None:
    people = People(tmp_path)
    people.add("ann", Role.OWNER, PASSWORD)
    assert people.knows("ann", PASSWORD)
    for name, password in (("ann", PASSWORD + "x"), ("ann", ""), ("bob", PASSWORD), ("", ""), ("ann", "x" * 5000)):
        assert not people.knows(name, password)
    assert not people.knows("ann", "\ud800" * 20)


def test_what_is_kept_tells_no_password_and_no_token(tmp_path: Path) -> None:
    people = People(tmp_path)
    people.add("ann", Role.OWNER, PASSWORD)
    token = people.make_token("export", [Scope.STATS], 30)
    path = tmp_path / "people.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert PASSWORD not in text and token.split("_", 2)[2] not in text
    kept = json.loads(text)["users"]["ann"]["password"]
    assert kept.startswith("scrypt$32768$8$3$")
    assert passwords.protect(PASSWORD) != passwords.protect(PASSWORD)  # each with a salt of its own


def test_a_name_that_nobody_has_costs_as_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = People(tmp_path)
    people.add("ann", Role.OWNER, PASSWORD)
    worked: list[tuple[int, int, int]] = []
    derive = passwords._derive

    def counted(password: str, salt: bytes, cost: int, block: int, passes: int) -> bytes:
        worked.append((cost, block, passes))
        return derive(password, salt, cost, block, passes)

    monkeypatch.setattr(passwords, "_derive", counted)
    for name in ("ann", "bob"):
        people.knows(name, "wrong wrong wrong")
    assert worked[0] == worked[1] and len(worked) == 2


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaaaa", "my name is Ann, yes", "x" * 300])
def test_a_password_that_is_guessed_is_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(ConfigError, match="password"):
        People(tmp_path).add("ann", Role.OWNER, password)


@pytest.mark.parametrize("name", ["", "-x", "a b", "é", "a" * 65, "../x", "a\nb"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        People(tmp_path).add(name, Role.OWNER, PASSWORD)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    people = People(tmp_path)
    changes: list[Callable[[], None]] = [
        lambda: people.set_role("bob", Role.OWNER),
        lambda: people.set_password("bob", PASSWORD),
        lambda: people.disable("bob", disabled=True),
        lambda: people.remove("bob"),
        lambda: people.revoke("bob"),
    ]
    for change in changes:
        with pytest.raises(ConfigError, match="there is no"):
            change()
    people.add("ann", Role.OWNER, PASSWORD)
    with pytest.raises(ConfigError, match="already"):
        people.add("ann", Role.OWNER, PASSWORD)


def test_a_change_of_another_process_counts_at_once(tmp_path: Path) -> None:
    office, command = People(tmp_path), People(tmp_path)
    assert office.read().users == {}
    command.add("ann", Role.VIEWER, PASSWORD)
    assert office.read().users["ann"].role is Role.VIEWER
    command.set_role("ann", Role.OWNER)
    assert office.read().users["ann"].role is Role.OWNER


def test_changes_at_once_lose_nothing(tmp_path: Path) -> None:
    def make(number: int) -> None:
        for turn in range(5):
            People(tmp_path).make_token(f"{number}-{turn}", [Scope.STATS], 1)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(People(tmp_path).read().tokens) == 20
    assert {path.name for path in tmp_path.iterdir()} == {"people.json", "people.lock"}


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    people = People(tmp_path)
    people.add("ann", Role.OWNER, PASSWORD)
    before = (tmp_path / "people.json").read_bytes()
    with pytest.raises(RuntimeError), people.change() as book:
        book.users.clear()
        raise RuntimeError
    assert (tmp_path / "people.json").read_bytes() == before and "ann" in people.read().users


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    people = People(tmp_path)
    people.add("ann", Role.OWNER, PASSWORD)
    (tmp_path / "people.json").write_text('{"users": ')
    with pytest.raises(ConfigError, match="damaged"):
        people.knows("ann", PASSWORD)


def test_a_token_is_good_for_its_scope_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1_795_341_600.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: clock.now))
    people = People(tmp_path)
    text = people.make_token("export", [Scope.STATS], 30)
    token = people.token(text)
    assert token is not None and token.scopes == [Scope.STATS] and token.name == "export"
    for wrong in (
        "",
        "cg",
        "cg_",
        "cg__",
        text[:-1],
        text + "x",
        text.replace("cg_", "xx_"),
        f"{text[:12]}é",
        "\ud800",
    ):
        assert people.token(wrong) is None
    clock.now += 30 * 86_400 - 1
    assert people.token(text)
    clock.now += 1
    assert people.token(text) is None


def test_a_revoked_token_is_none(tmp_path: Path) -> None:
    people = People(tmp_path)
    one, other = (people.make_token("export", [Scope.STATS], 30) for _ in range(2))
    people.revoke(one.split("_")[1])
    assert people.token(one) is None and people.token(other)
