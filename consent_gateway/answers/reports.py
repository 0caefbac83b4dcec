"""The register of reports. A report is a file in `queries/` and a row here; CLI, JSON, CSV and page list it at once.

A file of *facts* answers, for each day and key, whole numbers that add up: `day`, `key` (`key2`, …) and the counts that
the report's figures are made from, in this order. It may answer in parts (UNION ALL), as all is added up; and where it
is `closed` it is worked out once for each day that is over. A *whole* file answers the report's columns itself. Both
read the relations `rows` and `visits`, which hold just what the question is about (see `relations`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from .figures import FIGURES, Figure, Kind

_QUERIES = Path(__file__).parent / "queries"

GROUPS = ("time", "pages", "sources", "places", "technology", "events", "behaviour", "consent", "quality")


@dataclass(frozen=True, slots=True)
class Key:
    """A column by which a report is divided. `dimension` is the filter that chooses one of its values."""

    name: str
    label: str
    dimension: str = ""
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Report:
    """One analytics question. `figures` are names of `FIGURES`; `file` is the query's, unless it has the report's name.

    `over_time` has a first key that is a moment of the question's interval; `bots` counts programs only; `live` is
    about the last half hour; `steps` needs so many at least; `single` is all rows as one, without keys. `closed` facts
    stand on columns of measurement only. `ledger` reads the relation `records` instead: the choices on record, which
    know of no visitor.
    """

    name: str
    title: str
    words: str
    group: str
    keys: tuple[Key, ...]
    figures: tuple[str, ...]
    file: str = ""
    order: str = ""
    whole: bool = False
    closed: bool = False
    over_time: bool = False
    bots: bool = False
    live: bool = False
    ledger: bool = False
    steps: int = 0
    single: bool = False

    @property
    def columns(self) -> dict[str, Key | Figure]:
        """What it answers, in order, by name; each has a `label` and a `kind`."""
        keys: dict[str, Key | Figure] = {} if self.single else {key.name: key for key in self.keys}
        return keys | {name: FIGURES[name] for name in self.figures}

    @property
    def counts(self) -> tuple[str, ...]:
        """The whole numbers of its facts, in order."""
        return tuple(dict.fromkeys(count for name in self.figures for count in FIGURES[name].made_from))

    @property
    def sql(self) -> str:
        return sql(self.file or self.name)


@cache
def sql(name: str) -> str:
    """A query's text, without its first lines of comment."""
    lines = (_QUERIES / f"{name}.sql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


_VISITS = ("visitors", "visits", "page_views", "bounce_rate", "duration")
_OVERVIEW = ("visitors", "visits", "page_views", "views_per_visit", "bounce_rate", "duration", "engaged")
_PAGE = ("visitors", "page_views", "engaged", "scroll")
_PERCENTILES = ("p50", "p75", "p95", "p99")
_CHOICES = ("asked", "accepted", "refused", "ignored", "withdrew", "accept_rate", "refuse_rate", "ignore_rate")
_DECISIONS = (
    "answered", "grant_rate", "all_accepted", "all_refused", "chosen", "withdrawals", "objections_made",
)  # fmt: skip
_PERIOD = (Key("period", "Period", kind="time"),)


def _of_visits(name: str, title: str, words: str, group: str, key: str, dimension: str, *more: Key) -> Report:
    keys = (Key(key, title.removesuffix("s"), dimension), *more)
    return Report(name, title, words, group, keys, _VISITS, order="visits DESC", closed=True)


REPORTS: Mapping[str, Report] = MappingProxyType({
    report.name: report
    for report in (
        Report(
            "overview", "Overview", "the main figures over time, by minute, hour, day, week or month", "time", _PERIOD,
            _OVERVIEW, closed=True, over_time=True,
        ),
        Report(
            "totals", "Totals", "the main figures of all days together", "time", _PERIOD, _OVERVIEW, file="overview",
            closed=True, over_time=True, single=True,
        ),
        Report(
            "live", "Live", "the last 5 and 30 minutes", "time", (Key("minutes", "Last minutes", kind="count"),),
            ("visitors", "page_views", "events"), whole=True, live=True,
        ),
        Report(
            "live_pages", "Live pages", "the pages of the last 30 minutes", "time", (Key("path", "Page", "path"),),
            ("visitors", "page_views"), order="page_views DESC", live=True,
        ),
        Report(
            "hours", "Hours", "the hours of the week", "time", (Key("weekday", "Weekday"), Key("hour", "Hour")),
            ("visitors", "page_views"), order="key, key2", closed=True,
        ),
        Report(
            "pages", "Pages", "the pages read most", "pages", (Key("path", "Page", "path"),), _PAGE,
            order="page_views DESC", closed=True,
        ),
        Report(
            "routes", "Routes", "pages by the template of their address", "pages", (Key("route", "Route", "route"),),
            _PAGE, order="page_views DESC", closed=True,
        ),
        Report(
            "entry_pages", "Entry pages", "where visits begin", "pages",
            (Key("entry_page", "Entry page", "entry_page"),), ("visitors", "visits", "bounce_rate", "duration"),
            order="visits DESC", closed=True,
        ),
        Report(
            "exit_pages", "Exit pages", "where visits end", "pages", (Key("exit_page", "Exit page", "exit_page"),),
            ("visitors", "exits", "exit_rate"), order="exits DESC", closed=True,
        ),
        _of_visits("referrers", "Referrers", "the sites that visits came from", "sources", "referrer", "referrer"),
        _of_visits("channels", "Channels", "the kinds of ways that led here", "sources", "channel", "channel"),
        _of_visits("sources", "Sources", "where visits came from, by name", "sources", "source", "source"),
        _of_visits(
            "campaigns", "Campaigns", "the campaigns that visits came from", "sources", "campaign", "campaign",
            Key("campaign_source", "Source", "campaign_source"), Key("campaign_medium", "Medium", "campaign_medium"),
        ),
        _of_visits("assistants", "AI assistants", "the AI assistants that sent visits", "sources", "source", "source"),
        Report(
            "countries", "Countries", "where the visitors' networks are registered", "places",
            (Key("country", "Country", "country"),), _VISITS, order="visitors DESC", closed=True,
        ),
        Report(
            "regions", "Regions", "the regions of those networks, where they are known", "places",
            (Key("country", "Country", "country"), Key("region", "Region", "region")), _VISITS, order="visitors DESC",
            closed=True,
        ),
        Report(
            "cities", "Cities", "the cities of those who consented", "places",
            (Key("country", "Country", "country"), Key("city", "City", "city")), ("visitors", "page_views"),
            order="page_views DESC",
        ),
        Report(
            "browsers", "Browsers", "what the visitors browse with", "technology",
            (Key("browser", "Browser", "browser"),), _VISITS, order="visitors DESC", closed=True,
        ),
        Report(
            "systems", "Systems", "the operating systems", "technology", (Key("system", "System", "system"),), _VISITS,
            order="visitors DESC", closed=True,
        ),
        Report(
            "devices", "Devices", "the kinds of device", "technology", (Key("device", "Device", "device"),), _VISITS,
            order="visitors DESC", closed=True,
        ),
        Report(
            "languages", "Languages", "the first language that the browser asks for", "technology",
            (Key("language", "Language", "language"),), _VISITS, order="visitors DESC", closed=True,
        ),
        Report(
            "events", "Events", "the events of the site's own", "events", (Key("event", "Event", "event"),),
            ("visitors", "events"), order="events DESC", closed=True,
        ),
        Report(
            "properties", "Properties", "what the events said of themselves", "events",
            (Key("event", "Event", "event"), Key("property", "Property"), Key("value", "Value")),
            ("visitors", "events"), order="events DESC", closed=True,
        ),
        Report(
            "goals", "Goals", "who reached which goal: the steps given, else every event", "events",
            (Key("goal", "Goal"),), ("visitors", "events", "conversion_rate"), whole=True,
        ),
        Report(
            "paths", "Paths", "which page follows which: from here, to here", "behaviour",
            (Key("from", "From", "from"), Key("to", "To", "to")), ("visitors", "transitions"), order="transitions DESC",
            closed=True,
        ),
        Report(
            "journeys", "Journeys", "how visits begin: their first four pages", "behaviour",
            (Key("journey", "Journey"),), ("visitors", "visits"), order="visits DESC", closed=True,
        ),
        Report(
            "funnel", "Funnel", "how many go from step to step within a day", "behaviour",
            (Key("number", "Step", kind="count"), Key("step", "What")),
            ("visitors", "from_first", "from_before", "between"), whole=True, steps=2,
        ),
        Report(
            "returning", "Returning", "persons who come back, by week, of those who consented", "behaviour",
            (Key("week", "First week", kind="time"), Key("weeks", "Weeks later", kind="count")),
            ("persons", "returned"), whole=True,
        ),
        Report(
            "frequency", "Frequency", "on how many days persons came, of those who consented", "behaviour",
            (Key("days", "Days", kind="count"),), ("persons",), whole=True,
        ),
        Report(
            "choices", "Choices", "how those who were asked chose, over time", "consent", _PERIOD, _CHOICES,
            over_time=True,
        ),
        Report(
            "choices_by_language", "Choices by language", "the same by the language that the browser asks for",
            "consent", (Key("language", "Language", "language"),), _CHOICES, order="asked DESC",
        ),
        Report(
            "decisions", "Decisions", "every choice on record, from the ledger, over time", "consent", _PERIOD,
            _DECISIONS, over_time=True, ledger=True,
        ),
        Report(
            "decisions_by_language", "Decisions by language", "the same by the language of the notice", "consent",
            (Key("notice_language", "Language of the notice", "notice_language"),), _DECISIONS, order="answered DESC",
            ledger=True,
        ),
        Report(
            "decisions_by_purpose", "Decisions by purpose", "how many of the choices on record granted a purpose",
            "consent",
            (Key("purpose", "Purpose", "purpose"), Key("notice_language", "Language of the notice", "notice_language")),
            ("answered", "granted", "grant_rate"), order="granted DESC", ledger=True,
        ),
        Report(
            "purposes", "Purposes", "the purposes in force, over time", "consent",
            (*_PERIOD, Key("purpose", "Purpose")), ("visitors", "purpose_share"), whole=True,
        ),
        Report(
            "basis", "Legal basis", "what of each figure stands on which legal basis", "consent",
            (Key("figure", "Figure"),), ("total", "interest", "consent", "consent_share"), whole=True,
        ),
        Report(
            "objections", "Objections", "page views after an objection, over time", "consent", _PERIOD,
            ("page_views", "objected"), over_time=True,
        ),
        Report(
            "silence", "Script blocked", "page views of which the page's script told nothing, by browser", "consent",
            (Key("browser", "Browser", "browser"),), ("page_views", "silent", "silent_rate"), order="page_views DESC",
        ),
        Report(
            "server_times", "Server times", "how long the site took to answer, by page", "quality",
            (Key("path", "Page", "path"),), ("page_views", *_PERCENTILES), whole=True,
        ),
        Report(
            "timings", "Browser timings", "how long pages took to load", "quality", (Key("timing", "Timing"),),
            ("samples", *_PERCENTILES), whole=True,
        ),
        Report(
            "errors", "Page errors", "pages that the site answered with an error", "quality",
            (Key("path", "Page", "path"), Key("status", "Status", "status")), ("visitors", "page_errors"),
            order="page_errors DESC", closed=True,
        ),
        Report(
            "programs", "Programs", "bots that say so, apart from all other figures", "quality",
            (Key("browser", "Program", "browser"),), ("page_views",), bots=True,
        ),
    )
})  # fmt: skip

# the one report that no query answers: it counts what never reached the store, too, since this host's books began
BOOKS = Report(
    "books", "Books", "what became of every event, and what was filtered why, on this host", "quality",
    (Key("term", "What"),), ("events",), whole=True,
)  # fmt: skip
ALL: Mapping[str, Report] = MappingProxyType(dict(REPORTS) | {BOOKS.name: BOOKS})
