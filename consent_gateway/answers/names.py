"""What people call a key of a report: a country, a language, a weekday, a kind of device. Files and the API keep codes.

`words/names.json` has the countries (ISO 3166-1) and languages (ISO 639-1) in nl, fr, de and en, from the Unicode CLDR.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from .figures import FIGURES
from .language import Words

# keys whose values are words of ours
_WORDED = ("channel", "device", "figure", "timing", "term", "consent", "notice_language")
_FILE = Path(__file__).parent / "words" / "names.json"


def named(words: Words, key: str, text: str) -> str:
    """A value of a key (or of the dimension of that name) as people say it; what has no name stays as it is."""
    if not text:
        return words["not_known"]
    match key:
        case "country":
            return _names(words.language, "country").get(text.upper(), text)
        case "language":
            return _language(words, text)
        case "purpose":
            return words.interface.get(f"purpose_{text}", text)
        case "figure" if text in FIGURES:
            return words.of(FIGURES[text].label)
        case "weekday" if text in "1234567" and len(text) == 1:
            return words["weekdays"].split()[int(text) - 1]
    known = f"{key}_{text}" if key in _WORDED else "value_other" if text == "other" else ""
    return words.interface.get(known, text)


def _language(words: Words, tag: str) -> str:
    """`nl-BE` as `Dutch (Belgium)`."""
    main, _, rest = tag.partition("-")
    name = _names(words.language, "language").get(main.lower(), "")
    if not name:
        return tag
    place = named(words, "country", rest) if rest else ""
    return f"{name[:1].upper()}{name[1:]}" + (f" ({place})" if place else "")


@cache
def _names(language: str, kind: str) -> dict[str, str]:
    found = json.loads(_FILE.read_text(encoding="utf-8"))
    place = found["languages"].index(language)
    return {code: names[place] for code, names in found[kind].items()}
