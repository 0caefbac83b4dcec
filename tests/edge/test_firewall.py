"""The cookie firewall: every `Set-Cookie` of the site against the policy, and what a withdrawal ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from typer.testing import CliRunner

from consent_gateway.cli import app as command
from consent_gateway.config.policy_file import parse
from consent_gateway.edge.firewall import Firewall, Mode
from consent_gateway.record.books import Books, Tally
from consent_gateway.rule.consent import Consent, Status
from tests.config.test_policy import BRINGS, WORDS, at
from tests.faults.servers import choose, cookie_of
from tests.running import Site

POLICY = f"""
[[purposes]]
id = "marketing"
basis = "consent"
retention_days = 90
names = {WORDS}
texts = {WORDS}
cookies = [
  {{name = "_ad*", days = 90, words = {WORDS}}},
  {{name = "ad_deep", days = 90, path = "/shop", domain = ".shop.example", words = {WORDS}}},
]

[[purposes]]
id = "basket"
basis = "contract"
retention_days = 30
names = {WORDS}
texts = {WORDS}
cookies = [{{name = "basket", words = {WORDS}}}]
"""
NOW = at("2026-11-01")
GRANTED = Consent(Status.GIVEN, frozenset({"marketing"}))
REFUSED = Consent(Status.REFUSED)
OBJECTED = Consent(objection=True)

SEEN = [
    # the site's line, of whom, verdict, and whether it is stripped where that is set
    ("basket=1; Path=/", REFUSED, "allowed", False),
    ("_ad_id=1; Path=/", GRANTED, "allowed", False),
    ("_ad_id=1; Path=/", REFUSED, "refused", True),
    ("_ad_id=1; Path=/", Consent(), "refused", True),
    ("_ad_id=1; Path=/", OBJECTED, "refused", True),
    ("ad_deep=1", REFUSED, "refused", True),
    ("other=1", GRANTED, "undeclared", True),
    ("__Host-cg=1", REFUSED, "allowed", False),
    ("_ad_id=; Max-Age=0", REFUSED, "allowed", False),  # what ends a cookie always passes
    ("other=; max-age=-5; Expires=Thu, 01 Jan 2099 00:00:00 GMT", REFUSED, "allowed", False),
    ("other=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", REFUSED, "allowed", False),
    ("other=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT", REFUSED, "undeclared", True),
    ("other=1; Expires=rubbish", REFUSED, "undeclared", True),
    ("=1", REFUSED, "undeclared", True),
    ("", REFUSED, "undeclared", True),
]  # fmt: skip


@pytest.fixture
def wall(tmp_path: Path) -> Callable[[Mode], Firewall]:
    books = Books(tmp_path)
    return lambda mode: Firewall(parse(POLICY), books, mode, lambda: NOW)


def counts(folder: Path) -> dict[str, int]:
    return {term: count for (_, term), count in Tally(folder).total().items()}


@pytest.mark.parametrize(("line", "whose", "verdict", "strips"), SEEN)
def test_a_cookie_is_judged(
    wall: Callable[[Mode], Firewall], tmp_path: Path, line: str, whose: Consent, verdict: str, strips: bool
) -> None:
    modes: tuple[Mode, ...] = ("report", "strip", "off")
    for mode in modes:
        headers = MutableHeaders(raw=[(b"Content-Type", b"text/html"), (b"Set-Cookie", line.encode()), (b"x", b"y")])
        wall(mode).look(headers.raw, "shop", whose)
        assert (b"Set-Cookie", line.encode()) in headers.raw or (mode == "strip" and strips)
        assert headers.raw[0] == (b"Content-Type", b"text/html") and headers.raw[-1] == (b"x", b"y")
    found = counts(tmp_path)
    assert sum(count for term, count in found.items() if term.startswith(f"cookie.{verdict}.")) == 2
    assert sum(count for term, count in found.items() if term.startswith("cookie.stripped.")) == strips


def test_a_cookie_is_declared_from_the_day_of_its_version_on(tmp_path: Path) -> None:
    clock = [0]
    firewall = Firewall(parse(BRINGS), Books(tmp_path), "strip", lambda: clock[0])
    for day, passes in (("2026-02-28T23:59:59", False), ("2026-03-01", True), ("2026-05-01", False)):
        clock[0] = at(day)
        headers = MutableHeaders(raw=[(b"set-cookie", b"_ad1=1")])
        firewall.look(headers.raw, "shop", GRANTED)
        assert bool(headers.raw) == passes, day


def test_repeated_lines_stay_apart_and_in_order(wall: Callable[[Mode], Firewall]) -> None:
    lines = (b"basket=1", b"other=2", b"_ad_1=3", b"cg=4")
    headers = MutableHeaders(raw=[(b"set-cookie", line) for line in lines])
    assert wall("strip").look(headers.raw, "shop", REFUSED), "it differs by what the visitor chose"
    assert headers.raw == [(b"set-cookie", b"basket=1"), (b"set-cookie", b"cg=4")]


def test_neither_values_nor_names_of_somebody_are_kept(wall: Callable[[Mode], Firewall], tmp_path: Path) -> None:
    token = "Zx81hQ0pLm2Vt7Rk4Wn9Ys3B"
    lines = [f"plain={token}", f"{token}=1", "203.0.113.77=1", "x" * 5000 + "=1", "na me=1", "\xe9=1"]
    headers = MutableHeaders(raw=[(b"set-cookie", line.encode("latin-1")) for line in lines])
    wall("report").look(headers.raw, "shop", REFUSED)
    found = {term for term in counts(tmp_path) if term.startswith("cookie.")}
    assert found == {"cookie.undeclared.plain", "cookie.undeclared.*"}
    assert not any(token.encode() in path.read_bytes() for path in (tmp_path / "books").iterdir())


def test_a_site_that_sets_a_new_name_each_time_fills_nothing(wall: Callable[[Mode], Firewall], tmp_path: Path) -> None:
    firewall = wall("report")
    for number in range(1000):
        firewall.look([(b"set-cookie", f"c{number}=1".encode())], "shop", REFUSED)
    found = [term for term in counts(tmp_path) if term.startswith("cookie.")]
    assert len(found) <= 201 and counts(tmp_path)["cookie.undeclared.*"] == 800


@given(st.binary(max_size=60), st.sampled_from(["report", "strip"]))
def test_no_line_makes_it_fail(line: bytes, mode: Mode) -> None:
    headers = MutableHeaders(raw=[(b"set-cookie", line), (b"a", b"b")])
    Firewall(parse(POLICY), Nothing(), mode, lambda: NOW).look(headers.raw, "shop", REFUSED)  # type: ignore[arg-type]
    assert headers.raw[-1] == (b"a", b"b")


class Nothing:
    def count(self, *_: Any) -> None: ...


DEEP = "ad_deep=; Path=/shop; Max-Age=0; Domain=shop.example"
ENDED = [
    # what the browser sent, before, after, the lines
    ("_ad_1=x; basket=y", GRANTED, REFUSED, ["_ad_1=; Path=/; Max-Age=0", DEEP]),
    ("_ad_1=x", Consent(), REFUSED, ["_ad_1=; Path=/; Max-Age=0"]),  # left from before there was a gateway
    ("basket=y", Consent(), REFUSED, []),
    ("_ad_1=x", GRANTED, GRANTED, []),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "before", "after", "lines"), ENDED)
def test_what_a_withdrawal_ends(
    wall: Callable[[Mode], Firewall], sent: str, before: Consent, after: Consent, lines: list[str]
) -> None:
    assert list(wall("report").ending(sent, before, after, secure=False)) == lines
    secure = list(wall("report").ending(sent, before, after, secure=True))
    assert secure == [f"{line}; Secure" for line in lines]


def test_a_thousand_cookies_end_in_a_bounded_answer(wall: Callable[[Mode], Firewall]) -> None:
    sent = "; ".join(f"_ad_{number}=x" for number in range(1000))
    assert len(list(wall("report").ending(sent, GRANTED, REFUSED, secure=True))) == 40


# through a real server


async def setting(request: Request) -> Response:
    response = HTMLResponse("<!doctype html><title>x</title>", headers={"Cache-Control": "public, max-age=60"})
    for name in ("basket", "_ad_1", "other"):
        response.set_cookie(name, "a-value-that-nobody-keeps", httponly=True)
    return response


def site() -> ASGIApp:
    from consent_gateway import ConsentGateway

    return ConsentGateway(Starlette(routes=[Route("/", setting)]))


@pytest.mark.parametrize("mode", ["report", "strip"])
def test_in_a_real_site(
    tmp_path: Path, run_site: Callable[..., Site], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    started = run_site("tests.edge.test_firewall:site", SITE="shop", POLICY=str(path), COOKIE_FIREWALL=mode)
    answer = started.get("/")
    names = [line.partition("=")[0] for line in answer.headers.get_all("Set-Cookie") or []]
    assert names == (["basket", "_ad_1", "other"] if mode == "report" else ["basket"])
    private = "private" in (answer.headers["Cache-Control"] or "")
    assert private == (mode == "strip"), "what differs by a choice is no shared cache's"
    granted = cookie_of(choose(started, "accept_all"))
    started.get("/", cookies={"cg": granted})
    ended = started.post(
        "/_cg/choice", "action=withdraw", {"Content-Type": "application/x-www-form-urlencoded"},
        cookies={"cg": granted, "_ad_1": "x"},
    )  # fmt: skip
    lines = ended.headers.get_all("Set-Cookie") or []
    assert (ended.status == 303 and lines[0].startswith("cg=w")) or "~w~" in lines[0] or lines[0].startswith("cg=")
    assert "_ad_1=; Path=/; Max-Age=0" in lines
    for name, value in started.environment.items():
        if name.startswith("CONSENT_GATEWAY_"):
            monkeypatch.setenv(name, value)
    shown = CliRunner().invoke(command, ["cookies", "seen", "--format", "json"])
    seen = {(row["cookie"], row["verdict"]): row["times"] for row in json.loads(shown.output)}
    expected = {("basket", "allowed"): 2, ("_ad_1", "refused"): 1, ("_ad_1", "allowed"): 1, ("other", "undeclared"): 2}
    stripped = {("_ad_1", "stripped"): 1, ("other", "stripped"): 2} if mode == "strip" else {}
    assert seen == expected | stripped
    assert "undeclared" in CliRunner().invoke(command, ["cookies", "seen"]).output
    started.wait_for("the back office", started.office_answers)
    assert not any(term.startswith("cookie.") for _, term, _ in started.office("GET", "/books"))
