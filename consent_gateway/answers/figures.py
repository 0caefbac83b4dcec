"""The figures that reports answer with: what each is, on what legal basis it rests, and how sure it is.

A figure is worked out from counts: whole numbers that add up over days and rows, so that a month is the exact sum of
its days whether a day is closed or not. Where a figure has no value (a rate of nothing) it is empty, not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["text", "time", "count", "ratio", "percent", "duration"]
"""How a value is to be read: a ratio is a plain number, a percent a share from 0 to 1, a duration milliseconds."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a report. `counts` are what it is made from, `sql` how; without `sql` it is its one count."""

    name: str
    label: str
    kind: Kind
    definition: str
    basis: str
    uncertainty: str
    sql: str = ""
    counts: tuple[str, ...] = ()

    @property
    def made_from(self) -> tuple[str, ...]:
        return self.counts or (self.name,)

    @property
    def expression(self) -> str:
        return self.sql or self.name


_INTEREST = "Legitimate interest; the visitor may object."
_CONSENT = "Consent to analytics."
_DEVICE = "Legitimate interest, or consent where the policy asks it for what the browser sends."
_LAW = "Legal obligation to account for consent (Art. 5(2), 7(1) GDPR)."
_SHARED = "People who share a network and a browser count once; one person on two networks counts twice."
_EXACT = "Exact for what was measured; who objected is not in it."
_RECORD = "Exact: the ledger holds every choice. Who chose twice counts twice; it knows of no visitors and no programs."
_SCRIPT = "Known only where the page's script ran and could send; blockers and closed tabs leave gaps."


def _share(part: str, whole: str) -> str:
    return f"if({whole} = 0, NULL, {part} / ({whole}))"


