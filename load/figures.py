"""What is done with measured figures: medians and quartiles, tables on the screen and in Markdown, a chart.

Every figure is kept in one JSON file beside the report, each command replacing its own part, so that the text can be
made anew and the calculation on paper always follows from what was measured last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

Row = Sequence[str]


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and the quartiles around it."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high)

    def text(self, places: int = 2, sign: str = "") -> str:
        return f"{self.middle:{sign}.{places}f} ({self.low:.{places}f} to {self.high:.{places}f})"


def thousands(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\u202f")


def show(console: Console, title: str, head: Row, rows: Sequence[Row]) -> None:
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(head):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def markdown(head: Row, rows: Sequence[Row]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def kept_beside(report: Path) -> Path:
    return report.with_suffix(".json")


def load(report: Path) -> dict[str, Any]:
    path = kept_beside(report)
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def save(report: Path, figures: dict[str, Any]) -> None:
    kept_beside(report).write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


def replace_part(report: Path, name: str, text: str) -> None:
    """Put `text` between the two markers of that name in a Markdown file. `KeyError` when they aren't there."""
    begin, end = f"<!-- begin {name}", f"<!-- end {name} -->"
    whole = report.read_text()
    pattern = re.compile(f"({re.escape(begin)}[^\n]*-->\n).*?({re.escape(end)})", re.DOTALL)
    if not pattern.search(whole):
        raise KeyError(f"{report.name} has no part {name!r}: it stands between '{begin} … -->' and '{end}'")
    report.write_text(pattern.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", whole))


@dataclass(frozen=True)
class Bar:
    words: str
    spread: Spread
    is_ours: bool


_WIDTH, _LEFT, _RIGHT, _STEP, _TOP = 860, 330, 90, 34, 64


def chart(title: str, note: str, bars: Sequence[Bar], unit: str) -> str:
    """Horizontal bars with their quartiles, as SVG that reads on light and on dark."""
    most = max(bar.spread.high for bar in bars) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    height = _TOP + _STEP * len(bars) + 14
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title, quote=True)}" font-family="system-ui, sans-serif" font-size="14">',
        "<style>text{fill:#1f2933}.note{fill:#52606d;font-size:12px}.ours{fill:#0b7285}.other{fill:#9aa5b1}"
        ".spread{stroke:#1f2933;stroke-width:1.5}.back{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#e4e7eb}"
        ".note{fill:#9aa5b1}.ours{fill:#3bc9db}.other{fill:#616e7c}.spread{stroke:#e4e7eb}.back{fill:#121820}}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{height}" rx="6"/>',
        f'<text x="16" y="26" font-weight="600">{escape(title)}</text>',
        f'<text x="16" y="46" class="note">{escape(note)}</text>',
    ]
    for index, bar in enumerate(bars):
        y = _TOP + index * _STEP
        end = _LEFT + bar.spread.middle * scale
        low, high = _LEFT + bar.spread.low * scale, _LEFT + bar.spread.high * scale
        middle = y + 11
        parts += [
            f'<text x="{_LEFT - 12}" y="{y + 16}" text-anchor="end">{escape(bar.words)}</text>',
            f'<rect class="{"ours" if bar.is_ours else "other"}" x="{_LEFT}" y="{y}" '
            f'width="{max(1.0, end - _LEFT):.1f}" height="22" rx="2"/>',
            f'<path class="spread" fill="none" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8'
            f'M{high:.1f} {middle - 4}v8"/>',
            f'<text x="{max(end, high) + 8:.1f}" y="{y + 16}">{bar.spread.middle:.2f}{escape(unit)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
