"""A figure over time as SVG: axes from zero, steps that people count in, and the same as a table below it.

Nothing in it is styled inline. Places are percentages, so the text keeps its size at every width; only the line itself
is stretched. The axis is a picture of its own beside it, so that no line crosses its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .language import Words

_HEIGHT = 224  # of the plot, in pixels; the labels below have _FOOT more
_FOOT = 24
_MOST_LABELS = 7
_MINUTE = 60_000

Values = Sequence[float | None]


def top(most: float, kind: str) -> tuple[float, int]:
    """Where the axis ends, and in how many equal steps: one, two, two and a half or five of a power of ten; of
    durations what a clock counts in. Never below the largest value."""
    if most <= 0:
        return (60_000.0, 2) if kind == "duration" else (1.0, 2) if kind == "percent" else (4.0, 4)
    if kind == "percent":
        most = min(most, 1.0)
    unit, nice = 1.0, [1.0, 2.0, 2.5, 5.0, 10.0]
    if kind == "duration" and most >= _MINUTE:
        unit, nice = float(_MINUTE), [0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0]
    rough = most / unit / 4
    power = 1.0 if unit > 1 and rough <= 60 else 10.0 ** math.floor(math.log10(rough))
    step = next((one * power for one in nice if one * power >= rough * (1 - 1e-9)), 10 * power) * unit
    if kind == "count":
        step = max(1.0, math.ceil(step))
    steps = max(1, math.ceil(most / step - 1e-9))
    return step * steps, steps


def timeline(
    words: Words, label: str, kind: str, moments: Sequence[str], values: Values, before: Values | None, unfinished: bool
) -> str:
    """`values` belong to the `moments`; `before` are those compared with, by place. `unfinished`: the last moment goes
    on."""
    known = [value for value in [*values, *(before or [])] if value is not None]
    end, steps = top(max(known, default=0.0), kind)
    count = len(moments)
    heights = [8 + _HEIGHT * (1 - number / steps) for number in range(steps + 1)]
    ticks = [_tick(words, end * number / steps, kind) for number in range(steps + 1)]
    grid = [f'<line x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>' for y in heights]
    axis = "".join(
        f'<text x="0" y="{y + 4:.1f}" class="tick">{escape(text)}</text>'
        for y, text in zip(heights, ticks, strict=True)
    )
    wide = 7 * max(map(len, ticks)) + 10
    line = _lines(values, end, "line", area=True)
    was = _lines(before, end, "before", area=False) if before else ""
    dots = "".join(
        f'<circle cx="{100 * (place + 0.5) / count:.3f}%" cy="{_y(value, end):.1f}" r="3" class="dot"/>'
        for place, value in enumerate(values)
        if value is not None and (count == 1 or _is_alone(values, place))
    )
    hits = "".join(
        f'<g class="hit"><title>{escape(_point(words, label, kind, moments, values, before, place))}</title>'
        f'<rect x="{100 * place / count:.3f}%" width="{100 / count:.3f}%" y="8" height="{_HEIGHT}"/>'
        + (
            f'<circle cx="{100 * (place + 0.5) / count:.3f}%" cy="{_y(value, end):.1f}" r="4"/>'
            if value is not None
            else ""
        )
        + "</g>"
        for place, value in enumerate(values)
    )
    summary = _summary(words, label, kind, moments, values)
    more = f" {words['unfinished']}" if unfinished else ""
    tall = _HEIGHT + 8 + _FOOT
    return f"""<figure class="timeline"><div class="plot">
