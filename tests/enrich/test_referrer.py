# ruff: noqa: E501
"""Where visits come from."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.enrich.referrer import _HOSTS, CHANNELS, known_host, trace

from .spellings import Address, addresses, embedded, left_of

OWN = frozenset({"site.example", "127.0.0.1"})

ORIGINS = """
referrer                                     campaign                                    channel      source         host
-                                            -                                           direct       -              -
about:client                                 -                                           direct       -              -
file:///C:/home/alice/index.html             -                                           direct       -              -
chrome-extension://abcdefgh/x                -                                           direct       -              -
https://site.example/a                       -                                           internal     -              -
https://WWW.site.example:443/a               -                                           internal     -              -
http://127.0.0.1:8000/a                      -                                           internal     -              -
https://www.google.com/                      -                                           search       Google         www.google.com
https://www.google.co.uk/search?q=x          -                                           search       Google         www.google.co.uk
https://google.be/                           -                                           search       Google         google.be
https://news.google.com/                     -                                           referral     Google_News    news.google.com
https://google.evil.example/                 -                                           referral     google.evil.example google.evil.example
https://notgoogle.com/                       -                                           referral     notgoogle.com  notgoogle.com
https://duckduckgo.com/                      -                                           search       DuckDuckGo     duckduckgo.com
https://be.search.yahoo.com/                 -                                           search       Yahoo          be.search.yahoo.com
https://yandex.com.tr/                       -                                           search       Yandex         yandex.com.tr
https://lm.facebook.com/l.php?u=x            -                                           social       Facebook       lm.facebook.com
https://t.co/abc                             -                                           social       X              t.co
https://lnkd.in/abc                          -                                           social       LinkedIn       lnkd.in
https://www.pinterest.fr/                    -                                           social       Pinterest      www.pinterest.fr
https://news.ycombinator.com/item?id=1       -                                           social       Hacker_News    news.ycombinator.com
https://chatgpt.com/                         -                                           ai           ChatGPT        chatgpt.com
https://gemini.google.com/app                -                                           ai           Gemini         gemini.google.com
https://copilot.microsoft.com/               -                                           ai           Copilot        copilot.microsoft.com
https://mail.google.com/mail/u/0/            -                                           mail         Gmail          mail.google.com
android-app://com.google.android.gm/         -                                           mail         Gmail          com.google.android.gm
android-app://com.google.android.googlequicksearchbox/https/www.google.com - search Google com.google.android.googlequicksearchbox
https://www.blog.example/post                -                                           referral     blog.example   www.blog.example
http://203.0.113.77/x                        -                                           referral     *              *
https://www.google.com/                      utm_source=google,utm_medium=cpc            paid_search  Google         www.google.com
-                                            utm_source=fb,utm_medium=CPC                paid_social  Facebook       -
-                                            utm_source=acme,utm_medium=paid_social      paid_social  acme           -
-                                            utm_source=acme,utm_medium=ppc              paid_search  acme           -
-                                            utm_source=acme,utm_medium=email            mail         acme           -
https://t.co/x                               utm_medium=newsletter                       mail         X              t.co
-                                            utm_source=Acme,utm_medium=social-media     social       acme           -
-                                            utm_source=acme,utm_medium=affiliate        affiliate    acme           -
-                                            utm_source=acme,utm_medium=banner           display      acme           -
-                                            utm_source=taboola,utm_medium=cpc           display      Taboola        -
-                                            utm_source=chatgpt.com                      ai           ChatGPT        -
-                                            utm_source=newsletter                       mail         Newsletter     -
-                                            utm_source=LinkedIn,utm_medium=organic      social       LinkedIn       -
https://blog.example/                        utm_campaign=spring                         campaign     blog.example   blog.example
https://site.example/a                       utm_campaign=spring                         campaign     -              -
-                                            utm_source=poster                           campaign     poster         -
-                                            ref=producthunt                             social       Product_Hunt   -
-                                            ref=footer                                  referral     footer         -
https://site.example/a                       ref=footer                                  internal     -              -
https://blog.example/                        ref=footer                                  referral     blog.example   blog.example
https://blog.example/                        ref=hn                                      social       Hacker_News    blog.example
"""


@pytest.mark.parametrize("row", ORIGINS.strip().splitlines()[1:])
def test_origins(row: str) -> None:
    referrer, given, channel, source, host = ("" if cell == "-" else cell for cell in row.split())
    campaign = dict(pair.split("=") for pair in given.split(",") if pair)
    origin = trace(referrer, OWN, campaign)
    assert (origin.channel, origin.source, origin.host) == (channel, source.replace("_", " "), host)


def test_the_path_is_scrubbed_and_stays_away_when_internal() -> None:
    assert trace("https://blog.example/u/alice@example.com?x", OWN, {}).path == "/u/*"
    assert trace("https://site.example/secret", OWN, {"utm_source": "acme"}) == ("", "", "campaign", "acme")


def test_the_register_is_well_formed() -> None:
    for host, (kind, name) in _HOSTS.items():
        assert re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*(\.\*)?", host), host
        assert kind in CHANNELS and name.isprintable()
        assert known_host(host.replace("*", "co.uk"))[0] == kind
    for kind in ("search", "social"):
        assert len({name for k, name in _HOSTS.values() if k == kind}) >= 40


@given(addresses, st.data())
def test_no_spelling_of_an_address_is_kept(address: Address, data: st.DataObject) -> None:
    text = data.draw(embedded(address).filter(lambda text: "/" not in text))
    for referrer in (f"https://blog.example/{text}?{text}", f"https://{text}/", f"http://{text}.isp.example/x", text):
        for campaign in ({}, {"utm_source": text}, {"ref": text}, {"utm_medium": text}):
            assert not left_of(address, *trace(referrer, OWN, campaign)), referrer


@given(st.text(), st.dictionaries(st.sampled_from(["utm_source", "utm_medium", "ref"]), st.text()))
def test_never_raises(text: str, campaign: dict[str, str]) -> None:
    for referrer in (text, f"https://{text}", f"https://a.example/{text}"):
        assert trace(referrer, OWN, campaign).channel in CHANNELS
