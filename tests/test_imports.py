"""The arrows between the folders run one way, and the core touches neither the world nor the clock.

The table is that of the design: a folder imports only what its row names. The checker reads the sources and imports
nothing; a planted bad source shows that it finds what it looks for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import consent_gateway

PACKAGE = Path(consent_gateway.__file__).parent
NAME = PACKAGE.name

TABLE = """
folder   | may know of ours
rule     |
enrich   | rule
config   | rule
record   | rule config
store    | rule config record
edge     | rule enrich config record
rights   | rule enrich config record store
access   | rule config record
answers  | rule enrich config record store access
replay   | rule enrich config record
demo     | __init__
office_process | rule config record
worker   | rule enrich config record edge office_process
app      | rule config record edge worker
beside   | rule edge app
jobs     | rule config record store
privacy_parts | rule config record store rights access answers
office   | rule enrich config record store edge rights access answers replay jobs privacy_parts openapi
openapi  | edge answers
jinja    | edge
quart    | jinja
django   | edge
cli      | rule enrich config record store edge rights access answers replay worker app office office_process demo openapi beside
__init__ | rule config edge app
"""  # noqa: E501 - a row of the table is a line
MAY_KNOW = {
    folder.strip(): set(known.split())
    for folder, known in (row.split("|") for row in TABLE.strip().splitlines()[1:])
}  # fmt: skip

# What the core may import of others: nothing here reads a file, a socket or the clock, but for the names refused below.
PURE = {
    "__future__", "collections.abc", "dataclasses", "datetime", "enum", "functools", "hashlib", "ipaddress", "re",
    "socket", "types", "typing", "msgspec",
}  # fmt: skip
PURE_OF_SOCKET = {"inet_pton", "inet_ntop", "AF_INET", "AF_INET6"}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
IMPURE_ATTRIBUTES = {"now", "utcnow", "today"}
IMPURE_MODULES = {"time", "os", "random", "secrets", "uuid"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Each module of the package, by its dotted path below it, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), ast.parse(path.read_text())


def ours(module: str, tree: ast.Module) -> Iterator[str]:
    """The folders (or top modules) of the package that a module imports from, each once for each import."""
    package = [NAME, *module.split(".")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = base + (node.module.split(".") if node.module else [])
            targets = [[*stem, alias.name] for alias in node.names]
        else:
            continue
        for target in targets:
            if target[0] == NAME:
                beneath = target[1] if len(target) > 1 else "__init__"
                yield beneath if (PACKAGE / beneath).is_dir() or (PACKAGE / f"{beneath}.py").exists() else "__init__"


def back_arrows(module: str, tree: ast.Module) -> list[str]:
    own = module.split(".")[0]
    return [f"{module} imports {other}" for other in ours(module, tree) if other not in MAY_KNOW[own] | {own}]


def impure(module: str, tree: ast.Module) -> list[str]:
    """What in a module of the core reaches out: modules not allowed, and calls that read files or the clock."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"import {alias.name}" for alias in node.names if alias.name not in PURE - {"socket"}]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = {alias.name for alias in node.names}
            if node.module not in PURE or (node.module == "socket" and not names <= PURE_OF_SOCKET):
                found.append(f"from {node.module} import {', '.join(sorted(names))}")
        elif isinstance(node, ast.Name) and node.id in IMPURE_CALLS:
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in IMPURE_ATTRIBUTES:
            found.append(f".{node.attr}")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in IMPURE_MODULES:
            found.append(f"{node.value.id}.{node.attr}")
    return [f"{module}: {what}" for what in found]


def test_no_arrow_runs_back() -> None:
    assert [wrong for module, tree in sources() for wrong in back_arrows(module, tree)] == []


def test_the_core_is_pure() -> None:
    core = [(module, tree) for module, tree in sources() if module.startswith("rule.")]
    assert len(core) >= 8
    assert [wrong for module, tree in core for wrong in impure(module, tree)] == []


def test_every_folder_is_in_the_table_and_says_what_lives_there() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= MAY_KNOW.keys()
    for folder in folders:
        assert ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text())), folder


def test_the_table_has_no_circle() -> None:
    """But the command line's and the demo's, which use what a site uses: the public names."""
    known = {folder: others - {"__init__"} for folder, others in MAY_KNOW.items()}
    order: list[str] = []
    while rest := known.keys() - set(order):
        ready = sorted(folder for folder in rest if known[folder] <= set(order))
        assert ready, f"a circle among {sorted(rest)}"
        order += ready


PLANTED = """
from ..rule import errors
from ..store.client import connect
from .. import edge, app
from consent_gateway.answers import reports
import consent_gateway.cli
def late():
    from ..office import run
"""


def test_the_checker_finds_planted_arrows() -> None:
    assert back_arrows("record.planted", ast.parse(PLANTED)) == [
        f"record.planted imports {other}" for other in ("store", "edge", "app", "answers", "cli", "office")
    ]
    assert back_arrows("demo.planted", ast.parse("from consent_gateway import Settings")) == []
    assert back_arrows("demo.planted", ast.parse("from ..app import Worker")) == ["demo.planted imports app"]
    assert back_arrows("record.planted", ast.parse("from .keys import Keys\nfrom ..rule.errors import X")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "import time",
        "from time import time",
        "import socket",
        "from socket import create_connection",
        "from pathlib import Path",
        "text = open('/etc/passwd').read()",
        "at = datetime.now(UTC)",
        "day = date.today()",
        "key = os.urandom(32)",
        "at = time.time()",
        "print(seen)",
    ],
)
def test_the_checker_finds_a_planted_impurity(line: str) -> None:
    assert len(impure("rule.planted", ast.parse(line))) == 1
    assert impure("rule.planted", ast.parse("from datetime import UTC, datetime\nfrom socket import inet_pton")) == []
