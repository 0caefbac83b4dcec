"""The register: the only place that says what a column is, and the one purpose under which it is kept.

A coarser value is another column, not another treatment of the same one: `network` belongs to `measurement`, `address`
to `analytics`. A column whose purpose is not permitted is empty. From here come the tables with their TTLs, the rule's
`Event`, the row encoder, the check of the live schema and every table that explains what is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from .purposes import ACCOUNTABILITY, ANALYTICS, MEASUREMENT

Source = Literal["request", "device", "gateway"]

RETENTION_DAYS = {ACCOUNTABILITY: 758, MEASUREMENT: 758, ANALYTICS: 393}  # never over 25, 25 and 13 months
ADDRESS_DAYS = 30


class Column(NamedTuple):
    """One column of `events`. `group` is the data that it belongs to, as people are told it (`config/words`), `holds`
    the Python type of the value, `empty` the value that means "not kept"."""

    name: str
    group: str
    type: str  # ClickHouse's
    purpose: str
    source: Source
    words: str
    holds: Any = str
    empty: Any = ""
    days: int = 0  # kept at most, from `received_at`; 0 means as long as the row

    @property
    def kept_days(self) -> int:
        return self.days or RETENTION_DAYS[self.purpose]

    @property
    def filled_by(self) -> str:
        """`batch` is the segment's name, written by the spool; all else comes from the rule."""
        return "spool" if self.name == "batch" else "rule"


_WORD = "LowCardinality(String)"
_TIME = "DateTime64(3, 'UTC')"

COLUMNS: tuple[Column, ...] = (
    # what every row says of itself
    Column("site", "record", _WORD, ACCOUNTABILITY, "gateway", "the site, by its name in the settings"),
    Column("type", "record", _WORD, ACCOUNTABILITY, "gateway", "page_view, page_error, engagement or custom"),
    Column("at", "record", _TIME, ACCOUNTABILITY, "gateway", "when it happened"),
    Column("received_at", "record", _TIME, ACCOUNTABILITY, "gateway", "when it reached us; retention counts from it"),
    Column("consent", "record", _WORD, ACCOUNTABILITY, "gateway", "the consent status in force"),
    Column(
        "purposes", "record", f"Array({_WORD})", ACCOUNTABILITY, "gateway", "the purposes in force", tuple[str, ...], ()
    ),
    Column("policy_version", "record", _WORD, ACCOUNTABILITY, "gateway", "the version of the policy in force"),
    Column("batch", "record", _WORD, ACCOUNTABILITY, "gateway", "the segment of the spool that brought it here"),
    # who, as coarsely as it goes
    Column(
        "visitor",
        "visitor",
        "UInt64",
        MEASUREMENT,
        "request",
        "a pseudonym of network and browser, for one day",
        int,
        0,
    ),
    Column("network", "network", _WORD, MEASUREMENT, "request", "the truncated address: /24 of IPv4, /48 of IPv6"),
    Column("country", "place", _WORD, MEASUREMENT, "request", "the network's country, ISO 3166-1"),
    Column("region", "place", _WORD, MEASUREMENT, "request", "the network's region, ISO 3166-2"),
    # the durable and the exact, only with consent
    Column("person", "person", "UInt64", ANALYTICS, "gateway", "a durable pseudonym of the consent", int, 0),
    Column(
        "address", "address", "String", ANALYTICS, "request", "the address, encrypted (AES-256-GCM)", days=ADDRESS_DAYS
    ),
    Column("city", "city", _WORD, ANALYTICS, "request", "the address's city"),
    # what was seen
    Column("view_id", "page", "UInt64", MEASUREMENT, "gateway", "a random number of this page view", int, 0),
    Column("path", "page", "String", MEASUREMENT, "request", "the page's path, scrubbed"),
    Column("route", "page", _WORD, MEASUREMENT, "request", "the page's route template, where the framework knows it"),
    Column("query", "page", "String", MEASUREMENT, "request", "the allowed part of the query: utm_* and ref"),
    Column("http_status", "answer", "UInt16", MEASUREMENT, "request", "the answer's status code", int, 0),
    Column(
        "server_ms", "answer", "Float32", MEASUREMENT, "request", "milliseconds until the answer started", float, 0.0
    ),
    # from where
    Column("referrer_host", "referral", _WORD, MEASUREMENT, "request", "the referring site"),
    Column("referrer_path", "referral", "String", MEASUREMENT, "request", "the referring page's path, scrubbed"),
    Column(
        "channel",
        "referral",
        _WORD,
        MEASUREMENT,
        "request",
        "search, social, ai, mail, campaign, referral, internal, direct",
    ),
    Column("source", "referral", _WORD, MEASUREMENT, "request", "the referring source by name"),
    Column("utm_source", "referral", _WORD, MEASUREMENT, "request", "the campaign's source"),
    Column("utm_medium", "referral", _WORD, MEASUREMENT, "request", "the campaign's medium"),
    Column("utm_campaign", "referral", _WORD, MEASUREMENT, "request", "the campaign's name"),
    Column("utm_term", "referral", _WORD, MEASUREMENT, "request", "the campaign's keyword"),
    Column("utm_content", "referral", _WORD, MEASUREMENT, "request", "the campaign's variant"),
    # with what
    Column("browser", "agent", _WORD, MEASUREMENT, "request", "the browser's family"),
    Column("browser_version", "agent", _WORD, MEASUREMENT, "request", "the browser's major version"),
    Column("os", "agent", _WORD, MEASUREMENT, "request", "the operating system's family"),
    Column("os_version", "agent", _WORD, MEASUREMENT, "request", "the operating system's version"),
    Column("device", "agent", _WORD, MEASUREMENT, "request", "desktop, mobile, tablet, tv, console or other"),
    Column("language", "language", _WORD, MEASUREMENT, "request", "the first language that the browser asks for"),
    Column("bot", "agent", "Bool", MEASUREMENT, "request", "a program that says so", bool, False),
    # what only the page's script can tell
    Column(
        "engaged_ms", "engagement", "UInt32", MEASUREMENT, "device", "milliseconds visible, focused and active", int, 0
    ),
    Column("scroll_pct", "engagement", "UInt8", MEASUREMENT, "device", "how far the page was scrolled", int, 0),
    Column("screen", "engagement", _WORD, MEASUREMENT, "device", "the window's width: sm, md or lg"),
    Column(
        "timings", "timing", f"Map({_WORD}, Float32)", MEASUREMENT, "device", "load times by name", dict[str, float], {}
    ),
    Column("name", "event", _WORD, MEASUREMENT, "device", "a custom event's name"),
    Column(
        "props",
        "event",
        f"Map({_WORD}, String)",
        MEASUREMENT,
        "device",
        "a custom event's properties",
        dict[str, str],
        {},
    ),
)

NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
BY_NAME: Mapping[str, Column] = MappingProxyType({column.name: column for column in COLUMNS})


def kept_under(purposes: frozenset[str]) -> frozenset[str]:
    """The names of the columns that may be filled when just these purposes are permitted."""
    return frozenset(column.name for column in COLUMNS if column.purpose in purposes)
