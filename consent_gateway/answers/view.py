"""What a page of the dashboard shows: a question, and how it is looked at. All of it stands in the URL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from html import escape
from urllib.parse import urlencode

from ..access.people import Role
from ..access.sessions import Person
from .dimensions import find
from .language import LANGUAGES, Words
from .question import Filter, Question
from .reports import ALL, GROUPS, REPORTS

PRIVACY = "privacy"
TABS = ("overview", *GROUPS, PRIVACY)
OWN_NAMES = ("tab", "report", "figure", "language")  # of the query string: ours, not the question's
CHARTED = REPORTS["overview"].figures
PERIODS = (("today", 1), ("week", 7), ("month", 30), ("quarter", 90), ("year", 365))
_FINE_DAYS, _DAYS, _WEEKS = 2, 120, 800  # up to so many days a time line is by hour, by day, by week


@dataclass(frozen=True, slots=True)
class View:
    """`report` is the one report that is shown whole, else its tab's boxes are. `asked` says what the URL named of the
    interval and the language, which links keep."""

    question: Question
    words: Words
    person: Person
    prefix: str
    tab: str = TABS[0]
    report: str = ""
    figure: str = CHARTED[0]
    interval_asked: bool = False
    language_asked: bool = False

    @property
    def tabs(self) -> tuple[str, ...]:
        """Those that this person may see."""
        return TABS if self.person.role is Role.OWNER else TABS[:-1]

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.question.now / 1000, self.question.zone).date()

    def path(self, *, anchor: str = "") -> str:
        """The address of this view, with no more in it than it needs."""
        asked = replace(self.question, filters=_fitting(self.question, self.report))
        pairs = [pair for pair in asked.query() if pair[0] != "interval" or self.interval_asked]
        pairs += [("tab", self.tab)] if self.tab != TABS[0] and not self.report else []
        pairs += [("report", self.report)] if self.report else []
        pairs += [("figure", self.figure)] if self.figure != CHARTED[0] else []
        pairs += [("language", self.words.language)] if self.language_asked else []
        return f"{self.prefix}/dashboard?{urlencode(pairs)}{anchor}"

    def href(self) -> str:
        return escape(self.path())

    def at(self, **changes: object) -> View:
        return replace(self, **changes)  # type: ignore[arg-type]

    def asking(self, **changes: object) -> View:
        """The same view of another question; its interval follows the days unless the URL names one."""
        question = replace(self.question, **changes)  # type: ignore[arg-type]
        if not self.interval_asked and "interval" not in changes:
            question = replace(question, interval=interval_for(question.days))
        return replace(self, question=question)

    def days(self, first: date, last: date) -> View:
        return self.asking(first=first, last=last)

    def filtered(self, dimension: str, value: str) -> View:
        """Clicked: only those with this value."""
        one = Filter(dimension, "=", value)
        return self.asking(filters=tuple(dict.fromkeys([*self.question.filters, one])))

    def without(self, number: int) -> View:
        kept = [one for place, one in enumerate(self.question.filters) if place != number]
        return self.asking(filters=tuple(kept))

    def download(self, report: str, form: str) -> str:
        pairs = [*self.question.query(), ("format", form)]
        pairs = [pair for pair in pairs if pair[0] != "limit"] + [("limit", "10000")]
        return escape(f"{self.prefix}/stats/{report}?{urlencode(pairs)}")


def look(pairs: list[tuple[str, str]], question: Question, words: Words, person: Person, prefix: str) -> View:
    """The view that a query string names. What it names wrongly is as if it wasn't named: a link may be old."""
    named = dict(pairs)
    report = named.get("report", "")
    report = report if report in ALL else ""
    tab = named.get("tab", "")
    view = View(
        replace(question, filters=_fitting(question, report)),
        words,
        person,
        prefix,
        tab=ALL[report].group if report else tab if tab in TABS else TABS[0],
        report=report,
        figure=named.get("figure", "") if named.get("figure") in CHARTED else CHARTED[0],
        interval_asked=bool(named.get("interval")),
        language_asked=named.get("language") in LANGUAGES,
    )
    return view.asking()


def _fitting(question: Question, report: str) -> tuple[Filter, ...]:
    """Without those that are about another report's own rows: where its keys are not, they say nothing."""
    keys = {key.dimension for key in ALL[report].keys} if report else set()
    return tuple(one for one in question.filters if not is_of_rows(one.dimension) or one.dimension in keys)


def is_of_rows(dimension: str) -> bool:
    """Does a filter on it choose rows of one report, and no visitors, events or visits?"""
    found = find(dimension)
    return found is not None and found.level == "key"


def interval_for(days: int) -> str:
    """The interval that suits so many days."""
    if days <= _FINE_DAYS:
        return "hour"
    return "day" if days <= _DAYS else "week" if days <= _WEEKS else "month"