<svg class="axis" width="{wide}" height="{tall}" aria-hidden="true">{axis}</svg>
<svg class="lines" height="{tall}" role="img" aria-label="{escape(summary)}">
{"".join(grid)}
<svg x="0" y="8" width="100%" height="{_HEIGHT}" viewBox="0 0 {count} 100" preserveAspectRatio="none">{was}{line}</svg>
{dots}{_labels(words, moments)}{hits}
</svg></div>
<details><summary>{escape(words["as_table"])}</summary>{_table(words, label, kind, moments, values, before)}</details>
<figcaption>{escape(summary)}{escape(more)}</figcaption>
</figure>"""


def spark(words: Words, label: str, kind: str, moments: Sequence[str], values: Values) -> str:
    """The same, small, in a row of a table: from zero, a share up to all."""
    end = 1.0 if kind == "percent" else max([value for value in values if value is not None], default=0.0) or 1.0
    summary = escape(_summary(words, label, kind, moments, values))
    lines = _lines(values, end, "line", area=True)
    return (
        f'<svg class="spark" role="img" aria-label="{summary}" viewBox="0 0 {len(moments)} 100" '
        f'preserveAspectRatio="none"><title>{summary}</title>{lines}</svg>'
    )


def _tick(words: Words, value: float, kind: str) -> str:
    """A value at the axis: a share without decimals that say nothing, and nothing without a unit."""
    if not value and kind == "duration":
        return "0"
    if kind == "percent" and round(100 * value, 6).is_integer():
        return words.value(value, kind).replace(f"{words.decimal(0.1, 1)[1]}0", "")
    return words.value(value, kind)


def _y(value: float, end: float) -> float:
    return 8 + _HEIGHT * (1 - value / end)


def _is_alone(values: Values, place: int) -> bool:
    """A point between gaps, which no line would show."""
    return all(values[at] is None for at in (place - 1, place + 1) if 0 <= at < len(values))


def _lines(values: Values, end: float, name: str, *, area: bool) -> str:
    """A line that is broken where there is no value."""
    found: list[str] = []
    run: list[tuple[float, float]] = []
    for place, value in enumerate([*values, None]):
        if value is not None:
            run.append((place + 0.5, 100 * (1 - value / end)))
            continue
        if run:
            path = " ".join(f"{'L' if number else 'M'}{x} {y:.3f}" for number, (x, y) in enumerate(run))
            if area:
                found.append(f'<path class="area" d="{path} L{run[-1][0]} 100 L{run[0][0]} 100 Z"/>')
            found.append(f'<path class="{name}" d="{path}"/>')
        run = []
    return "".join(found)


def _labels(words: Words, moments: Sequence[str]) -> str:
    """Some moments along the axis, evenly, each where it belongs."""
    count = len(moments)
    every = max(1, math.ceil(count / _MOST_LABELS))
    if "T" in moments[0] and every > 1:
        every = next((hours for hours in (2, 3, 4, 6, 8, 12, 24) if hours >= every), every)
    texts = []
    for number, place in enumerate(range(0, count, every)):
        x = 100 * (place + 0.5) / count
        anchor = "start" if x < 6 else "end" if x > 94 else "middle"
        at = 0.0 if anchor == "start" else 100.0 if anchor == "end" else x
        odd = " odd" if number % 2 else ""
        text = moments[place][11:16] if "T" in moments[0] else words.moment(moments[place], year=False)
        texts.append(f'<text x="{at:.3f}%" y="{_HEIGHT + 26}" class="tick {anchor}{odd}">{escape(text)}</text>')
    return "".join(texts)


def _point(
    words: Words, label: str, kind: str, moments: Sequence[str], values: Values, before: Values | None, place: int
) -> str:
    text = f"{words.moment(moments[place].replace('T', ' '))}: {words.value(values[place], kind)} {label}"
    if before and place < len(before):
        text += f" ({words['before']}: {words.value(before[place], kind)})"
    return text


def _summary(words: Words, label: str, kind: str, moments: Sequence[str], values: Values) -> str:
    """The text alternative: what the line says at a glance."""
    known = [(value, place) for place, value in enumerate(values) if value is not None]
    if not known or not any(value for value, _ in known):
        return words.say("chart_nothing", figure=label)
    most, place = max(known, key=lambda pair: (pair[0], -pair[1]))
    return words.say(
        "chart_summary", figure=label, most=words.value(most, kind), at=words.moment(moments[place].replace("T", " "))
    )


def _table(words: Words, label: str, kind: str, moments: Sequence[str], values: Values, before: Values | None) -> str:
    was = f'<th scope="col">{escape(words["before"])}</th>' if before else ""
    rows = "".join(
        f'<tr><th scope="row">{escape(words.moment(moment.replace("T", " ")))}</th><td>{words.value(value, kind)}</td>'
        + (f"<td>{words.value(before[place] if place < len(before) else None, kind)}</td>" if before else "")
        + "</tr>"
        for place, (moment, value) in enumerate(zip(moments, values, strict=True))
    )
    head = f'<tr><th scope="col">{escape(words["moment"])}</th><th scope="col">{escape(label)}</th>{was}</tr>'
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
