"""One line of an access log: what is read of it, what is a page, what may be shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.replay.accesslog import LONGEST, mask, page_type, parse_line, show
from consent_gateway.rule import address

TIME = "[10/Oct/2023:13:55:36 +0200]"
AT = int(datetime(2023, 10, 10, 11, 55, 36, tzinfo=UTC).timestamp() * 1000)

GOOD = [
    # line, address, method, target, status, size, referrer, user agent
    (f'192.0.2.7 - - {TIME} "GET /a HTTP/1.1" 200 12', "192.0.2.7", "GET", "/a", 200, 12, "", ""),
    (f'192.0.2.7 - bob {TIME} "POST /a HTTP/2.0" 303 -', "192.0.2.7", "POST", "/a", 303, 0, "", ""),
    (f'2001:db8::7 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "-"', "2001:db8::7", "GET", "/", 200, 1, "", ""),
    (f'::ffff:192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1', "192.0.2.7", "GET", "/", 200, 1, "", ""),
    (f'client.example - - {TIME} "GET / HTTP/1.1" 200 1', None, "GET", "/", 200, 1, "", ""),
    (f'- - - {TIME} "GET / HTTP/1.1" 200 1', None, "GET", "/", 200, 1, "", ""),
    (f'192.0.2.7 - a b {TIME} "GET / HTTP/1.1" 200 1', "192.0.2.7", "GET", "/", 200, 1, "", ""),
    (f'192.0.2.7 - - {TIME} "GET /a b HTTP/1.1" 200 1', "192.0.2.7", "GET", "/a b", 200, 1, "", ""),
    (f'192.0.2.7 - - {TIME} "GET /old" 200 1', "192.0.2.7", "GET", "/old", 200, 1, "", ""),
    (f'192.0.2.7 - - {TIME} "-" 408 -', "192.0.2.7", "", "", 408, 0, "", ""),
    (f'192.0.2.7 - - {TIME} "" 400 0', "192.0.2.7", "", "", 400, 0, "", ""),
    (f'192.0.2.7 - - {TIME} "\\x16\\x03\\x01\\x02" 400 150 "-" "-"', "192.0.2.7", "", "", 400, 150, "", ""),
    (f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1 "https://x.example/" "a"', "192.0.2.7", "GET", "/", 200, 1,
     "https://x.example/", "a"),
    (f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "say \\"hi\\""', "192.0.2.7", "GET", "/", 200, 1, "",
     'say "hi"'),
    (f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "say \\x22hi\\x22 \\xc3\\xa9"', "192.0.2.7", "GET", "/", 200, 1,
     "", 'say "hi" é'),
    (f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "back\\\\"', "192.0.2.7", "GET", "/", 200, 1, "", "back\\"),
    (f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "a" "-"', "192.0.2.7", "GET", "/", 200, 1, "", "a"),
    (f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "a" 0.013 [up] "x y" -\r', "192.0.2.7", "GET", "/", 200, 1, "",
     "a"),
    (f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1 0.013', "192.0.2.7", "GET", "/", 200, 1, "", ""),
]  # fmt: skip

BAD = [
    "",
    "-",
    "not a line",
    f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "cut in the middle',
    f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200',
    f'192.0.2.7 - - {TIME} "GET / HTTP/1.1" 2000 1',
    f"192.0.2.7 - - {TIME} GET / HTTP/1.1 200 1",
    '192.0.2.7 - - [10/Okt/2023:13:55:36 +0200] "GET / HTTP/1.1" 200 1',
    '192.0.2.7 - - [31/Feb/2023:13:55:36 +0200] "GET / HTTP/1.1" 200 1',
    '192.0.2.7 - - [10/Oct/2023:25:55:36 +0200] "GET / HTTP/1.1" 200 1',
    '192.0.2.7 - - [10/Oct/2023:13:55:61 +0200] "GET / HTTP/1.1" 200 1',
    '192.0.2.7 - - [10/Oct/2023:13:55:36 +2500] "GET / HTTP/1.1" 200 1',
    '192.0.2.7 - - [10/Oct/0001:00:00:00 +2300] "GET / HTTP/1.1" 200 1',
    '192.0.2.7 - - [10/Oct/9999:23:00:00 -2300] "GET / HTTP/1.1" 200 1',
    f'192.0.2.7 - - {TIME} "GET /{"a" * LONGEST} HTTP/1.1" 200 1',
]


@pytest.mark.parametrize(("line", "host", "method", "target", "status", "size", "referrer", "user_agent"), GOOD)
def test_a_line_is_read(
    line: str, host: str | None, method: str, target: str, status: int, size: int, referrer: str, user_agent: str
) -> None:
    said = parse_line(line)
    assert said is not None
    assert (said.address and address.to_text(said.address)) == host
    assert (said.at, said.method, said.target, said.status, said.size) == (AT, method, target, status, size)
    assert (said.referrer, said.user_agent) == (referrer, user_agent)


@pytest.mark.parametrize("line", BAD)
def test_what_is_no_line_is_none(line: str) -> None:
    assert parse_line(line) is None


@given(st.text() | st.from_regex(r'\S+ - - \[../.../....:..:..:.. .....\] ".*" \d+ .*'))
def test_no_text_is_too_odd(text: str) -> None:
    said = parse_line(text)
    if said is not None:
        page_type(said)
    assert len(show(text)) <= 120
    mask(text)


def test_a_hostile_line_costs_no_more_than_its_length() -> None:
    for piece in (' [10/Oct/2023:13:55:36 +0000] "', '"\\', "[", " ", '" "', "\\x2", "1:", "1.", "%3a"):
        text = "192.0.2.7 - - " + piece * (LONGEST // len(piece) - 20)
        assert parse_line(text) is None
        show(text)


HOSTS = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(lambda word: word != "-")


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@given(
    HOSTS,
    st.datetimes(datetime(1970, 1, 3), datetime(2199, 12, 28)),
    st.integers(-12 * 60, 14 * 60),
    st.sampled_from(["GET", "HEAD", "M-SEARCH"]),
    st.text(st.characters(min_codepoint=33, exclude_categories=["Cs", "Cc", "Z"])),
    st.integers(100, 599),
    WORDS,
    WORDS,
)
def test_what_was_written_is_read(
    host: str, at: datetime, east: int, method: str, path: str, status: int, referrer: str, user_agent: str
) -> None:
    moment = at.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=east)))
    text = (
        f'{host} - - [{moment:%d/%b/%Y:%H:%M:%S %z}] "{method} /{escaped(path)} HTTP/1.1" {status} 7 '
        f'"{escaped(referrer)}" "{escaped(user_agent)}"'
    )
    said = parse_line(text)
    assert said is not None
    assert said.address == address.parse(host)
    assert said.at == int(moment.timestamp()) * 1000
    assert (said.method, said.target, said.status) == (method, f"/{path}", status)
    assert (said.referrer, said.user_agent) == (referrer, user_agent)


PAGES = [
    # method, target, status, type
    ("GET", "/", 200, "page_view"),
    ("GET", "/about", 200, "page_view"),
    ("GET", "/about/", 206, "page_view"),
    ("GET", "/about", 304, "page_view"),
    ("GET", "/a.html", 200, "page_view"),
    ("GET", "/A.HTM?x=1.png", 200, "page_view"),
    ("GET", "/a.php/", 200, "page_view"),
    ("GET", "/shop.jsp;jsessionid=1.2", 200, "page_view"),
    ("GET", "/v1.2/notes", 200, "page_view"),
    ("GET", "/doc/index.html?org/x/Y.class", 200, "page_view"),
    ("GET", "//double", 200, "page_view"),
    ("GET", "http://www.example.eu/a", 200, "page_view"),
    ("GET", "http://www.example.eu", 200, "page_view"),
    ("GET", "/gone", 404, "page_error"),
    ("GET", "/broken.aspx", 500, "page_error"),
    ("GET", "/a.png", 200, None),
    ("GET", "/a.png", 404, None),
    ("GET", "/feed.xml?page=/a", 200, None),
    ("GET", "/.env", 404, None),
    ("GET", "/moved", 301, None),
    ("GET", "/moved", 302, None),
    ("GET", "/odd", 100, None),
    ("GET", "*", 200, None),
    ("GET", "wp-login", 404, None),
    ("HEAD", "/", 200, None),
    ("POST", "/", 200, None),
    ("", "", 400, None),
]


@pytest.mark.parametrize(("method", "target", "status", "kind"), PAGES)
def test_what_a_page_is(method: str, target: str, status: int, kind: str | None) -> None:
    said = parse_line(f'192.0.2.7 - - {TIME} "{method} {target} HTTP/1.1" {status} 1')
    assert said is not None
    assert page_type(said) == kind


HIDDEN = [
    "192.0.2.77", "192.0.2.77:8080", "[2001:db8:1:2:3:4:5:77]", "2001:db8::77", "::ffff:192.0.2.77",
    "2001:db8:1:2:3:4:5:77", "2002:c000:24d::1", "64:ff9b::192.0.2.77", "192-0-2-77", "192%2E0%2e2%2E77",
    "2001%3Adb8%3a1%3A2%3A3%3A4%3A5%3A77", "192\\x2e0\\x2e2\\x2e77", "host-192-0-2-77.example", "eve@example.eu",
    "fe80::77%eth0",
]  # fmt: skip


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("form", ["{}", "{} - -", '- - [x] "GET /{}', 'x "{}"', "x ip={}&y", "x {},{}", "x a/{}/b"])
def test_what_is_shown_holds_no_address(hidden: str, form: str) -> None:
    shown = show(form.replace("{}", hidden))
    assert "*" in shown
    assert not re.search(r"192\W*0\W*2\W*77|77|db8|c000|eve", shown.replace("x2e", "."))


def test_what_is_shown_is_short_printable_and_still_of_use() -> None:
    shown = show(f'192.0.2.7 - - {TIME} "GET /articles/spring HTTP/1.1" 200 \x1b[31m "Firefox/128.0' + "z " * 100)
    assert shown.startswith(f'* - - {TIME} "GET /articles/spring HTTP/1.1" 200 ·[31m "Firefox/128.0')
    assert len(shown) == 120
