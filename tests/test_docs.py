"""The documents say what the code does: settings, commands, reports, public names; and their links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import consent_gateway
from consent_gateway.answers.figures import FIGURES
from consent_gateway.answers.reports import ALL
from consent_gateway.config.policy_file import parse
from consent_gateway.config.settings import Settings
from consent_gateway.openapi import document
from consent_gateway.rule.columns import COLUMNS
from consent_gateway.rule.errors import ConfigError, ConsentGatewayError
from consent_gateway.rule.event import DropReason
from tests.reference import COMMAND, PAGES, commands, made_anew

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONTRACT = (ROOT / "docs" / "contract.md").read_text()
REFERENCE = ROOT / "docs" / "reference"
HANDWRITTEN = [path for path in (ROOT / "docs").rglob("*.md") if path.parent != REFERENCE]
DOCUMENTS = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]


def rows(page: str) -> set[str]:
    """The first cells of a reference page's tables."""
    return set(re.findall(r"^\| `(.+?)` \|", (REFERENCE / f"{page}.md").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_generated_is_up_to_date(page: Path) -> None:
    assert page.read_text() == made_anew(page), f"run: {COMMAND}"


def test_every_setting_is_in_the_reference() -> None:
    text = (REFERENCE / "settings.md").read_text()
    assert rows("settings") == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert field.description and field.description in text, name


def test_every_command_is_in_the_reference() -> None:
    text = (REFERENCE / "cli.md").read_text()
    for name, below in commands().items():
        assert f"\n## {name}\n" in text
        for words in (name, *(f"{name} {other}" for other in below)):
            assert f"Usage: consent-gateway {words} " in text, words


def test_every_route_report_column_and_reason_is_in_the_reference() -> None:
    routes = {f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item}
    assert routes <= rows("http")
    used = {figure for report in ALL.values() for figure in report.figures}
    assert rows("reports") == set(ALL) | (FIGURES.keys() & used)
    assert rows("columns") == {column.name for column in COLUMNS}
    assert rows("drops") == set(DropReason)
    assert all(name.startswith("consent_gateway_") for name in rows("metrics"))


def test_the_policies_of_the_documents_are_some() -> None:
    text = "\n".join(re.findall(r"```toml\n(.*?)```", (ROOT / "docs/howto/policy.md").read_text(), re.DOTALL))
    assert parse(text).preset == "belgium-strict"


def test_every_column_is_in_the_contract() -> None:
    assert all(f"`{column.name}`" in CONTRACT for column in COLUMNS)


def test_the_readme_begins_with_what_it_is_and_two_commands() -> None:
    title, _, words = README.partition("\n\n")
    assert title == "# Consent Gateway" and "one ASGI middleware" in words[:300]
    assert words.index("make run") < words.index("make test") < 1000
    assert len(README.splitlines()) < 200


def test_the_readmes_comparison_is_that_of_the_document() -> None:
    """Its rows and cells are copies of those of the whole comparison."""
    whole = _tables((ROOT / "docs" / "comparison.md").read_text())
    head, *compared = _tables(README.partition("## How it compares")[2].partition("\n## ")[0])
    names = next(line for line in whole if "vanilla-cookieconsent 3.1.0" in line)
    places = [names.index(name) for name in head]
    by_name = {line[0]: line for line in whole if len(line) == len(names)}
    assert len(compared) >= 6
    for line in compared:
        assert line == [by_name[line[0]][place] for place in places]


def _tables(text: str) -> list[list[str]]:
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line] for line in lines]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]+`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"(?:\]\(|src=\")([^)\"\s]+)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists() and found.is_relative_to(ROOT), f"{page.name}: {target}"
        if anchor:
            assert anchor in {_anchor(title) for title in re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)}


def _anchor(title: str) -> str:
    """As code hosts make it of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_every_public_name_is_explained() -> None:
    """Those of the package, and what of them is public."""
    for name in consent_gateway.__all__:
        value = getattr(consent_gateway, name)
        assert value.__doc__ and len(value.__doc__) > 30, name
        inside = vars(value) if inspect.isclass(value) else {}
        for part, member in inside.items():
            if not part.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert member.__doc__, f"{name}.{part}"
    assert issubclass(ConfigError, ConsentGatewayError)


def test_every_module_says_what_it_is_for() -> None:
    for path in (ROOT / "consent_gateway").rglob("*.py"):
        assert path.read_text().startswith('"""'), path


def test_every_command_and_route_says_what_it_does() -> None:
    for name, below in commands().items():
        for words in ([name], *([name, other] for other in below)):
            text = (REFERENCE / "cli.md").read_text().partition(f"Usage: consent-gateway {' '.join(words)} ")[2]
            assert len(text.partition("\n\n")[2].partition("\n\n")[0].strip()) > 15, words
    for path, item in document()["paths"].items():
        assert all(operation["summary"] for operation in item.values()), path


def test_every_class_that_others_use_is_explained() -> None:
    """Of all layers; not the choices of an option, which are their own words, nor the demo."""
    for path in (ROOT / "consent_gateway").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if (
                isinstance(node, ast.ClassDef)
                and not node.name.startswith("_")
                and path.parent.name not in ("cli", "demo")
            ):
                assert ast.get_docstring(node), f"{path}: {node.name}"


def test_every_drop_reason_has_a_word() -> None:
    assert all(re.fullmatch(r"[a-z_]+", reason) for reason in DropReason)


def test_nothing_names_a_registry_or_a_machine() -> None:
    hosts = re.compile(r"pypi\.|pythonhosted|registry\.npm|deb\.debian|/(work|farm)/[a-z]")
    files = [
        path
        for folder in ("consent_gateway", "docs", "load", "static", "examples")
        for path in (ROOT / folder).rglob("*")
    ]
    for path in (*files, *ROOT.glob("*.md")):
        if (
            path.suffix in (".py", ".md", ".toml", ".js", ".css", ".html", ".yaml", ".sh", ".service")
            or "Dockerfile" in path.name
        ):
            assert not hosts.search(path.read_text()), path
