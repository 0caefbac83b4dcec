"""The two trust levels: an `Observation` is raw and in memory only, an `Event` is what may be written.

No encoder for `Observation` exists, and the only maker of events is `rule.privacy.judge`. The fields of `Event` are
the columns of the register, so what is not a column cannot be stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, NoReturn, SupportsIndex

import msgspec

from .address import Packed
from .columns import COLUMNS
from .consent import UNKNOWN, Consent


class DropReason(StrEnum):
    """Why an event was not kept: the closed list. Each is counted under its own name."""

    UNKNOWN_SITE = "unknown_site"  # its origin or host is not one of ours
    NO_ADDRESS = "no_address"  # the client's address could not be parsed: we cannot treat it, so we keep nothing
    OBJECTION = "objection"  # Art. 21, declared or by signal, and no consent to stand on
    NOT_PERMITTED = "not_permitted"  # the policy asks consent for what the device sends, and there is none
    DUPLICATE = "duplicate"  # its id came before within a day
    EXPIRED = "expired"  # older than the retention of measurement
    FUTURE = "future"  # replay only: dated more than a day after now
    INVALID = "invalid"  # it broke the contract; the sender was told
    OWN_BROWSER = "own_browser"  # of an owner who keeps their own browser out of the figures
    EXCLUDED = "excluded"  # of a path in EXCLUDE_PATHS
    OVERLOAD = "overload"  # the spool could not take it; a sender was told 503, a page view gave way
    RATE = "rate"  # more than one network or one site may send; a sender was told 429, a page was served all the same
    NOT_A_PAGE = "not_a_page"  # replay only: a log line that is no page view (a picture, a form that was posted)
    UNPARSABLE = "unparsable"  # replay only: a log line that is none
    FAULT = "fault"  # something inside the gateway failed; its log says what


class Place(NamedTuple):
    """Where a network or an address is registered: ISO 3166 codes and a name, empty where not known."""

    country: str = ""
    region: str = ""
    city: str = ""


class Agent(NamedTuple):
    """What a user agent says of itself, in the few words that are kept."""

    browser: str = ""
    browser_version: str = ""
    os: str = ""
    os_version: str = ""
    device: str = ""
    bot: bool = False


class Page(NamedTuple):
    """A URL without what could identify a person: scrubbed path, allowed query, campaign values by `utm_` column."""

    host: str
    path: str
    query: str
    campaign: Mapping[str, str]


class Origin(NamedTuple):
    """Where a visit came from."""

    host: str = ""
    path: str = ""
    channel: str = ""
    source: str = ""


class _Raw:
    """Not to be written in any way: no `repr`, no encoder, no copy."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("an observation stays in memory: it is neither pickled nor copied")


@dataclass(slots=True, repr=False, eq=False)
class Sender(_Raw):
    """What all observations of one request have in common: whose they are. `received_at` is milliseconds since 1970 in
    UTC, `host` the one that served it, whose own referrers are internal."""

    site: str
    received_at: int
    host: str = ""
    address: Packed | None = None
    user_agent: str = ""
    language: str = ""
    consent: Consent = UNKNOWN


@dataclass(slots=True, repr=False, eq=False)
class Observation(_Raw):
    """What one request showed. Raw: never logged, written or sent, which is why it has no `repr` and no encoder.

    `at` is milliseconds since 1970 in UTC.
    """

    sender: Sender
    type: str
    at: int
    url: str
    referrer: str = ""
    from_device: bool = False  # True when the page's script sent it
    view_id: int = 0
    engaged_ms: int = 0
    scroll_pct: int = 0
    screen: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    name: str = ""
    props: Mapping[str, str] = field(default_factory=dict)
    route: str = ""
    http_status: int = 0
    server_ms: float = 0.0


for _raw in (Sender, Observation):
    del _raw.__dataclass_fields__  # by these would msgspec, orjson, pydantic and `asdict` know how to encode it

OF_VISITOR = (
    "site", "consent", "purposes", "policy_version", "visitor", "network", "country", "region", "person",
    "browser", "browser_version", "os", "os_version", "device", "language", "bot",
)  # fmt: skip
"""The columns that all events of a visitor have in common, under one consent on one day. They come first in `Event`."""

Event: Any = msgspec.defstruct(
    "Event",
    [
        (column.name, column.holds, column.empty)
        for column in sorted(COLUMNS, key=lambda column: (*OF_VISITOR, column.name).index(column.name))
        if column.filled_by == "rule"
    ],
    omit_defaults=True,
    frozen=True,
    module=__name__,
    namespace={"__doc__": "What may be written: one attribute per column that the rule fills (see `rule.columns`)."},
)
