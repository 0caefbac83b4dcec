"""What strangers send on purpose, against a real server: broken HTTP, bodies made to hurt, addresses made to deceive.

Whatever comes is answered with a refusal or not at all, quickly, without a fault inside and without a word about
anybody else; and whoever comes next is served.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from consent_gateway.openapi import document
from tests.faults.servers import choose, cookie_of
from tests.running import Answer, Site, files_with

SECRET, TOKEN = "only-those-who-sign-know-this-secret-0", "a-token-for-the-metrics-only"
SECONDS = 20.0  # for what should take milliseconds, on a loaded machine
SHARED = re.compile(
    r"/(site|more)(\.[0-9a-f]{16})?\.js|/page\.css|/openapi\.json|/notices/.*|/\.well-known/.*|/dashboard/.*"
)
PROXIES = {"arguments": ["--no-proxy-headers"], "TRUSTED_PROXIES": "127.0.0.1/32"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("hostile"), SITE="shop", SECRET=SECRET, METRICS_TOKEN=TOKEN) as site:
        site.wait_for("the back office", site.office_answers)
        yield site


@pytest.fixture(autouse=True)
def goes_on(site: Site) -> Iterator[None]:
    """After each test: nothing failed inside, and the next one is served."""
    yield
    assert "a fault inside the gateway" not in site.log()
    assert site.get("/").status == 200 and site.get("/_cg/state").status == 200


def raw(site: Site, data: bytes, silence: float = SECONDS) -> bytes:
    """What comes back for these bytes, until the server closes or has said nothing for so long."""
    with closing(socket.create_connection(("127.0.0.1", site.port), SECONDS)) as line:
        line.settimeout(silence)
        with suppress(OSError):
            line.sendall(data)
        answer = b""
        with suppress(OSError):
            while more := line.recv(65536):
                answer += more
        return answer


# headers


def every_answer(site: Site) -> Iterator[tuple[str, Answer]]:
    """Every route of the OpenAPI document, by every method, and what is no route."""
    notice = site.get("/_cg/state").json()["notice"]
    style = re.search(r"/_cg(/dashboard/\w+\.css)", site.get("/_cg/sign-in").text)
    assert style
    paths = [*document()["paths"], f"/_cg{style[1]}", "/_cg/", "/_cg/nothing", "/_cg/site.0123456789abcdef.js"]
    for path in paths:
        path = path.replace("{sha256}", notice).replace("{report}", "pages")
        for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"):
            yield path, site.request(method, path, {"Content-Type": "application/json"}, b"{}")
            yield path, site.request(method, f"{path}?language=%22%3E%3Cscript%3E&token=x")
    yield "/_cg/events", site.post("/_cg/events", {"type": "page_view", "url": "http://127.0.0.1/"})


def test_security_headers_and_a_strict_policy_on_everything(site: Site) -> None:
    seen = 0
    for path, answer in every_answer(site):
        seen += 1
        headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy and "*" not in policy and "http" not in policy, path
        assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), path
        assert b"<script>" not in answer.body, path
        kept = headers["Cache-Control"]
        shared = SHARED.fullmatch(path.removeprefix("/_cg")) and answer.status == 200
        assert kept == "no-store" or (shared and ("public" in kept or kept == "no-cache")), (path, answer.status, kept)
    assert seen > 250


# caches


def test_what_looks_like_a_file_tells_nobody_about_anybody(site: Site) -> None:
    cookie = {"cg": cookie_of(choose(site, "accept_all"))}
    person = site.get("/_cg/me", cookies=cookie).json()["consent_id"]
    assert len(person) == 22
    names = ("state", "me", "receipt", "privacy", "stats/pages", "dashboard")
    ends = ("/x.css", ";.css", ".css", "%2Fx.css", "%00.css", "/.css", "//x.js", "?x.css", "/..%2fsite.js", "%3b.png")
    for path in (*(f"{name}{end}" for name in names for end in ends), "/me", "%6d%65", "site.js/../me", "page.css/me"):
        answer = site.get(f"/_cg/{path}", {"Accept": "text/css"}, cookie)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert answer.status in (401, 404) or "?" in path or path in ("%6d%65",), path
        if answer.status == 404:
            assert person.encode() not in answer.body


def test_nothing_that_a_cache_may_keep_depends_on_who_asks(site: Site) -> None:
    cookie = {"cg": cookie_of(choose(site, "accept_all"))}
    notice = site.get("/_cg/state").json()["notice"]
    poison = {
        "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "X-Original-URL": "/_cg/me", "DNT": "1",
        "X-Rewrite-URL": "/_cg/me", "X-Forwarded-Scheme": "http", "Forwarded": "host=evil.example", "Sec-GPC": "1",
        "X-HTTP-Method-Override": "POST", "Host": "evil.example", "Origin": "https://evil.example",
        "Accept-Language": "nl", "X-Forwarded-For": "203.0.113.9", "User-Agent": '"><script>',
    }  # fmt: skip
    shared = ["/_cg/site.js", "/_cg/more.js", "/_cg/page.css", f"/_cg/notices/{notice}"]
    for path in (*shared, "/.well-known/gpc.json", "/.well-known/cg-keys.json"):
        plain = site.get(path)
        assert "public" in plain.headers["Cache-Control"], path
        if "notices" in path:
            poison = {name: value for name, value in poison.items() if name != "Origin"}  # that one is answered 403
        answer = site.get(path, poison, cookie)
        assert answer.body == plain.body and b"evil" not in answer.body, path
        assert not answer.headers["Set-Cookie"] and "evil" not in str(answer.headers.items()), path
        assert not answer.headers["Access-Control-Allow-Origin"], path


# paths


@pytest.mark.parametrize(
    "path",
    [
        "notices/../../keys/secret", "notices/%2e%2e%2f%2e%2e%2fkeys%2fsecret", "notices/..%5c..%5ckeys%5csecret",
        "notices/" + "0" * 64, "notices/%00", "dashboard/../../../../etc/passwd", "site.../../../../etc/passwd.js",
        "site.0123456789abcdef.js/../../data/ledger/stops", "stats/../../secret", "stats/pages%00", "page.css/../../x",
        "./state/..", "..%c0%af..%c0%afetc/passwd", "%252e%252e%252fkeys",
    ],
)  # fmt: skip
def test_a_path_leads_to_no_file(site: Site, path: str) -> None:
    answer = raw(site, f"GET /_cg/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.1 40[014]", head), head
    kept = [file.read_bytes() for file in site.keys_dir.iterdir() if file.is_file() and file.stat().st_size > 16]
    assert b"root:" not in body and SECRET.encode() not in body and not any(secret in body for secret in kept)


# bodies

DEEP = [
    b"[" * 200_000,
    b'{"a":' * 40_000,
    b'[{"type":"page_view","url":"http://a/","props":' + b'{"a":' * 20_000,
    b'{"props":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
]
ODD = [
    b"",
    b"\0",
    b"\xef\xbb\xbf{}",
    '{"type":"page_view"}'.encode("utf-16"),
    b'"\xed\xa0\x80"',
    b'{"type":"page_view","url":"\\ud800"}',
    b'{"type":"page_view","url":1e999999}',
    b'{"type":"page_view","url":' + b"9" * 200_000 + b"}",
    b'{"type":"page_view","type":"custom","url":"http://a/","url":"http://b/"}',
    b'{"action":"reject_all","action":"accept_all"}',
    b'{"type":"page_view","url":"http://a/","age_ms":-0.0,"engaged_ms":NaN}',
    b'{"type":"page_view","url":"http://a/","scroll_pct":Infinity}',
    b'{"__proto__":{"type":"page_view"},"constructor":{}}',
    b'{"type":"page_view","url":"http://a/","props":{"\\u0000":"\\u0000"}}',
]
FLOODS = [
    b"{" + b",".join(b'"key%d":1' % number for number in range(20_000)) + b"}",
    b'{"type":"custom","url":"http://a/","props":{' + b",".join(b'"%d":"x"' % n for n in range(20_000)) + b"}}",
    b"&".join(b"k%d=1" % number for number in range(25_000)),
    b"[" + b",".join([b"0"] * 100_000) + b"]",
]


@pytest.mark.parametrize("route", ["events", "choice", "rights", "receipt/verify"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_that_is_made_to_hurt_is_refused_at_once(site: Site, route: str, kind: str) -> None:
    for body in (*DEEP, *ODD, *FLOODS):
        began = time.monotonic()
        answer = site.post(f"/_cg/{route}", body, {"Content-Type": kind, "Sec-Fetch-Site": "same-origin"})
        refused = answer.status in (403, 404, 413, 415, 422, 429) or answer.text == '{"genuine":false}'
        assert refused or (route == "events" and answer.status == 204 and b"page_view" in body), (body[:40], answer)
        assert time.monotonic() - began < SECONDS
        assert not answer.headers["Set-Cookie"] and len(answer.body) < 50_000, "no larger than what asked for it"


def test_tricks_of_unicode_reach_no_other_place(site: Site) -> None:
    """What stands for a slash, a dot or nothing stays a letter; overrides of the writing direction go."""
    urls = [f"http://127.0.0.1/a{mark}b/..\uff0f..\u2215x" for mark in ("\u202e", "\u2028", "\ufeff", "\0", "\u0301")]
    events = [{"type": "custom", "url": url, "name": "n\u202ename", "props": {"a\u0000": "\u2028"}} for url in urls]
    answer = site.post("/_cg/events", events)
    assert answer.status in (204, 200, 422)
    assert site.post("/_cg/events", '{"type":"page_view","url":"http://127.0.0.1/\\ud83d"}').status in (204, 415, 422)


# HTTP itself


def posted(more: str, body: bytes = b"") -> bytes:
    return f"POST /_cg/events HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n{more}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "data",
    [
        posted("Content-Length: -1", b"{}"),
        posted("Content-Length: 99999999999999999999", b"{}"),
        posted("Content-Length: 2\r\nContent-Length: 5", b"{}abc"),
        posted("Content-Length: 2\r\nTransfer-Encoding: chunked", b"0\r\n\r\nGET /_cg/me HTTP/1.1\r\nHost: x\r\n\r\n"),
        posted("Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n"),
        posted("Transfer-Encoding: chunked", b"ffffffffffffffffff\r\n{}"),
        posted("Transfer-Encoding: chunked", b"2\r\n{}GET / HTTP/1.1\r\n\r\n"),
        posted("Transfer-Encoding: chunked, identity", b"2\r\n{}\r\n0\r\n\r\n"),
        posted("X-A: b\r\n folded: yes\r\nContent-Length: 2", b"{}"),
        posted("X-A: \0\r\nContent-Length: 2", b"{}"),
        posted("X-A: " + "a" * 200_000 + "\r\nContent-Length: 2", b"{}"),
        posted("\r\n".join(f"X-{number}: {number}" for number in range(5_000)) + "\r\nContent-Length: 2", b"{}"),
        b"GET /_cg/state\r\n\r\n",
        b"GET http://evil.example/_cg/state HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 1000,
    ],
)
def test_broken_http_gets_no_event_in_and_harms_nobody(site: Site, data: bytes) -> None:
    began = time.monotonic()
    answer = raw(site, data, silence=0.7)  # to some it says nothing, and waits for more
    assert time.monotonic() - began < SECONDS
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
    assert b"204" not in statuses and (not statuses or len(statuses) == 1), answer[:200]
    assert b"consent_id" not in answer


def test_slow_bodies_hold_nobody_up(site: Site) -> None:
    granted = {"cg": cookie_of(choose(site, "accept_all"))}
    with ExitStack() as slow:
        for route in ("events", "choice", "rights", "receipt/verify") * 15:
            line = slow.enter_context(closing(socket.create_connection(("127.0.0.1", site.port), SECONDS)))
            head = f"POST /_cg/{route} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nContent-Type: application/json\r\n"
            line.sendall(f"{head}Content-Length: 2000\r\n\r\n{{".encode())
        began = time.monotonic()
        assert site.get("/").status == 200
        assert site.post("/_cg/choice", {"action": "withdraw"}, cookies=granted).json()["status"] == "withdrawn"
        assert site.post("/_cg/events", {"type": "page_view", "url": "http://127.0.0.1/"}).status == 204
        assert time.monotonic() - began < SECONDS


def test_no_header_and_no_line_of_the_log_is_made_of_what_was_sent(site: Site) -> None:
    split = "x%0d%0aSet-Cookie:%20evil=1%0d%0a%0d%0a<script>"
    form = {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"http://127.0.0.1:{site.port}/{split}"}
    answers = [
        site.get(f"/_cg/privacy?language={split}&done={split}"),
        site.get(f"/_cg/state?language={split}"),
        site.get(f"/_cg/sign-in?next={split}&token={split}"),
        site.get(f"/_cg/dashboard?next={split}"),
        site.get(f"/_cg/me?format=html&language={split}"),
        site.post("/_cg/choice", f"action=reject_all&language={split}", form),
        site.post("/_cg/choice", "action=reject_all", form),
        site.post("/_cg/rights", f"right=object&language={split}&note={split}", form),
    ]
    for answer in answers:
        assert "evil" not in " ".join(answer.headers.get_all("Set-Cookie") or []), answer.headers.items()
        assert "\n" not in (answer.headers["Location"] or "") and b"<script>" not in answer.body
    raw(site, b"GET /page/x%0aERROR:evil%1b[31m HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nConnection: close\r\n\r\n")
    assert not re.search(r"(?m)^(ERROR:)?evil", site.log()) and "\x1b[31m" not in site.log()


# secrets


def test_no_secret_is_in_a_log_an_answer_or_a_command_line(site: Site) -> None:
    secrets = [SECRET, TOKEN]
    answers = [
        site.get("/boom"),
        site.get("/_cg/metrics", {"Authorization": f"Bearer {TOKEN[:-1]}x"}),
        site.get("/_cg/metrics", {"Authorization": f"Bearer {TOKEN}"}),
        site.get("/_cg/health", {"Authorization": f"Bearer {TOKEN}"}),
        site.get("/_cg/state", {"Cookie": f"cg={SECRET}"}),
    ]
    assert answers[2].status == 200, "the right one opens"
    said = site.log() + "".join(answer.text for answer in answers)
    for pid in (*site.worker_pids, site.office_pid):
        said += Path(f"/proc/{pid}/cmdline").read_text()
    office = Path(f"/proc/{site.office_pid}/environ").read_bytes().decode()
    assert not any(secret in said for secret in secrets)
    assert SECRET in office, "who may read a process's environment is its user"
    site.forwarded()
    kept = [site.data_dir / name for name in ("audit", "books", "ledger", "notices", "rights", "tmp")]
    kept = [folder for folder in kept if folder.exists()]
    assert len(kept) > 3 and [files_with(folder, *secrets) for folder in kept] == [[]] * len(kept)
