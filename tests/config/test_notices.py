"""The notices: exact bytes by their hash, every language with the same things said, kept for ever."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.config.notices import FALLBACK, Notices, duration, words
from consent_gateway.config.policy import LANGUAGES
from consent_gateway.config.policy_file import load, parse
from consent_gateway.rule.columns import COLUMNS

NOW = 1_790_000_000_000  # September 2026
NOTICES = Notices(load(None), None, lambda: NOW)

TWO_VERSIONS = """
[[versions]]
version = "1"
announced = 2026-01-01
effective = 2026-01-01
[[versions]]
version = "2"
announced = 2026-10-01
effective = 2026-11-01
[versions.changes]
nl = "Kleiner"
fr = "Plus petit"
de = "Kleiner"
en = "Smaller"
"""


def keys(value: Any) -> Any:
    """The shape of a notice: its keys without its words."""
    if isinstance(value, list):
        return [keys(inner) for inner in value]
    return {key: keys(inner) for key, inner in value.items()} if isinstance(value, dict) else type(value).__name__


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_is_the_bytes_of_its_hash(language: str) -> None:
    found, digest = NOTICES.choose([language])
    text = NOTICES.text(digest)
    assert found == language and text is not None and sha256(text).hexdigest() == digest
    assert json.loads(text) == NOTICES.document(language)
    assert NOTICES.language(digest) == language


def test_all_languages_say_the_same_things_each_in_its_own_words() -> None:
    shapes = {json.dumps(keys(NOTICES.document(language)), sort_keys=True) for language in LANGUAGES}
    assert len(shapes) == 1
    assert len({NOTICES.document(language)["text"] for language in LANGUAGES}) == len(LANGUAGES)
    for kind in ("notice", "banner"):
        assert len({json.dumps(keys(words(kind, language)), sort_keys=True) for language in LANGUAGES}) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_purpose_says_its_basis_its_data_and_for_how_long(language: str) -> None:
    policy = load(None)
    for told in NOTICES.document(language)["purposes"]:
        purpose = policy.purpose(told["id"])
        assert told["basis"] == purpose.basis and told["asked"] == (told["id"] in policy.asked)
        groups = {column.group for column in COLUMNS if column.purpose == purpose.id}
        assert len(told["data"]) >= len(groups) > 0
        assert told["retention"] == duration(purpose.retention_days, language)
    assert any("30" in entry for entry in NOTICES.document(language)["purposes"][1]["data"]), "the address's own days"


@pytest.mark.parametrize("language", LANGUAGES)
def test_how_long_a_choice_is_kept_comes_from_the_policy(language: str) -> None:
    policy = parse("consent_months = 4\nledger_days = 1096\n")
    told = Notices(policy, None, lambda: NOW).document(language)["purposes"][2]
    own, later = told["cookies"]
    assert (own["name"], later["name"]) == ("__Host-cg", "cg-later") and own["duration"].startswith("4 ")
    assert later["duration"] == words("notice", language)["session"]
    assert duration(1096, language) in told["data"][-1], "the record of a choice outlives the rows"


def test_what_the_script_sends_is_told_where_it_is_asked_for() -> None:
    say = words("notice", "en")["data"]
    for preset, where in (("default", 0), ("belgium-strict", 1)):
        told = Notices(parse(f'preset = "{preset}"'), None, lambda: NOW).document("en")["purposes"]
        assert [say["engagement"] in purpose["data"] for purpose in told] == [where == 0, where == 1, False]


def test_every_group_of_the_register_has_a_word_in_every_language() -> None:
    for language in LANGUAGES:
        assert {column.group for column in COLUMNS} <= words("notice", language)["data"].keys()


@pytest.mark.parametrize(
    ("days", "told"), [(1, "1 day"), (30, "30 days"), (59, "59 days"), (184, "6 months"), (393, "13 months")]
)
def test_a_time_reads_like_one(days: int, told: str) -> None:
    assert duration(days, "en") == told


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (["nl"], "nl"),
        (["nl-BE"], "nl"),
        (["NL-be;q=0.9"], "nl"),
        ([" de ", "nl"], "de"),
        (["xx", "fr", "en"], "fr"),
        (["xx"], FALLBACK),
        ([""], FALLBACK),
        ([], FALLBACK),
        (["../../etc"], FALLBACK),
    ],
)
def test_the_first_language_that_we_have(wanted: list[str], language: str) -> None:
    assert NOTICES.choose(wanted)[0] == language


@pytest.mark.parametrize("digest", ["", "en", "../en.json", "0" * 64, "E" * 64])
def test_what_is_no_hash_has_no_text(digest: str, tmp_path: Path) -> None:
    assert NOTICES.text(digest) is None
    assert Notices(load(None), tmp_path, lambda: NOW).text(digest) is None


def test_a_notice_is_kept_for_ever(tmp_path: Path) -> None:
    old = Notices(load(None), tmp_path, lambda: NOW)
    _, digest = old.choose(["nl"])
    text = old.text(digest)
    new = Notices(parse(TWO_VERSIONS + "[controller]\nname = 'A shop'\n"), tmp_path, lambda: NOW)
    assert new.choose(["nl"])[1] != digest
    assert new.text(digest) == text and new.language(digest) == "nl"
    path = tmp_path / "notices" / f"{digest}.json"
    assert path.read_bytes() == text and path.stat().st_mode & 0o077 == 0


def test_a_kept_notice_that_was_changed_is_none(tmp_path: Path) -> None:
    _, digest = Notices(load(None), tmp_path, lambda: NOW).choose(["nl"])
    path = tmp_path / "notices" / f"{digest}.json"
    path.write_bytes(path.read_bytes().replace(b"U kunt", b"U mag "))
    other = Notices(parse("[controller]\nname = 'A shop'\n"), tmp_path, lambda: NOW)
    assert other.text(digest) is None


def test_a_folder_that_refuses_keeps_no_site_from_starting(tmp_path: Path) -> None:
    (tmp_path / "notices").write_text("a file where the folder should be")
    notices = Notices(load(None), tmp_path, lambda: NOW)
    _, digest = notices.choose(["nl"])
    assert notices.text(digest)
    os.unlink(tmp_path / "notices")
    notices.keep()
    assert (tmp_path / "notices" / f"{digest}.json").exists()


def test_a_version_takes_effect_while_the_site_runs(tmp_path: Path) -> None:
    moments = [NOW]
    notices = Notices(parse(TWO_VERSIONS), tmp_path, lambda: moments[-1])
    _, before = notices.choose(["en"])
    moments.append(NOW + 60 * 86_400_000)
    _, after = notices.choose(["en"])
    assert before != after and notices.document("en")["changes"] == "Smaller"
    assert notices.text(before) and notices.version == "2"
