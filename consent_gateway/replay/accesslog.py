"""One line of an access log, in common or combined format (Apache's, nginx's), with any fields after it. Pure.

A line is raw, as an observation is: `LogLine` has no `repr`, and what must be shown or hashed of a log goes through
`show` or `mask` first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from ..enrich.path import split_url
from ..enrich.personal import gives_away
from ..rule import address, page
from ..rule.address import Packed

LONGEST = 64 * 1024  # characters of a line that is still read
EXAMPLE_LENGTH = 120

_QUOTED = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_LINE = re.compile(
    r"(\S++) \S++ .+?"
    r" \[([0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}):([0-9]{2}) ([+-][0-9]{4})\]"
    rf" {_QUOTED} ([0-9]{{3}}) ([0-9]+|-)"
    rf"(?: {_QUOTED} {_QUOTED}(?![^ ]))?+"
    r'(?: ++(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|\[[^\]]*+\]|[^\s"\[]\S*+)(?![^ ]))*+ *'
)
_METHOD = re.compile(r"[A-Z][A-Z_-]*+")
_ESCAPE = re.compile(rb'\\(?:x([0-9A-Fa-f]{2})|([abfnrtv"\\]))')
_CONTROLS = dict(zip(b'abfnrtv"\\', b'\a\b\f\n\r\t\v"\\', strict=True))
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_YEARS = range(1970, 2200)  # what the store's times can hold, with room

_IPV4 = re.compile(r"[0-9]{1,3}(?:(?:[._-]|%2[eE])[0-9]{1,3}){3}")
_IPV6 = re.compile(r"[0-9A-Fa-f]{0,4}(?:(?::|%3[aA])[0-9A-Fa-f.*]{0,15}){2,8}(?:%[0-9A-Za-z]+)?")
_CLOCK = re.compile(r"(?:[0-9]{4}:)?[0-9]{2}:[0-9]{2}:[0-9]{2}")
_WORD = re.compile(r'[^\s"\[\]]+')
_STAMP = re.compile(r"[0-9]{2}/[A-Za-z]{3}/[0-9:]{4,13}|[+-][0-9]{4}")


@dataclass(slots=True, repr=False)
class LogLine:
    """What a line says; `-` is empty. `address` is `None` when the host is a name, `method` empty when the request is
    broken, `at` is in milliseconds, UTC, `size` in bytes."""

    address: Packed | None
    at: int
    method: str
    target: str
    status: int
    size: int
    referrer: str
    user_agent: str


def parse_line(line: str) -> LogLine | None:
    """A line without its line feed; `None` when it is none of an access log. Never raises."""
    match = _LINE.fullmatch(line.rstrip("\r\n")) if len(line) <= LONGEST else None
    if match is None:
        return None
    host, minute, second, zone, request, status, size, referrer, user_agent = match.groups()
    start = _minute(minute, zone)
    if start is None or int(second) > 60:  # 60 is a leap second
        return None
    if "\\" in line:
        request, referrer, user_agent = (_unescape(text or "") for text in (request, referrer, user_agent))
    method, target = _split_request(request)
    return LogLine(
        address.parse(host),
        start + int(second) * 1000,
        method,
        target,
        int(status),
        0 if size == "-" else int(size[:18]),
        "" if referrer is None or referrer == "-" else referrer,
        "" if user_agent is None or user_agent == "-" else user_agent,
    )


def page_type(line: LogLine) -> str | None:
    """`page_view`, `page_error`, or `None` for what is no page: the rule of the whole product, where the type of the
    answer is not known."""
    scheme, _, path, _ = split_url(line.target)
    if not path.startswith("/") and not (scheme and not path):
        return None
    return page.page_type(line.method, line.status, path)


def mask(line: str) -> str:
    """A line with its first field, and every other address in it, replaced by `*`."""
    first, blank, rest = line.partition(" ")
    if not blank and not gives_away(first):
        return line  # no line of a log, but by its words we know the file again
    rest = _IPV6.sub(lambda found: found[0] if _CLOCK.fullmatch(found[0]) else "*", _IPV4.sub("*", rest))
    return f"*{blank}{rest}"


def show(line: str) -> str:
    """A line as a person may see it: masked, without other tokens or control characters, cut."""
    masked = mask(_unescape(line[:LONGEST])) if " " in line else "*"  # a lone word may be a host's name
    words = _WORD.sub(lambda found: found[0] if _STAMP.fullmatch(found[0]) or not gives_away(found[0]) else "*", masked)
    return "".join(char if char.isprintable() else "·" for char in words[:EXAMPLE_LENGTH])


def _split_request(request: str) -> tuple[str, str]:
    """Method and target of `GET /path HTTP/1.1`; both empty when it is no request. Targets may hold blanks."""
    method, blank, target = request.partition(" ")
    rest, last, version = target.rpartition(" ")
    if last and version.startswith("HTTP/"):
        target = rest
    return (method, target) if blank and target and _METHOD.fullmatch(method) else ("", "")


def _unescape(text: str) -> str:
    """Apache's and nginx's escapes undone: `\\"` and the like, and bytes as `\\x22`."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(
        lambda found: bytes([int(found[1], 16) if found[1] else _CONTROLS[found[2][0]]]), text.encode(errors="replace")
    )
    return raw.decode(errors="replace")


@lru_cache(4096)
def _minute(text: str, zone: str) -> int | None:
    """`10/Oct/2023:13:55` in a zone like `-0700`, as milliseconds since 1970 in UTC."""
    month = _MONTHS.get(text[3:6].title())
    year = int(text[7:11])
    if month is None or year not in _YEARS or zone[1:3] > "23" or zone[3:] > "59":
        return None
    east = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:])) * (-1 if zone[0] == "-" else 1)
    try:
        moment = datetime(year, month, int(text[:2]), int(text[12:14]), int(text[15:17]), tzinfo=timezone(east))
    except ValueError:
        return None
    return max(int(moment.timestamp()) * 1000, 0)
