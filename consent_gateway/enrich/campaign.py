"""The few query keys that say which campaign brought a visit; everything else in a query string goes.

Keys are read in any case, the first occurrence counts, and values are scrubbed and at most 100 characters. The order of
what is kept is the order of `KEYS`, so that one campaign has one spelling.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_plus

from .personal import scrub_text

KEYS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "ref")
VALUE_LIMIT = 100
_QUERY_LIMIT = 4000


def read(query: str) -> tuple[str, dict[str, str]]:
    """The allowed part of a raw query string (no `?`), encoded anew, and its values by key."""
    if not query:
        return "", {}
    if len(query) > _QUERY_LIMIT:
        query = query[:_QUERY_LIMIT].rpartition("&")[0]
    found: dict[str, str] = {}
    for pair in query.split("&"):
        raw_key, _, raw_value = pair.partition("=")
        if len(raw_key) > 40:
            continue
        key = unquote_plus(raw_key).strip().lower()
        if key in KEYS and key not in found:
            found[key] = scrub_text(unquote_plus(raw_value), VALUE_LIMIT)
    values = {key: found[key] for key in KEYS if found.get(key)}
    return "&".join(f"{key}={quote(value, safe='*')}" for key, value in values.items()), values
