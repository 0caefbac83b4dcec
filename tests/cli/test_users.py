"""`users` and `tokens` as a person runs them: passwords are asked for, secrets shown once, mistakes said in a line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from consent_gateway.access.audit import Audit
from consent_gateway.access.people import People, Role, Scope
from consent_gateway.access.sessions import Person
from consent_gateway.cli import app
from tests.running import ENV_PREFIX

PASSWORD = "a long sentence nobody guesses"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in {"DATA_DIR": str(tmp_path / "data"), "KEYS_DIR": str(tmp_path / "keys"), "SITE": "shop"}.items():
        monkeypatch.setenv(ENV_PREFIX + name, value)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "keys")


def run(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=typed)


def done(*words: str, typed: str = "") -> str:
    answer = run(*words, typed=typed)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_users_life(people: People) -> None:
    assert "There are no users yet: consent-gateway users add" in done("users", "list")
    assert "ann may sign in as owner." in done("users", "add", "ann", "--role", "owner", typed=f"{PASSWORD}\n")
    done("users", "add", "vic", typed=f"{PASSWORD}\n")
    assert people.knows("ann", PASSWORD) and people.read().users["vic"].role is Role.VIEWER
    before = people.read().users["ann"].generation
    assert "all sessions of ann have ended" in done("users", "password", "ann", typed=f"{PASSWORD}!\n")
    assert people.knows("ann", f"{PASSWORD}!") and people.read().users["ann"].generation != before
    assert "vic is owner now." in done("users", "role", "vic", "owner")
    assert "vic is out" in done("users", "disable", "vic") and not people.knows("vic", PASSWORD)
    listed = done("users", "list")
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [["ann", "owner"], ["vic", "owner"]]
    assert "disabled" in listed and PASSWORD not in listed
    assert "may sign in again" in done("users", "disable", "vic", "--back") and people.knows("vic", PASSWORD)
    assert "vic is removed" in done("users", "remove", "vic") and "vic" not in people.read().users


def test_links_end(people: People) -> None:
    with people.change() as book:
        book.links = "generation"
    assert "opened have ended" in done("users", "end-links") and people.read().links != "generation"


@pytest.mark.parametrize(
    ("words", "typed", "code", "said"),
    [
        (["users", "add", "bob"], "short\n", 1, "allowed are 12"),
        (["users", "add", "ann"], f"{PASSWORD}\n", 1, "ann"),
        (["users", "add", "bob", "--role", "king"], "", 2, "king"),
        (["users", "password", "bob"], "", 1, "there is no user 'bob': `consent-gateway users list` shows them"),
        (["users", "role", "bob", "owner"], "", 1, "bob"),
        (["users", "disable", "bob"], "", 1, "bob"),
        (["users", "remove", "bob"], "", 1, "bob"),
        (["tokens", "create", "x"], "", 2, "--scope"),
        (["tokens", "create", "x", "--scope", "all"], "", 2, "all"),
        (["tokens", "create", "x", "--scope", "stats", "--days", "1000"], "", 2, "731"),
        (["tokens", "revoke", "cafe"], "", 1, "cafe"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(people: People, words: list[str], typed: str, code: int, said: str) -> None:
    people.add("ann", Role.OWNER, PASSWORD)
    answer = run(*words, typed=typed)
    assert answer.exit_code == code and said in answer.output, answer.output
    assert "Traceback" not in answer.output and (code == 2 or len(answer.output.splitlines()) == 1)


def test_a_tokens_life(people: People, tmp_path: Path) -> None:
    assert "There are no tokens: consent-gateway tokens create" in done("tokens", "list")
    answer = run("tokens", "create", "nightly [red]", "--scope", "stats", "--scope", "metrics", "--days", "3")
    text = answer.stdout.strip()
    assert answer.exit_code == 0 and "It is not shown again." in answer.stderr and text.startswith("cg_")
    token = people.token(text)
    assert token is not None and set(token.scopes) == {Scope.STATS, Scope.METRICS}
    listed = done("tokens", "list")
    key = text.split("_")[1]
    assert key in listed and "nightly [red]" in listed and "(over)" not in listed
    assert text.split("_", 2)[2] not in listed + (tmp_path / "keys" / "people.json").read_text()
    with people.change() as book:
        book.tokens[key].until = 1
    assert "(over)" in done("tokens", "list") and people.token(text) is None
    assert f"{key} is revoked." in done("tokens", "revoke", key) and not people.read().tokens


def test_the_audit_log_is_shown_as_text(tmp_path: Path) -> None:
    assert "Nothing was read yet." in done("users", "audit")
    for number in range(3):
        Audit(tmp_path / "data").note(Person(f"\x1b[31mann{number}", Role.OWNER, "session"), "exported", "[bold]pages")
    shown = done("users", "audit", "--last", "2")
    assert "?[31mann2" in shown and "ann0" not in shown and "[bold]pages" in shown and "\x1b[31m" not in shown


@pytest.mark.parametrize("words", [["users"], ["tokens"], ["users", "add"], ["tokens", "create"]])
def test_the_help_teaches(words: list[str]) -> None:
    assert len(run(*words, "--help").output) > 300
