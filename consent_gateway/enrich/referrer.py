"""Where a visit came from: channel and source, from the campaign's values and the referrer.

The channel is one of `CHANNELS`. In this order, the first that says something decides:

1. `utm_medium`: paid clicks (`cpc`, `ppc`, `paid…`) are `paid_social` when source or medium is social, else
   `paid_search` (`display` for a display network); mail, social, affiliate and display spellings are those channels;
   `referral` is `referral`;
2. a known `utm_source` (or `ref`, when there is none): the channel of its kind in `sources.toml`;
3. any other `utm_…` value: `campaign`;
4. the referrer: one of our own hosts is `internal`; a known host has the channel of its kind; any other web page or
   app is a `referral`; no referrer, or one that can't be read, is `direct`, unless an unknown `ref` names a `referral`.

A `ref` without any `utm_…` never overrules an internal referrer: sites use it on links of their own.

The source is the register's name, else the campaign's own word in lower case, else the host without `www.`. Host and
path come out scrubbed, whatever decided; internal ones are empty, as the visit's pages already tell them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from ..rule.event import Origin
from .path import scrub_host, scrub_path, scrub_text, split_url

CHANNELS = (
    "direct", "internal", "search", "paid_search", "social", "paid_social", "ai", "mail", "campaign", "referral",
    "display", "affiliate",
)  # fmt: skip

_MEDIA = (
    ("paid", re.compile(r".*\b(?:cp[cvap]|ppc|pay-?per-?click|sem|sea|retargeting|remarketing)\b|.*paid.*")),
    ("mail", re.compile(r"e?-?mail(?:ing)?s?|e[ _]mail|newsletters?|nieuwsbrief|infolettre")),
    ("affiliate", re.compile(r"affiliates?|affiliation|partner-?programme?")),
    ("display", re.compile(r"display|banners?|cpm|interstitial|expandable|programmatic|native")),
    ("social", re.compile(r"social(?:[ _-]?(?:network|media|organic))?|sm|organic[ _-]?social")),
    ("referral", re.compile(r"referr?al")),
)
_COUNTRY_END = re.compile(r"\.(?:(?:com?|org|net)\.[a-z]{2}|[a-z]{2}|com|cat)")
_SCHEMES = ("http", "https", "android-app")

Known = tuple[str, str]  # kind, name


def _register() -> tuple[dict[str, Known], dict[str, Known]]:
    """Hosts and spellings, each to its kind and name."""
    kinds = tomllib.loads((files(__package__) / "sources.toml").read_text("utf-8"))
    spelled = kinds.pop("spellings")
    hosts = {host: (kind, name) for kind, names in kinds.items() for name, list_ in names.items() for host in list_}
    words = {name.casefold(): (kind, name) for kind, names in kinds.items() for name in names}
    words |= {word: known for name, list_ in spelled.items() for word in list_ if (known := words[name.casefold()])}
    return hosts, words


_HOSTS, _WORDS = _register()
_DIRECT, _INTERNAL = Origin(channel="direct"), Origin(channel="internal")
# Only referrers that are kept as they came, and the pages of the site itself: see `path`.
_known: dict[tuple[str, frozenset[str]], Origin] = {}
_MOST_KNOWN = 5000


def trace(referrer: str, own_hosts: frozenset[str], campaign: Mapping[str, str]) -> Origin:
    """The origin of a visit. `own_hosts` are lower case, without port; `campaign` is what `campaign.read` found."""
    if not campaign:
        if not referrer:
            return _DIRECT
        known = _known.get((referrer, own_hosts))
        if known is not None:
            return known
    scheme, raw_host, raw_path, _ = split_url(referrer)
    internal = raw_host in own_hosts or raw_host.removeprefix("www.") in own_hosts or f"www.{raw_host}" in own_hosts
    internal = internal and scheme in _SCHEMES
    host = "" if internal or scheme not in _SCHEMES else scrub_host(raw_host)
    path = scrub_path(raw_path) if host else ""
    kind, name = known_host(host) if host else ("", "")

    tagged = bool(campaign) and any(key.startswith("utm_") and value for key, value in campaign.items())
    if not tagged and (internal or not campaign.get("ref")):
        # Most visits. An internal one, or told by the referrer alone.
        origin = _INTERNAL
        if not internal:
            kind = kind or ("referral" if host else "direct")
            origin = Origin(host, path, kind, name or host.removeprefix("www."))
        if not campaign and referrer == f"{scheme}://{raw_host}{scrub_path(raw_path)}" and host in (raw_host, ""):
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[referrer, own_hosts] = origin
        return origin

    word = scrub_text(campaign.get("utm_source") or campaign.get("ref") or "").casefold()
    said_kind, said_name = known_word(word)
    if not word:
        said_kind, said_name = kind, name
    source = said_name or word or name or host.removeprefix("www.")
    channel = _by_medium(campaign.get("utm_medium", ""), said_kind) or (said_kind if word else "")
    if not channel:
        channel = "campaign" if tagged else kind or "referral"
        if not tagged and host:
            source = name or host.removeprefix("www.")
    return Origin(host, path, channel, source)


def _by_medium(medium: str, kind: str) -> str:
    medium = medium.strip().casefold()[:100].replace("_", "-")
    if not medium:
        return ""
    channel = next((name for name, pattern in _MEDIA if pattern.fullmatch(medium)), "")
    if channel != "paid":
        return channel
    if kind == "social" or "social" in medium:
        return "paid_social"
    return kind if kind in ("display", "affiliate") else "paid_search"


def known_word(word: str) -> Known:
    """Kind and name of a `utm_source` or `ref`, two empty strings when it isn't in the register."""
    return _WORDS.get(word) or (known_host(word) if "." in word and scrub_host(word) == word else ("", ""))


@lru_cache(2000)  # of hosts that were scrubbed
def known_host(host: str) -> Known:
    """Kind and name of a lower-case host or app id: the longest listed ending counts."""
    tail = _ends_in_country(host)
    rest = host
    while rest:
        known = _HOSTS.get(rest) or (_HOSTS.get(f"{rest[: -len(tail)]}.*") if tail and rest.endswith(tail) else None)
        if known:
            return known
        _, _, rest = rest.partition(".")
    return "", ""


def _ends_in_country(host: str) -> str:
    for labels in (2, 1):
        end = "." + ".".join(host.split(".")[-labels:])
        if end != f".{host}" and _COUNTRY_END.fullmatch(end):
            return end
    return ""
