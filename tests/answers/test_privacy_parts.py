"""What the privacy tab says of requests: the right, the days and what is late, in the reader's language."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consent_gateway import Settings
from consent_gateway.access.audit import Audit
from consent_gateway.answers.language import LANGUAGES, load
from consent_gateway.privacy_parts import privacy_parts
from consent_gateway.record.books import Tally
from consent_gateway.record.chain import Fault
from consent_gateway.rights.register import Register, Right


@dataclass
class Request:
    number: int
    right: Right
    late: str
    state: str = "open"
    is_open: bool = True
    received: date = date(2026, 11, 1)
    due: date = date(2026, 11, 15)

    def overdue(self, today: date) -> str:
        return self.late


def parts(home: Path, requests: list[Any], ledger: dict[str, Any]) -> dict[str, Any]:
    settings = Settings(DATA_DIR=home / "data", KEYS_DIR=home / "keys", SITE="shop")
    found = privacy_parts(
        settings, cast(Tally, SimpleNamespace(total=Counter)), Audit(home / "data"),
        cast(Register, SimpleNamespace(all=lambda: requests)), dict, lambda: ledger,
    )  # fmt: skip
    return {part.name: part.rows for part in found}


@pytest.mark.parametrize("language", LANGUAGES)
def test_requests(tmp_path: Path, language: str) -> None:
    late = ["past the legal limit by 3 days", "past the promise by 1 day", "not acknowledged by 2 days", ""]
    asked = [Request(number, right, late[number % 4]) for number, right in enumerate(Right)]
    _, *rows = parts(tmp_path, asked, {})["requests"](load(language))
    assert len(rows) == len(Right) and all("⚠" in row[3] for row in rows if "(" in row[3])
    assert [row[3].partition("(")[2][:1] for row in rows][:3] == ["3", "1", "2"] and "(" not in rows[3][3]
    if language == "nl":
        assert [text.replace("\u00a0", " ") for text in rows[0]] == [
            "0: inzage",
            "1 nov 2026",
            "15 nov 2026",
            "⚠ wettelijke termijn voorbij (3 d)",
        ]


def test_the_ledgers_seal(tmp_path: Path) -> None:
    state = {"faults": [], "records": 1234, "last_seal": "2026-11-28T20:00:00+00:00", "stored": 7, "store_error": ""}
    _, *rows = parts(tmp_path, [], state)["ledger"](load("de"))
    assert [row[1].replace("\u00a0", " ") for row in rows] == [
        "unverändert, 1.234 Einträge",
        "28. Nov. 2026 20:00",
        "7",
    ]
    fault = asdict(Fault("2026-11.jsonl, line 3", "2026-11-28", "was changed"))
    broken = state | {"faults": [fault], "last_seal": ""}
    _, *rows = parts(tmp_path, [], broken)["ledger"](load("en"))
    assert [row[1] for row in rows[:2]] == ["does not match: 2026-11.jsonl, line 3: was changed", "not sealed yet"]
