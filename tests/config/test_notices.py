"""The notices: exact bytes by their hash, every language with the same things said."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.config import notices as module
from consent_gateway.config.notices import Notices
from consent_gateway.rule.purposes import ACCOUNTABILITY, BUILT_IN

FOLDER = Path(module.__file__).parent
FILES = sorted(FOLDER.glob("*.json"))
NOTICES = Notices()


def keys(value: Any) -> Any:
    """The shape of a notice: its keys without its words."""
    return {key: keys(inner) for key, inner in value.items()} if isinstance(value, dict) else type(value).__name__


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notice_is_the_bytes_of_its_hash(path: Path) -> None:
    data = path.read_bytes()
    language, digest = NOTICES.choose([path.stem])
    assert (language, digest) == (path.stem, sha256(data).hexdigest())
    assert NOTICES.text(digest) == data


def test_all_languages_say_the_same_things() -> None:
    assert {path.stem for path in FILES} >= {"en", "nl"}
    texts = {path.stem: json.loads(path.read_bytes()) for path in FILES}
    assert len({json.dumps(keys(text), sort_keys=True) for text in texts.values()}) == 1
    for language, text in texts.items():
        assert text["language"] == language and text["version"] == NOTICES.version
        assert all(word.strip() for word in words(text))
    assert len({text["text"] for text in texts.values()}) == len(texts)  # each in its own words


def words(value: Any) -> list[str]:
    return [word for inner in value.values() for word in words(inner)] if isinstance(value, dict) else [value]


def test_every_purpose_that_concerns_the_visitor_is_named_with_its_basis() -> None:
    named = {purpose.name: purpose.basis.value for purpose in BUILT_IN if purpose.name != ACCOUNTABILITY}
    for path in FILES:
        purposes = json.loads(path.read_bytes())["purposes"]
        assert {name: about["basis"] for name, about in purposes.items()} == named


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (["nl"], "nl"),
        (["nl-BE"], "nl"),
        (["NL-be;q=0.9"], "nl"),
        ([" en ", "nl"], "en"),
        (["xx", "nl", "en"], "nl"),
        (["xx"], "en"),
        ([""], "en"),
        ([], "en"),
        (["../../etc"], "en"),
    ],
)
def test_the_first_language_that_we_have(wanted: list[str], language: str) -> None:
    assert NOTICES.choose(wanted)[0] == language


@pytest.mark.parametrize("digest", ["", "en", "../en.json", "0" * 64, "E" * 64])
def test_what_is_no_hash_has_no_text(digest: str) -> None:
    assert NOTICES.text(digest) is None


def test_a_changed_comma_is_another_notice(tmp_path: Path) -> None:
    for path in FILES:
        (tmp_path / path.name).write_bytes(path.read_bytes() + b"\n")
    other = Notices(tmp_path)
    assert {other.choose([path.stem])[1] for path in FILES} & {
        NOTICES.choose([path.stem])[1] for path in FILES
    } == set()
