"""The documents say what the code does: settings, commands, reports, public names."""

from __future__ import annotations

import re
from pathlib import Path

import consent_gateway
from consent_gateway.cli import app
from consent_gateway.config.policy_file import parse
from consent_gateway.config.settings import Settings
from consent_gateway.rule.columns import COLUMNS
from consent_gateway.rule.errors import ConfigError, ConsentGatewayError
from consent_gateway.rule.event import DropReason

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONTRACT = (ROOT / "docs" / "contract.md").read_text()


def test_every_setting_is_in_the_readme() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
    assert documented == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert field.description and field.description in README, name


def test_the_readmes_policy_is_one() -> None:
    text = "\n".join(re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
    assert parse(text).preset == "belgium-strict"


def test_every_command_is_in_the_readme() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    documented = {name.split()[0] for name in re.findall(r"^\| `([a-z][a-z \-\[\]A-Z….]+)` \|", README, re.MULTILINE)}
    assert commands <= documented


def test_every_column_is_in_the_contract() -> None:
    assert all(f"`{column.name}`" in CONTRACT for column in COLUMNS)


def test_the_readme_begins_with_what_it_is_and_two_commands() -> None:
    title, _, words = README.partition("\n\n")
    assert title == "# Consent Gateway" and "one ASGI middleware" in words[:300]
    assert words.index("make run") < words.index("make test") < 1000


def test_every_public_name_is_explained() -> None:
    for name in consent_gateway.__all__:
        value = getattr(consent_gateway, name)
        assert value.__doc__ and len(value.__doc__) > 30, name
    assert issubclass(ConfigError, ConsentGatewayError)


def test_every_module_says_what_it_is_for() -> None:
    for path in (ROOT / "consent_gateway").rglob("*.py"):
        assert path.read_text().startswith('"""'), path


def test_every_drop_reason_has_a_word() -> None:
    assert all(re.fullmatch(r"[a-z_]+", reason) for reason in DropReason)


def test_nothing_names_a_registry_or_a_machine() -> None:
    hosts = re.compile(r"pypi\.|pythonhosted|registry\.npm|deb\.debian|/(work|farm)/[a-z]")
    for folder in ("consent_gateway", "docs", "load", "static"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".toml", ".js", ".css", ".html"):
                assert not hosts.search(path.read_text()), path
