"""`docs/compliance.md`: every row says who asks, what is done, and names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = (TESTS.parent / "docs" / "compliance.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()
    if line.startswith("| ") and not line.startswith("| norm |")
]
_TEST = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def test_there_are_forty_rows_and_each_is_whole() -> None:
    assert len(ROWS) >= 40
    for row in ROWS:
        assert len(row) == 3 and all(row), row
        shown = row[2]
        assert _TEST.search(shown) and not _TEST.sub("", shown).strip(", "), f"a test each, and nothing else: {row}"


def test_every_named_test_is_there() -> None:
    known: dict[str, set[str]] = {}
    for file, name in _TEST.findall(TABLE):
        if file not in known:
            tree = ast.parse((TESTS / file).read_text())
            known[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in known[file], f"{file} has no {name}"


def test_every_norm_stands_once_for_each_thing_that_it_asks() -> None:
    norms = [row[0] for row in ROWS]
    assert len(set(norms)) == len(norms)
    for source in ("GDPR", "ePrivacy", "EDPB", "CNIL", "BE ", "Planet49", "GPC", "ISO/IEC TS 27560", "WCAG"):
        assert any(source in norm for norm in norms), source
