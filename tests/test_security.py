"""`docs/security.md`: every attack has somebody who makes it, what stops it, and tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "docs" / "security.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith(("| who |", "| target |"))
]
ATTACKS = [row for row in ROWS if len(row) == 4]
_TEST = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def test_every_attack_says_who_what_stops_it_and_what_shows_it() -> None:
    assert len(ATTACKS) >= 40
    for row in ATTACKS:
        assert all(row) and _TEST.search(row[3]) and not _TEST.sub("", row[3]).strip(", "), row
    attackers = " ".join(row[0] for row in ATTACKS)
    for who in ("visitor", "site", "network", "neighbour", "employee", "thief", "database"):
        assert who in attackers, who


def test_every_named_test_is_there() -> None:
    known: dict[str, set[str]] = {}
    for file, name in _TEST.findall(TEXT):
        if file not in known:
            tree = ast.parse((TESTS / file).read_text())
            known[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in known[file], f"{file} has no {name}"


def test_what_the_design_names_is_there() -> None:
    for words in (
        "forge", "replay", "fix somebody", "two cookies", "very long", "make a visitor's browser grant", "frame the",
        "flood", "forwarding header", "split a header", "SQL", "formula", "script in path", "chunked garbage",
        "slow bodies", "deep or huge JSON", "Unicode", "cache keep", "path traversal", "how long a comparison",
        "try ids", "mmdb", "policy",
    ):  # fmt: skip
        assert words in TEXT, words
