"""The privacy tab, for the data protection officer: what has to be answered by when, what is kept, what became of it.

Each part comes from whoever keeps it; a part that fails says so in its own place, and the others stand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from .language import Words
from .view import View

log = logging.getLogger("consent_gateway.office")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: the key of its title and words, and what makes its rows. The first row is the head."""

    name: str
    rows: Callable[[Words], Sequence[Sequence[str]]]


class PrivacyTab:
    """The parts in order."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)

    def render(self, view: View) -> str:
        found = "".join(_part(view.words, part) for part in self._parts)
        return f'<div class="boxes privacy">{found}</div>'


def _part(words: Words, part: Part) -> str:
    title, about = escape(words[f"privacy_{part.name}"]), escape(words[f"privacy_{part.name}_words"])
    try:
        head, *rows = part.rows(words)
        body = _table(head, rows) if rows else f'<p class="empty">{escape(words["nothing_here"])}</p>'
    except Exception as error:  # whatever fails in one part must not hide the others
        log.warning("the privacy tab could not show %s: %s", part.name, error)
        body = f'<p class="wrong">{escape(words["part_failed"])}</p>'
    return (
        f'<section class="box" aria-labelledby="privacy-{part.name}"><header><h2 id="privacy-{part.name}">{title}</h2>'
        f"<p>{about}</p></header>{body}</section>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    numbers = {place for place in range(1, len(head)) if all(_is_number(row[place]) for row in rows)}
    marks = ['class="number"' if place in numbers else "" for place in range(len(head))]
    first = "".join(f'<th scope="col" {mark}>{escape(text)}</th>' for text, mark in zip(head, marks, strict=True))
    lines = "".join(
        f'<tr><th scope="row" class="key"><span>{escape(row[0])}</span></th>'
        + "".join(f"<td {mark}>{escape(text)}</td>" for text, mark in zip(row[1:], marks[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{first}</tr></thead><tbody>{lines}</tbody></table>"


def _is_number(text: str) -> bool:
    return text[:1].isdecimal() and all(char.isdecimal() or char in ".,\u202f" for char in text)
