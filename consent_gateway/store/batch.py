"""A segment as the batch that the store gets: its whole lines, and the little that sealing and sending must know of
them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..record.books import Key
from ..record.spool import read_lines

NOWHERE = "-"  # under which site the books keep a line that no longer says its own
_SITE = re.compile(rb'\{"batch":"[^"]*","site":"([^"\\]+)"')


class Head(msgspec.Struct):
    """What is read of a row; the rest of it passes unseen."""

    site: str
    at: str
    person: int = 0


_head = msgspec.json.Decoder(Head).decode


@dataclass(frozen=True, slots=True)
class Batch:
    """`broken` are lines that are not as they were written, or are not of this segment."""

    name: str
    whole: list[bytes]
    heads: list[Head]
    broken: list[bytes]

    def persons(self) -> set[int]:
        return {head.person for head in self.heads if head.person}

    def sites(self, term: str) -> Counter[Key]:
        """The whole lines, for the books."""
        return Counter((head.site, term) for head in self.heads)

    def broken_sites(self, term: str) -> Counter[Key]:
        """The broken lines, as far as they tell. What was cut off is in no line, so it is in no count either."""
        found = (_SITE.match(text) for text in self.broken)
        return Counter((match[1].decode(errors="replace") if match else NOWHERE, term) for match in found)


def read(path: Path) -> Batch:
    """Read a segment and check each line: its sum, its batch (a renamed copy's is another), its form."""
    whole, broken = read_lines(path)
    start = b'{"batch":"%b",' % path.name.encode()
    good: list[bytes] = []
    heads: list[Head] = []
    for text in whole:
        try:
            if not text.startswith(start):
                raise ValueError
            heads.append(_head(text))
            good.append(text)
        except ValueError:
            broken.append(text)
    return Batch(path.name, good, heads, broken)
