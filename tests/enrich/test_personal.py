# ruff: noqa: RUF001
"""What gives a person away, and what must not be mistaken for it."""

from __future__ import annotations

import base64
import uuid
from ipaddress import IPv4Address, IPv6Address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.enrich.personal import gives_away, scrub_text

from .spellings import addresses, embedded, left_of, spellings_of

GIVES_AWAY = """
203.0.113.77              x203.0.113.77y            v1.203.0.113.77           203.0.113.77:8080
203-0-113-77              ip-203-0-113-77           203_0_113_77              host-12-203-0-113-77
0313.0.0161.0115          0xcb.0x0.0x71.0x4d        0xcb00714d                cb00714d
3405803853                203%2E0%2E113%2E77        203%252E0%252E113%252E77  %32%30%33.0.113.77
２０３．０．１１３．７７  203。0。113。77           ٢٠٣.٠.١١٣.٧٧              ②⓪③.0.113.77
2001:db8::1               [2001:db8::1]             [2001:db8::1]:443         2001:DB8:0:0:0:0:0:1
2001%3Adb8%3A%3A1         2001%253adb8%253a%253a1   fe80::1%25eth0            fe80::1%eth0
::ffff:203.0.113.77       ::ffff:cb00:714d          2002:cb00:714d::1         64:ff9b::cb00:714d
2001:0:cb00:7101:0:fbff:34ff:8eb2                   2001：db8：：1            2001-db8--1
2001-db8-0-0-0-0-0-1      20010db8000000000000000000000001                    00:1a:2b:3c:4d:5e
alice@example.com         alice%40example.com       alice%2540example.com     a.b+c@mail.example.co.uk
alice＠example.com        to:alice@münchen.example  alice(at)example.com      @alice@mastodon.example
550e8400-e29b-41d4-a716-446655440000                d41d8cd98f00b204e9800998ecf8427e
eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x  GA1.2.123456789.1712345678
dGhlIHF1aWNrIGJyb3duIGZveA==                        ab12-cd34-ef56-ab78-cd90
ABCDE-FGHIJ-KLMNO-PQRST-UVWXY                       sess_9f8e7d6c5b4a39281706
abcdefghijklmnopqrst      20.%30.%30.%31            %25252525252531           a%E2%80%8B@b.example
"""

HARMLESS = """
about                     how-to-write-a-privacy-policy-2024                  2024-01-15
2024-01-15-10-things-to-do-in-ghent                 covid19-maatregelen-voor-scholen
jquery-3.6.0.min.js       wat-is-de-gdpr-en-wat-betekent-ze-voor-u            20240115
12345678                  iphone15-vs-galaxy-s24    v1.2.3                    android-14.0.1-release-notes
react@18.2.0              @alice                    std::vector               12:30:45
caf%C3%A9                 über-uns-und-unsere-arbeit                          политика-конфиденциальности
100%25                    50%-off                   WordPress-and-GDPR-in-practice
index.html                Belgium_national_football_team                     Art._6_GDPR_lawful_processing
kyocera-KPC650-EVDO-in-FreeBSD.html                   asus-k8n-dl-sata-boot-linux.html
logstash-1.1.0beta6-monolithic.jar                  jquery.batchImageLoad.js
1-2-3                     top-10-of-2024-and-2023   summer_sale               deadbeef-cafe
"""


@pytest.mark.parametrize("text", GIVES_AWAY.split())
def test_gives_away(text: str) -> None:
    assert gives_away(text)
    assert scrub_text(f"see {text} there") == "*" or text in {"cb00714d", "3405803853"}  # only when they are the whole


@pytest.mark.parametrize("text", HARMLESS.split())
def test_harmless(text: str) -> None:
    assert not gives_away(text)
    assert scrub_text(text) == text


@given(addresses, st.data())
def test_no_spelling_of_an_address_is_kept(address: IPv4Address | IPv6Address, data: st.DataObject) -> None:
    text = data.draw(embedded(address))
    assert scrub_text(text) == "*"
    assert not left_of(address, scrub_text(text))


@given(addresses)
def test_every_spelling_is_known_by_itself(address: IPv4Address | IPv6Address) -> None:
    assert [text for text in spellings_of(address) if not gives_away(text)] == []


def test_random_tokens_are_tokens() -> None:
    chance = Random(2)  # fixed, as a base64url token may read like words by chance: 1 in 10 000
    kept = 0
    for _ in range(2000):
        assert gives_away(chance.randbytes(10).hex()) and gives_away(str(uuid.UUID(bytes=chance.randbytes(16))))
        kept += not gives_away(base64.urlsafe_b64encode(chance.randbytes(16)).decode().rstrip("="))
    assert kept <= 1


@given(st.text())
def test_any_text_is_scrubbed_once_and_for_all(text: str) -> None:
    once = scrub_text(text)
    assert scrub_text(once) == once
    assert once.isprintable() and len(once) <= 300


@given(st.text(alphabet="%2.-_:[]@ae10", max_size=400))
def test_near_addresses_are_scrubbed_once_and_for_all(text: str) -> None:
    for limit in (10, 100, 300):
        once = scrub_text(text, limit)
        assert scrub_text(once, limit) == once and len(once) <= limit


def test_what_would_grow_without_end_is_not_judged_but_dropped() -> None:
    """U+FDFA stands for eighteen characters: a request full of it would cost a worker a second."""
    assert scrub_text("\ufdfa" * 200) == "*"
    assert scrub_text("peace \ufdfa on him") == "peace \ufdfa on him"
    assert scrub_text("각" * 9) == "각" * 9


def test_long_values_are_cut_and_endless_ones_dropped() -> None:
    assert scrub_text("a word " * 100, 20) == "a word a word a word"
    assert scrub_text("a word " * 1000) == "*"
    assert scrub_text("half \ud800 of a\npair\x00") == "half  of apair"