_ALL = (
    Figure(
        "visitors", "Daily visitors", "count",
        "Different visitor pseudonyms of each day, added up over the days. A pseudonym lives one day, so who comes on "
        "three days counts three times.",
        _INTEREST, _SHARED,
    ),
    Figure(
        "visits", "Visits", "count",
        "What a visitor does without 30 minutes of silence, within one day, with at least one page view.",
        _INTEREST, "Without a pseudonym (an objection, a late event) a page view is in no visit.",
    ),
    Figure(
        "page_views", "Page views", "count",
        "Pages that the site answered with success, not prefetched, without programs that say so.",
        _INTEREST, _EXACT,
    ),
    Figure(
        "views_per_visit", "Views per visit", "ratio", "Page views of visits, divided by the visits.", _INTEREST,
        _EXACT, _share("visit_views", "visits"), ("visit_views", "visits"),
    ),
    Figure(
        "bounce_rate", "Bounce rate", "percent", "Visits with one page view and no event of the site's own.", _INTEREST,
        "Reading one page to its end counts as a bounce too; engaged time tells them apart.",
        _share("bounces", "visits"), ("bounces", "visits"),
    ),
    Figure(
        "duration", "Visit duration", "duration", "Mean time from the first to the last sign of a visit.", _INTEREST,
        "The time after the last sign is not known, so it is too short; visits of one sign count as zero.",
        _share("duration_ms", "visits"), ("duration_ms", "visits"),
    ),
    Figure(
        "engaged", "Engaged time", "duration",
        "Mean time that a page was visible, focused and used, over the page views that told it.", _DEVICE, _SCRIPT,
        _share("engaged_ms", "engaged_views"), ("engaged_ms", "engaged_views"),
    ),
    Figure(
        "scroll", "Scroll depth", "percent", "Mean of how far a page was scrolled, over the page views that told it.",
        _DEVICE, _SCRIPT, _share("scroll_pct", "engaged_views * 100"), ("scroll_pct", "engaged_views"),
    ),
    Figure("exits", "Exits", "count", "Visits that ended on this page.", _INTEREST, _EXACT),
    Figure(
        "exit_rate", "Exit rate", "percent", "Visits that ended on this page, divided by its page views in visits.",
        _INTEREST, _EXACT, _share("exits", "visit_views"), ("exits", "visit_views"),
    ),
    Figure("events", "Events", "count", "Events of the site's own, as the page's script sent them.", _DEVICE, _SCRIPT),
    Figure(
        "conversion_rate", "Conversion rate", "percent", "Daily visitors who did it, divided by all daily visitors.",
        _INTEREST, _SHARED, _share("visitors", "all_visitors"), ("visitors", "all_visitors"),
    ),
    Figure("transitions", "Times", "count", "How often one page view followed another in a visit.", _INTEREST, _EXACT),
    Figure(
        "from_first", "Of the first step", "percent", "Daily visitors who came this far, of those of the first step.",
        _INTEREST, _SHARED,
    ),
    Figure(
        "from_before", "Of the step before", "percent", "Daily visitors who came this far, of those one step before.",
        _INTEREST, _SHARED,
    ),
    Figure("between", "Time between", "duration", "Median time from the step before to this one.", _INTEREST, _EXACT),
    Figure(
        "persons", "Persons", "count", "Different durable pseudonyms, of those who consented to analytics.", _CONSENT,
        "Says nothing of those who did not consent; a new choice or browser is a new person.",
    ),
    Figure(
        "returned", "Returned", "percent", "Persons who were seen in this week, of those of the cohort.", _CONSENT,
        "Says nothing of those who did not consent. The last week may not be over.",
    ),
    Figure("page_errors", "Page errors", "count", "Pages that the site answered with an error.", _INTEREST, _EXACT),
    Figure("p50", "Median", "duration", "Half of the values are at most this.", _INTEREST, _EXACT),
    Figure("p75", "p75", "duration", "Three quarters of the values are at most this.", _INTEREST, _EXACT),
    Figure("p95", "p95", "duration", "95 % of the values are at most this.", _INTEREST, _EXACT),
    Figure("p99", "p99", "duration", "99 % of the values are at most this.", _INTEREST, _EXACT),
    Figure("samples", "Values", "count", "How many values the percentiles are of.", _DEVICE, _SCRIPT),
    Figure(
        "asked", "Asked", "count", "Daily visitors with a page view before any choice was in force.", _LAW,
        f"A banner that was blocked counts as asked. {_SHARED}",
    ),
    Figure(
        "accepted", "Accepted", "count", "Daily visitors who were asked and consented later that day.", _LAW, _SHARED
    ),
    Figure("refused", "Refused", "count", "Daily visitors who were asked and refused later that day.", _LAW, _SHARED),
    Figure(
        "ignored", "Ignored", "count", "Daily visitors who were asked and made no choice that day.", _LAW,
        "Who chose and left before any more of them was measured counts as ignoring; the decisions know of them.",
    ),
    Figure(
        "withdrew", "Withdrew", "count", "Daily visitors who stood under a consent and withdrew it later that day.",
        _LAW, "Who withdrew and left at once is not in it; the decisions, from the ledger, count every withdrawal.",
    ),
    Figure(
        "accept_rate", "Acceptance", "percent", "Accepted, divided by asked.", _LAW, _SHARED,
        _share("accepted", "asked"), ("accepted", "asked"),
    ),
    Figure(
        "refuse_rate", "Refusal", "percent", "Refused, divided by asked.", _LAW, _SHARED,
        _share("refused", "asked"), ("refused", "asked"),
    ),
    Figure(
        "ignore_rate", "No choice", "percent", "Ignored, divided by asked.", _LAW, _SHARED,
        _share("ignored", "asked"), ("ignored", "asked"),
    ),
    Figure(
        "answered", "Choices", "count", "Choices on record: all accepted, all refused, or chosen one by one.", _LAW,
        _RECORD,
    ),
    Figure("all_accepted", "Accepted all", "count", "Choices that accepted everything at once.", _LAW, _RECORD),
    Figure("all_refused", "Refused all", "count", "Choices that refused everything at once.", _LAW, _RECORD),
    Figure("chosen", "Chosen singly", "count", "Choices of purposes one by one.", _LAW, _RECORD),
    Figure("withdrawals", "Withdrawals", "count", "Consents on record that their visitor ended.", _LAW, _RECORD),
    Figure("objections_made", "Objections", "count", "Objections to legitimate interest on record.", _LAW, _RECORD),
    Figure("granted", "Granted", "count", "Choices on record that granted it.", _LAW, _RECORD),
    Figure(
        "grant_rate", "Share that granted", "percent", "Choices that granted something (of a purpose: this purpose), "
        "divided by the choices.", _LAW, _RECORD, _share("granted", "answered"), ("granted", "answered"),
    ),
    Figure(
        "purpose_share", "Share", "percent", "Daily visitors with this purpose in force, of all daily visitors.", _LAW,
        _SHARED, _share("visitors", "all_visitors"), ("visitors", "all_visitors"),
    ),
    Figure("total", "All", "count", "The figure itself.", _LAW, _EXACT),
    Figure("interest", "Legitimate interest", "count", "What of it stands on legitimate interest.", _LAW, _EXACT),
    Figure("consent", "Consent", "count", "What of it stands on consent, unknown without it.", _LAW, _EXACT),
    Figure("consent_share", "Share of consent", "percent", "What stands on consent, divided by all.", _LAW, _EXACT),
    Figure(
        "objected", "After objection", "count",
        "Page views of who objected and consented to analytics: kept under that consent alone, without visitor.",
        _CONSENT, "Who objected without consenting leaves no event; the books count those.",
    ),
    Figure(
        "silent", "Without script", "count", "Page views that the server saw and the page's script told nothing of.",
        _INTEREST, "Blocked scripts, but also programs, closed tabs and slow networks.",
    ),
    Figure(
        "silent_rate", "Share without", "percent", "Page views without script, divided by those that the server saw.",
        _INTEREST, "Blocked scripts, but also programs, closed tabs and slow networks.",
        _share("silent", "page_views"), ("silent", "page_views"),
    ),
)  # fmt: skip

FIGURES: Mapping[str, Figure] = MappingProxyType({figure.name: figure for figure in _ALL})
