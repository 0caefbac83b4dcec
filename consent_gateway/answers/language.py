"""The words of the owners' pages in nl, fr, de and en, and how each language writes numbers, times and days.

`words/<language>.json` holds the interface by key, and what the registers of reports and figures say by its English
text; what is not translated is shown in English.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("nl", "fr", "de", "en")

_FOLDER = Path(__file__).parent / "words"
_NARROW, _HARD = "\u202f", "\u00a0"  # spaces that no line breaks at
_THOUSANDS = {"nl": ".", "fr": _NARROW, "de": ".", "en": ","}
_NO_VALUE = "–"


@dataclass(frozen=True, slots=True)
class Words:
    """One language. `words["key"]` is the interface's, `words.of(text)` what a register says."""

    language: str
    interface: Mapping[str, str]
    register: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        return self.interface[key]

    def say(self, key: str, **values: object) -> str:
        return self.interface[key].format(**values)

    def of(self, text: str) -> str:
        return self.register.get(text, text)

    def value(self, value: Any, kind: str) -> str:
        """A figure or key as people read it; `kind` is that of the register."""
        if value is None:
            return _NO_VALUE
        match kind:
            case "count":
                return self.count(int(value))
            case "ratio":
                return self.decimal(float(value), 2)
            case "percent":
                return f"{self.decimal(100 * float(value), 1)}{'' if self.language in ('en', 'nl') else _HARD}%"
            case "duration":
                return self.duration(float(value))
            case "time":
                return self.moment(str(value))
        return str(value)

    def count(self, value: int) -> str:
        return f"{value:,}".replace(",", _THOUSANDS[self.language])

    def decimal(self, value: float, digits: int) -> str:
        text = f"{value:,.{digits}f}"
        if self.language == "en":
            return text
        return text.replace(",", "\0").replace(".", ",").replace("\0", _THOUSANDS[self.language])

    def duration(self, ms: float) -> str:
        if ms < 1000:
            return f"{self.decimal(ms, 0 if ms >= 10 or ms == int(ms) else 1)}{_HARD}ms"
        if ms < 60_000:
            return f"{self.decimal(ms / 1000, 1)}{_HARD}s"
        minutes, seconds = divmod(round(ms / 1000), 60)
        if minutes < 60:
            return f"{minutes}{_HARD}min{_HARD}{seconds:02}{_HARD}s"
        hours, minutes = divmod(minutes, 60)
        return f"{self.count(hours)}{_HARD}h{_HARD}{minutes:02}{_HARD}min"

    def day(self, day: date, *, year: bool = True) -> str:
        """`27 Nov 2026`."""
        month = self["months"].split()[day.month - 1]
        dot = "." if self.language == "de" else ""
        return f"{day.day}{dot}{_HARD}{month}" + (f"{_HARD}{day.year}" if year else "")

    def moment(self, text: str, *, year: bool = True) -> str:
        """A moment of a time line (`2026-11-27` or `2026-11-27 13:00`); what is none stays as it is."""
        try:
            day = self.day(date.fromisoformat(text[:10]), year=year)
        except ValueError:
            return text
        clock = text[11:16]
        return f"{day} {clock}" if clock else day

    def days(self, first: date, last: date) -> str:
        """`29 Oct – 27 Nov 2026`."""
        if first == last:
            return self.day(first)
        return f"{self.day(first, year=first.year != last.year)} – {self.day(last)}"


@cache
def load(language: str) -> Words:
    """The words of one of `LANGUAGES`."""
    found = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return Words(language, found["interface"], found.get("register", {}))


def choose(wanted: str, accepted: str = "") -> Words:
    """The language that was asked for, else the first of `Accept-Language` that there is, else English."""
    for one in (wanted, *(part.partition(";")[0].strip() for part in accepted.split(","))):
        if one[:2].lower() in LANGUAGES:
            return load(one[:2].lower())
    return load("en")
