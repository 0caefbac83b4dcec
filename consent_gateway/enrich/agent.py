"""What a user agent says of itself, reduced to families and short versions, and whether it is a program.

The agent string is the visitor's own text, so nothing of it gets through but names that ua-parser's register spells
out, and small numbers: a family that isn't in that register is empty. Only the first 512 characters are looked at.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

import re2
import ua_parser
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from ua_parser.loaders import load_lazy_builtins

from ..rule.event import Agent
from .personal import gives_away

_LOOKED_AT = 512
_FAMILY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .+-]{0,39}")
_MAJOR = re.compile(r"[0-9]{1,4}")
_SMALL = re.compile(r"[0-9]{1,2}")
_WINDOWS = frozenset({"95", "98", "2000", "XP", "Vista", "ME", "CE", "NT", "RT", "8.1"})

# What the list of crawlers leaves out: libraries, feed readers, and whoever says so itself. Not `Cubot`, a telephone.
_MORE_BOTS = (
    r"(?i)(?:^|[^u])bot\b|crawler|spider|scraper|headless|phantomjs|selenium|puppeteer|playwright"
    r"|^(?:curl|wget|libcurl|libfetch|fetch|java|perl|ruby|php|go|got|axios|undici|node|deno|bun|dart|rust)\b|postman"
    r"|python-|python/|urllib|aiohttp|httpx|httpie|http_request|http-client|httpclient|okhttp|libwww|lwp|mechanize"
    r"|guzzle|reqwest|feedparser|feed ?fetcher|feedly|liferea|monitor|uptime|preview|^mozilla/5\.0$"
)

# Looked for in this order, in lower case: plain words are 20 times as fast here as patterns.
_DEVICES = (
    ("console", ("playstation", "xbox", "nintendo")),
    ("tv", ("smart-tv", "smarttv", "hbbtv", "appletv", "apple tv", "googletv", "google tv", "android tv", "tv safari",
            "web0s", "webos", "bravia", "netcast", "roku", "crkey", "; aft")),
    ("tablet", ("ipad", "tablet", "playbook", "kindle")),
    ("mobile", ("mobi", "iphone", "ipod", "windows phone", "opera mini", "blackberry", "bb10", "kaios", "symbian")),
    ("tablet", ("android",)),  # without `mobile`
    ("desktop", ("windows", "macintosh", "x11", "linux", "cros ", "ubuntu", "freebsd")),
)  # fmt: skip


@cache
def _parser() -> tuple[ua_parser.Parser, str]:
    """ua-parser on its fastest engine, without its own cache; and all the text of its register."""
    browsers, systems, _ = load_lazy_builtins()
    register = [(rule.regex, getattr(rule, "family", "")) for rules in (browsers, systems) for rule in rules]
    spelled = "\n".join(f"{pattern}\n{family}" for pattern, family in register)
    # without the rules for devices, which are 15 MB and a third of the time: `_device` needs none
    return ua_parser.Parser(ua_parser.BestAvailableResolver((browsers, systems, []))), spelled.replace(
        "\\", ""
    ).casefold()


@cache
def _bots() -> re2._Regexp:
    """One alternation in RE2: 24 µs a look, where `re` takes 690."""
    options = re2.Options()
    options.max_mem = 64 << 20  # below, the automaton of 1 500 patterns falls back to a slow one
    options.never_capture = True
    options.log_errors = False
    patterns = [entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA]
    return re2.compile("|".join([*patterns, f"(?:{_MORE_BOTS})"]), options)


def describe(user_agent: str) -> Agent:
    """Browser, its major version, system, its version, kind of device, bot. An empty agent is a bot.

    The first call loads the registers (about 0.4 s): make it at start.
    """
    return _describe(user_agent[:_LOOKED_AT])


@lru_cache(5000)
def _describe(text: str) -> Agent:
    text = text.encode("utf-8", "replace").decode()  # a half surrogate would stop the parser
    if not text.strip():
        return Agent(bot=True)
    parser, _ = _parser()
    said = parser.parse(text)
    browser = _family(said.user_agent.family) if said.user_agent else ""
    system = _family(said.os.family) if said.os else ""
    return Agent(
        browser=browser,
        browser_version=_matching(_MAJOR, said.user_agent.major) if said.user_agent and browser else "",
        os=system,
        os_version=_system_version(system, said.os.major, said.os.minor) if said.os and system else "",
        device=_device(text.lower()),
        bot=_bots().search(text) is not None,
    )


def _device(text: str) -> str:
    for kind, words in _DEVICES:
        for word in words:
            if word in text:
                return kind
    return "other"


@lru_cache(1000)
def _family(name: str) -> str:
    if name == "Other" or not _FAMILY.fullmatch(name) or gives_away(name) or name.casefold() not in _parser()[1]:
        return ""
    return name


def _matching(pattern: re.Pattern[str], text: str | None) -> str:
    return text if text and pattern.fullmatch(text) else ""


def _system_version(system: str, major: str | None, minor: str | None) -> str:
    if system == "Windows" and major in _WINDOWS:
        return major or ""
    first, second = _matching(_SMALL, major), _matching(_SMALL, minor)
    return f"{first}.{second}" if first and second and system != "Windows" else first
