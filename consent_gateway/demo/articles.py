"""What the demo site publishes. The text of an article is the template `articles/<slug>.html`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Article:
    slug: str
    title: str
    summary: str
    published: date
    minutes: int
    picture: str  # a drawing's name in `_drawings.html`


ARTICLES = (
    Article(
        "a-chain-that-lasts-the-winter",
        "A chain that lasts the winter",
        "Salt, grit and six weeks of rain. Ten minutes a week keeps a drivetrain alive until spring.",
        date(2026, 10, 29),
        3,
        "chain",
    ),
    Article(
        "looking-after-an-e-bike-battery",
        "Looking after an e-bike battery",
        "It is the dearest part of the bike and the easiest to treat well. Four habits, and one myth.",
        date(2026, 10, 8),
        3,
        "battery",
    ),
    Article(
        "one-year-with-a-cargo-bike",
        "One year with a cargo bike, in numbers",
        "Two children, one allotment, no second car. A customer kept the books, and let us print them.",
        date(2026, 9, 17),
        4,
        "cargo",
    ),
    Article(
        "along-the-leie-and-back",
        "Along the Leie and back: 38 quiet kilometres",
        "Our Saturday ride: flat, mostly without cars, with coffee at the turning point.",
        date(2026, 8, 20),
        3,
        "map",
    ),
    Article(
        "tyre-pressure-softer-than-you-think",
        "Tyre pressure: softer than you think",
        "The number on the side of the tyre is a limit, not advice. How to find yours in one ride.",
        date(2026, 6, 25),
        3,
        "gauge",
    ),
    Article(
        "the-lock-you-will-actually-use",
        "The lock you will actually use",
        "The best lock is the one that is on the bike when you stop for two minutes. What we sell, and to whom.",
        date(2026, 5, 14),
        3,
        "lock",
    ),
)
BY_SLUG = {article.slug: article for article in ARTICLES}
