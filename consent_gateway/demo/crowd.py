"""The tables that `traffic` draws from: who comes, with what, from where, and how they move through the demo site.

A weighted table is a sequence of (weight, thing); weights need not add up to anything.
"""

from __future__ import annotations

from typing import NamedTuple

from .articles import ARTICLES

ARTICLE_PATHS = tuple(f"/articles/{article.slug}" for article in ARTICLES)
ARTICLE_WEIGHTS = (9, 6, 8, 4, 5, 3)  # newer ones are read more often, and the one with the numbers
PAGES = ("/", "/workshop", "/articles", *ARTICLE_PATHS, "/members", "/contact", "/choice")
ARTICLE = "article"  # stands for any of them, drawn when it is needed

LOST = "/blog/2019/winter-opening-hours"  # a page of the old site, which some links still name

HOURS = (4, 2, 1, 1, 1, 3, 9, 18, 26, 32, 36, 35, 30, 31, 29, 28, 30, 33, 40, 46, 44, 34, 20, 9)  # of a day in UTC
WEEK = (1.08, 0.98, 0.96, 1.0, 0.94, 0.86, 1.18)  # Monday to Sunday
NEWSLETTER_DAYS = (5, 19)  # of a month

# Blocks that the registries list under a country. Their holders are providers and universities.
COUNTRIES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (52, ("81.240.0.0/15", "91.176.0.0/14", "109.128.0.0/14", "84.192.0.0/13", "193.190.0.0/16", "2a02:1800::/24")),
    (15, ("77.160.0.0/12", "62.163.0.0/16", "145.0.0.0/16", "2a02:a440::/26")),
    (10, ("80.10.0.0/16", "82.64.0.0/14", "2a01:cb00::/24")),
    (7, ("84.128.0.0/16", "92.72.0.0/14", "2003::/19")),
    (5, ("81.128.0.0/16", "86.128.0.0/10", "2a00:23c0::/26")),
    (3, ("158.64.0.0/16", "83.99.0.0/17")),
    (4, ("73.0.0.0/8", "2600:1700::/28")),
    (1.5, ("88.0.0.0/11",)),
    (1.5, ("79.0.0.0/10",)),
    (1, ("89.64.0.0/13",)),
)

_WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36"
)
_MAC = _WINDOWS.replace("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7")
_ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Mobile Safari/537.36"
)
_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/{v} Mobile/15E148 Safari/604.1"
)
_SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/{v} Safari/605.1.15"
)
_CHROME = ("156", "155", "154", "150")
_APPLE = ("26.4", "26.1", "18.6")
_FIREFOX = ("151", "150", "140")
# A browser's string with the place of its version, and the versions, the commonest first.
AGENTS: tuple[tuple[float, tuple[str, tuple[str, ...]]], ...] = (
    (25, (_IPHONE, _APPLE)),
    (23, (_ANDROID, _CHROME)),
    (17, (_WINDOWS, _CHROME)),
    (6, (_MAC, _CHROME)),
    (7, (_SAFARI, _APPLE)),
    (7, (_WINDOWS + " Edg/{v}.0.0.0", _CHROME)),
    (4, ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0", _FIREFOX)),
    (3, ("Mozilla/5.0 (X11; Linux x86_64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0", _FIREFOX)),
    (2, ("Mozilla/5.0 (Android 15; Mobile; rv:{v}.0) Gecko/{v}.0 Firefox/{v}.0", _FIREFOX)),
    (2, (_ANDROID.replace("Chrome/", "SamsungBrowser/29.0 Chrome/"), ("136", "130"))),
    (2, (_IPHONE.replace("iPhone; CPU iPhone OS", "iPad; CPU OS"), _APPLE)),
    (1, (_WINDOWS + " OPR/{v}.0.0.0", ("124", "122"))),
    (1, (_WINDOWS.replace("Windows NT 10.0; Win64; x64", "X11; CrOS x86_64 14541.0.0"), _CHROME)),
)


class Source(NamedTuple):
    """Where a visit comes from: the referrer it brings, the pages it lands on, the query it brings along."""

    referrer: str
    lands: tuple[tuple[float, str], ...]
    query: str = ""


_ASKED = ((60, ARTICLE), (18, "/"), (18, "/workshop"), (4, "/contact"))  # somebody looked for an answer
_NAMED = ((70, "/"), (14, "/workshop"), (8, "/articles"), (5, "/contact"), (3, "/members"))  # somebody looked for us
_SHARED = ((88, ARTICLE), (12, "/"))
NEWSLETTER = Source(
    "-",
    ((60, ARTICLE_PATHS[0]), (25, "/workshop"), (15, "/members")),
    "utm_source=newsletter&utm_medium=email&utm_campaign=winter-service",
)
SOURCES: tuple[tuple[float, Source], ...] = (
    (27, Source("-", _NAMED)),
    (6, Source("-", ((1, ARTICLE),))),
    (19, Source("https://www.google.com/", _ASKED)),
    (8, Source("https://www.google.be/", _NAMED)),
    (4, Source("https://www.bing.com/", _ASKED)),
    (4, Source("https://duckduckgo.com/", _ASKED)),
    (2, Source("https://www.ecosia.org/", _ASKED)),
    (1, Source("https://search.brave.com/", _ASKED)),
    (3, Source("https://www.facebook.com/", _SHARED)),
    (2, Source("https://l.facebook.com/", _SHARED, "fbclid=IwAR{token}")),
    (2, Source("https://www.instagram.com/", _NAMED)),
    (2, Source("https://www.reddit.com/r/bikecommuting/comments/1k2x9pd/winter_chain_care/", ((1, ARTICLE_PATHS[0]),))),
    (1, Source("https://www.linkedin.com/", ((1, ARTICLE_PATHS[2]),))),
    (1, Source("https://mastodon.social/", _SHARED)),
    (3, Source("https://chatgpt.com/", _ASKED, "utm_source=chatgpt.com")),
    (1, Source("https://www.perplexity.ai/", _ASKED)),
    (1, Source("https://claude.ai/", _ASKED)),
    (1, Source("https://gemini.google.com/", _ASKED)),
    (2, Source("https://mail.google.com/", ((60, "/workshop"), (40, "/contact")))),
    (1, Source("https://outlook.live.com/", ((1, "/workshop"),))),
    (1, Source("-", ((1, "/contact"),), "email=someone%40example.org")),  # a mail tool that leaks: see what is kept
    (4, Source("https://www.google.com/", ((1, "/workshop"),),
               "utm_source=google&utm_medium=cpc&utm_campaign=e-bike-service&gclid=Cj0KCQ{token}")),
    (2, Source("https://www.instagram.com/", ((1, ARTICLE_PATHS[2]),),
               "utm_source=instagram&utm_medium=paid_social&utm_campaign=cargo-weekend")),
    (2, Source("https://gent-op-de-fiets.example/routes/leie", ((1, ARTICLE_PATHS[3]),))),
    (2, Source("https://buurtkrant.example/handelaars?page=2", _NAMED, "ref=buurtkrant")),
    (1, Source("https://oude-links.example/", ((70, LOST), (30, "/articles/winter-tyres")))),
)  # fmt: skip

# Where people go from a page; "" is away.
FROM_ARTICLE = ((43, ""), (20, ARTICLE), (9, "/articles"), (9, "/"), (7, "/workshop"), (3, "/members"))
FROM_NOWHERE = ((62, ""), (28, "/"), (10, "/articles"))
WAYS: dict[str, tuple[tuple[float, str], ...]] = {
    "/": (
        (30, ""),
        (25, "/workshop"),
        (16, ARTICLE),
        (11, "/articles"),
        (9, "/contact"),
        (8, "/members"),
        (1, "/choice"),
    ),
    "/workshop": ((36, ""), (27, "/contact"), (13, "/"), (9, "/articles"), (6, "/members"), (1, "/choice")),
    "/articles": ((20, ""), (66, ARTICLE), (8, "/"), (6, "/workshop")),
    "/contact": ((58, ""), (14, "/"), (14, "/workshop"), (6, "/articles")),
    "/members": ((40, ""), (16, "/choice"), (14, ARTICLE), (14, "/contact"), (10, "/")),
    "/choice": ((54, ""), (30, "/members"), (16, "/")),
}

# Programs: what they call themselves, a block they come from, pages a day.
BOTS: tuple[tuple[str, str, float], ...] = (
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "66.249.64.0/19", 9),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "157.55.39.0/24", 6),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3; +https://openai.com/gptbot)",
     "20.171.206.0/24", 5),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
     "216.73.216.0/22", 4),
    ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "54.36.148.0/22", 4),
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "173.252.64.0/18", 2),
    ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "216.144.248.16/28", 24),
    ("python-requests/2.32.5", "3.0.0.0/9", 2),
)  # fmt: skip
PROBES = ("/wp-login.php", "/.env", "/xmlrpc.php", "/phpmyadmin/", "/wp-admin/setup-config.php")
PROBER = "Mozilla/5.0 zgrab/0.x"
PROBER_BLOCK = "3.0.0.0/9"
