"""Filters under a name: kept, used, replaced, forgotten, and refused when they are none."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from consent_gateway.answers import saved
from consent_gateway.answers.question import Filter, Question
from consent_gateway.rule.errors import ConfigError


def test_a_saved_filter_is_asked_for_by_its_name(tmp_path: Path) -> None:
    saved.save(tmp_path, "belgian-readers", ["country=BE", "path^/blog"])
    saved.save(tmp_path, "other", ["prop.plan!~a"])
    asked = Question.parse(
        [("filter", "@belgian-readers"), ("filter", "country=BE")], sites=frozenset(["shop"]), zone=ZoneInfo("UTC"),
        today=date(2026, 11, 1), saved=saved.load(tmp_path),
    )  # fmt: skip
    assert asked.filters == (Filter("country", "=", "BE"), Filter("path", "^", "/blog"))
    saved.save(tmp_path, "other", [])
    assert list(saved.load(tmp_path)) == ["belgian-readers"]
    assert [path.name for path in tmp_path.iterdir()] == ["filters.json"]


def test_what_is_no_filter_is_not_saved(tmp_path: Path) -> None:
    for name, texts in (("A B", ["country=BE"]), ("a", ["colour=red"]), ("a", ["path"]), ("a", ["path=/"] * 21)):
        with pytest.raises(ConfigError):
            saved.save(tmp_path, name, texts)
    assert saved.load(tmp_path) == {}
    for text in ("[]", "{", '{"a": ["x"]}', '{"a": 1}'):
        (tmp_path / "filters.json").write_text(text)
        with pytest.raises(ConfigError):
            saved.load(tmp_path)
