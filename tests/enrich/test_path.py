"""URLs lose what could identify a person, and nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.enrich import campaign
from consent_gateway.enrich.path import read_page, scrub_host, scrub_path, scrub_segment, split_url
from consent_gateway.enrich.referrer import trace

from .spellings import Address, addresses, embedded, left_of

PATHS = [
    # given                                         kept
    ("", "/"),
    ("/", "/"),
    ("*", "/*"),
    ("about", "/about"),
    ("/articles/how-to-write-a-privacy-policy-2024", "/articles/how-to-write-a-privacy-policy-2024"),
    ("/users/alice@example.com/edit", "/users/*/edit"),
    ("/users/alice%40example.com/edit", "/users/*/edit"),
    ("/whois/203.0.113.77", "/whois/*"),
    ("/whois/%32%30%33.0.113.77/", "/whois/*/"),
    ("/whois/2001%253Adb8%253A%253A1", "/whois/*"),
    ("/reset/eyJhbGciOiJIUzI1NiJ9.e30.abcdef", "/reset/*"),
    ("/shop;jsessionid=1A530637289A03B0/cart", "/shop/cart"),
    ("/a//b", "/a//b"),
    ("/café", "/caf%C3%A9"),
    ("/caf%C3%A9", "/caf%C3%A9"),
    ("/a b\x00\n", "/a%20b"),
    ("/page?user=1#top", "/page"),
]


@pytest.mark.parametrize(("given", "kept"), PATHS)
def test_paths(given: str, kept: str) -> None:
    assert scrub_path(given) == kept
    assert scrub_path(given) == kept  # also when remembered


PAGES = [
    ("https://Example.com:8443/a?utm_source=x&id=7#f", ("example.com", "/a", "utm_source=x", {"utm_source": "x"})),
    ("https://alice:secret@example.com/", ("example.com", "/", "", {})),
    ("https://example.com", ("example.com", "/", "", {})),
    ("https://example.com?ref=hn", ("example.com", "/", "ref=hn", {"ref": "hn"})),
    ("https://example.com#@evil.example/", ("example.com", "/", "", {})),
    ("/path?REF=a&ref=b", ("", "/path", "ref=a", {"ref": "a"})),
    ("//double/slash", ("", "//double/slash", "", {})),
    ("http://203.0.113.77:8000/a", ("*", "/a", "", {})),
    ("http://[2001:db8::1]:8000/a", ("*", "/a", "", {})),
    ("http://3405803853/", ("*", "/", "", {})),
    ("http://203-0-113-77.isp.example/", ("*", "/", "", {})),
    ("https://xn--mnchen-3ya.example/", ("xn--mnchen-3ya.example", "/", "", {})),
    ("https://münchen.example/", ("xn--mnchen-3ya.example", "/", "", {})),
    ("https://9f8e7d6c5b4a39281706aa.cdn.example/", ("*.cdn.example", "/", "", {})),
    ("mailto:alice@example.com", ("", "/*", "", {})),
    ("http://[::1", ("*", "/", "", {})),
    ("http://exa mple/", ("", "/", "", {})),
    ("", ("", "/", "", {})),
]


@pytest.mark.parametrize(("url", "page"), PAGES)
def test_pages(url: str, page: tuple[str, str, str, dict[str, str]]) -> None:
    assert read_page(url) == page


def test_split_url_tells_the_host_as_it_stands() -> None:
    assert split_url("HTTP://127.0.0.1:8000/a?b#c") == ("http", "127.0.0.1", "/a", "b")


@given(addresses, st.data())
def test_no_spelling_of_an_address_is_kept(address: Address, data: st.DataObject) -> None:
    text = data.draw(embedded(address).filter(lambda text: "/" not in text))
    for url in (
        f"/who/{text}/is", f"https://site.example/{text}", f"https://site.example/a?utm_term={text}&x={text}#{text}",
        f"https://{text}@site.example/?UTM_Source={text}&ref={text}", f"https://{text}/", f"https://{text}.example/",
        f"https://{text}:80/", f"/a;x={text}/b", text,
    ):  # fmt: skip
        page = read_page(url)
        assert not left_of(address, page.host, page.path, page.query, *page.campaign.values()), url


urls = st.one_of(
    st.text(),
    st.text(alphabet="/%2eaé?#;:@[].-&=*\\ \x00\ud800"),
    st.builds(lambda *parts: "".join(parts), st.sampled_from(["http://", "//", "/", ""]), st.text(), st.text()),
)


@given(urls)
def test_any_url_is_scrubbed_once_and_for_all(url: str) -> None:
    page = read_page(url)
    assert scrub_path(page.path) == page.path and page.path.startswith("/")
    assert len(page.path) <= 500 and page.path.isascii() and page.path.isprintable()
    assert page.host.isascii() and len(page.host) <= 253 and scrub_host(page.host) == page.host
    assert campaign.read(page.query) == (page.query, page.campaign)
    segment = scrub_segment(url)
    assert scrub_segment(segment) == segment


def test_paths_are_cut_between_segments() -> None:
    assert scrub_path("/a" * 400) == "/a" * 250
    assert scrub_path("/" + "é" * 400) == "/*"
    assert scrub_path("/ok/" + "x y " * 400) == "/ok"


HOSTILE = [part * 17_000 for part in ("a", "::", "a@", "1.", "%25", "/1-", "é", "a.")]
HOSTILE += ["/ab" * 160 + "/%", "a-" * 240 + "!", "a." * 120 + "!"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_lengths_cost_little(text: str) -> None:
    start = time.thread_time()
    read_page(text)
    read_page(f"http://{text}?utm_source={text}")
    trace(f"http://{text}.example/{text}", frozenset(), {"utm_source": text, "utm_medium": text})
    assert time.thread_time() - start < 0.2


def test_campaign_values_are_few_and_short() -> None:
    query, values = campaign.read(
        "utm_term=b&x=1&UTM_SOURCE=A+b&utm%5Fmedium=cpc&utm_source=second&utm_content=&gclid=Cj0"
    )
    assert query == "utm_source=A%20b&utm_medium=cpc&utm_term=b"
    assert values == {"utm_source": "A b", "utm_medium": "cpc", "utm_term": "b"}
    assert len(campaign.read("utm_campaign=" + "word+" * 100)[1]["utm_campaign"]) <= 100
    assert campaign.read("utm_campaign=alice%40example.com") == ("utm_campaign=*", {"utm_campaign": "*"})
    assert campaign.read("&".join(["x=1"] * 3000) + "&utm_source=late") == ("", {})
