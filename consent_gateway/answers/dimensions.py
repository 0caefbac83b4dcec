"""The dimensions: by what reports can be filtered, and what a filter on each of them chooses.

- of a visitor: the same for all that a visitor does on a day (country, browser, …), so events are chosen;
- of an event: what one event says (its path, its route, …): reports of events count the events that say so, reports of
  visits the visits that hold one (with a negation: that hold none);
- of a visit: where it came from, where it began and ended, what happened in it: everything of such visits is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Level = Literal["visitor", "event", "visit", "happened", "key"]


@dataclass(frozen=True, slots=True)
class Dimension:
    """`column` is the column of events (or, of a visit, of the relation `visits`) that it looks at.

    `happened` is a visit's that looks at its events; `key` is a column of one report's own rows.
    """

    name: str
    label: str
    level: Level
    column: str


DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {
        dimension.name: dimension
        for dimension in (
            Dimension("path", "Page", "event", "path"),
            Dimension("route", "Route", "event", "route"),
            Dimension("status", "Status", "event", "toString(http_status)"),
            Dimension("city", "City", "event", "city"),
            Dimension("consent", "Consent", "event", "consent"),
            Dimension("screen", "Screen", "event", "screen"),
            Dimension("country", "Country", "visitor", "country"),
            Dimension("region", "Region", "visitor", "region"),
            Dimension("browser", "Browser", "visitor", "browser"),
            Dimension("browser_version", "Browser version", "visitor", "browser_version"),
            Dimension("system", "System", "visitor", "os"),
            Dimension("system_version", "System version", "visitor", "os_version"),
            Dimension("device", "Device", "visitor", "device"),
            Dimension("language", "Language", "visitor", "language"),
            Dimension("entry_page", "Entry page", "visit", "entry_page"),
            Dimension("exit_page", "Exit page", "visit", "exit_page"),
            Dimension("referrer", "Referrer", "visit", "referrer_host"),
            Dimension("channel", "Channel", "visit", "channel"),
            Dimension("source", "Source", "visit", "source"),
            Dimension("campaign", "Campaign", "visit", "utm_campaign"),
            Dimension("campaign_source", "Campaign source", "visit", "utm_source"),
            Dimension("campaign_medium", "Campaign medium", "visit", "utm_medium"),
            Dimension("campaign_term", "Campaign keyword", "visit", "utm_term"),
            Dimension("campaign_content", "Campaign variant", "visit", "utm_content"),
            Dimension("event", "Event", "happened", "name"),
            Dimension("from", "From", "key", "from"),
            Dimension("to", "To", "key", "to"),
            Dimension("purpose", "Purpose", "key", "purpose"),
            Dimension("notice_language", "Language of the notice", "key", "notice_language"),
        )
    }
)
PROPERTY = "prop."  # `prop.plan=A`: a visit with an event of which the property `plan` is A


def find(name: str) -> Dimension | None:
    """A dimension by its name; `prop.NAME` is one for each name of a property."""
    if name.startswith(PROPERTY) and len(name) > len(PROPERTY):
        return Dimension(name, name.removeprefix(PROPERTY), "happened", "props")
    return DIMENSIONS.get(name)
