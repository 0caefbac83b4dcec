"""The owners' pages say everything in four languages, and call things by their names."""

from __future__ import annotations

import re

import pytest

from consent_gateway.answers.dimensions import DIMENSIONS
from consent_gateway.answers.figures import FIGURES
from consent_gateway.answers.language import LANGUAGES, load
from consent_gateway.answers.names import named
from consent_gateway.answers.reports import ALL
from consent_gateway.cli.stats import _named
from consent_gateway.edge.wire import Timings
from consent_gateway.enrich.referrer import CHANNELS
from consent_gateway.rule.consent import Status
from consent_gateway.rule.event import DropReason


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_whole(language: str) -> None:
    words, english = load(language), load("en")
    assert words.interface.keys() == english.interface.keys()
    for name, text in english.interface.items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", words[name])), name
    told = {text for one in ALL.values() for text in (one.title, one.words, *(key.label for key in one.keys))}
    told |= {text for one in FIGURES.values() for text in (one.label, one.definition, one.basis, one.uncertainty)}
    told |= {one.label for one in DIMENSIONS.values()}
    assert language == "en" or told <= words.register.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_we_named_ourselves_has_a_word(language: str) -> None:
    words = load(language)
    keys: dict[str, list[str]] = {
        "term": [f"dropped.{reason}" for reason in DropReason],
        "timing": list(Timings.model_fields),
        "consent": [str(status) for status in Status],
        "device": ["desktop", "mobile", "tablet", "tv", "console", "other"],
        "channel": list(CHANNELS),
        "figure": ["visitors", "page_views", "engagement", "events", "cities", "persons"],
        "purpose": ["measurement", "analytics"],
    }
    for key, values in keys.items():
        for value in values:
            assert words.interface.get(f"{key}_{value}") or named(words, key, value) != value, (key, value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("country", "BE", ["België", "Belgique", "Belgien", "Belgium"]),
        ("country", "XX", ["XX"] * 4),
        ("country", "", ["niet bekend", "inconnu", "nicht bekannt", "not known"]),
        ("language", "nl-BE", ["Nederlands (België)", "Néerlandais (Belgique)", "Niederländisch (Belgien)",
                               "Dutch (Belgium)"]),
        ("language", "fr", ["Frans", "Français", "Französisch", "French"]),
        ("language", "tlh-AQ-x", ["tlh-AQ-x"] * 4),
        ("weekday", "7", ["zo", "dim", "So", "Sun"]),
        ("path", "search", ["search"] * 4),
        ("event", "direct", ["direct"] * 4),
        ("browser", "other", ["andere", "autre", "andere", "other"]),
    ],
)  # fmt: skip
def test_names(key: str, value: str, said: list[str]) -> None:
    assert [named(load(language), key, value) for language in LANGUAGES] == said


def test_the_terminal_shows_the_code_too() -> None:
    assert (_named("country", "BE"), _named("country", "XX"), _named("language", "de")) == (
        "Belgium (BE)", "XX", "German (de)",
    )  # fmt: skip
    assert _named("country", "") == "not known"
