"""The little HTML that our pages are made of. All text is escaped here; what is `Html` already is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path

from ..config.policy import LANGUAGES

STYLE_PATH = "/page.css"
POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; img-src 'self'"
)
_STYLE = Path(__file__).parent.parent / "static" / "page" / "page.css"
_NAMES = {"nl": "Nederlands", "fr": "Français", "de": "Deutsch", "en": "English"}
_DATES = {"nl": "%d/%m/%Y", "fr": "%d/%m/%Y", "de": "%d.%m.%Y", "en": "%d %B %Y"}


class Html(str):
    """Text that is markup already."""


def text(value: object) -> Html:
    """Any value as text, escaped."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other; what is not HTML is escaped."""
    return Html("".join(text(part) for part in parts))


def tag(element: str, /, *inside: object, **attributes: object) -> Html:
    """An element. `class_` and `for_` are `class` and `for`; an attribute that is `None` or `False` is left out, one
    that is `True` has no value."""
    shown = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        shown += f" {key.rstrip('_').replace('_', '-')}"
        shown += "" if value is True else f'="{escape(str(value))}"'
    return Html(f"<{element}{shown}>{join(inside)}</{element}>")


def hidden(**values: str) -> Html:
    """Hidden fields of a form, by name."""
    return Html(
        "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in values.items())
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> Html:
    """A table whose rows are cards on a narrow screen; the roles keep it a table there too."""
    head = tag("tr", *(tag("th", name, scope="col", role="columnheader") for name in heads), role="row")
    body = []
    for first, *others in rows:
        cells = [tag("td", cell, role="cell", data_of=name) for name, cell in zip(heads[1:], others, strict=True)]
        body.append(tag("tr", tag("th", first, scope="row", role="rowheader"), *cells, role="row"))
    return tag(
        "table",
        tag("caption", caption) if caption else "",
        tag("thead", head, role="rowgroup"),
        tag("tbody", *body, role="rowgroup"),
        role="table",
    )


def day(value: date | str, language: str) -> str:
    """A day as people write it."""
    return f"{date.fromisoformat(value[:10]) if isinstance(value, str) else value:{_DATES[language]}}"


def document(language: str, title: str, base: str, *inside: object) -> str:
    """A whole page. `base` is where the gateway's routes hang."""
    head = join(
        (
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            Html('<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">'),
            tag("title", title),
            Html(f'<link rel="stylesheet" href="{escape(base)}{STYLE_PATH}?{style()[1][:8]}">'),
        )
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', *inside), lang=language)}\n"


def languages(current: str, label: str, path: str) -> Html:
    """The same page in each language."""
    links = (
        tag(
            "li",
            tag(
                "a", _NAMES[one], href=f"{path}?language={one}", lang=one, hreflang=one,
                aria_current="true" if one == current else None,
            ),
        )
        for one in LANGUAGES
    )  # fmt: skip
    return tag("nav", tag("ul", *links, class_="languages"), aria_label=label)


@cache
def style() -> tuple[bytes, str]:
    """The style sheet and its SHA-256."""
    data = _STYLE.read_bytes()
    return data, sha256(data).hexdigest()
