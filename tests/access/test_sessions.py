"""Owners' sign-in: a link opens once and not for long, a session is ours or none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from consent_gateway.access import sessions as module
from consent_gateway.access.sessions import LINK_SECONDS, SESSION_SECONDS, Sessions

SECRET, OTHER = "s" * 44, "o" * 44
SESSIONS = Sessions([SECRET])


def sent_back(line: str) -> str:
    """What a browser sends of a `Set-Cookie` line."""
    return line.partition(";")[0]


def test_a_link_opens_once() -> None:
    sessions = Sessions([SECRET])
    one, other = sessions.new_link(), sessions.new_link()
    assert one != other and len(one) >= 32
    assert sessions.use_link(one) and not sessions.use_link(one)
    assert sessions.use_link(other)
    for token in ("", one[:-1], one + "x", "é", "x" * 10_000):
        assert not sessions.use_link(token)


def test_a_link_opens_only_where_it_was_made() -> None:
    assert not Sessions([SECRET]).use_link(Sessions([SECRET]).new_link())


def test_a_link_is_kept_only_as_a_hash() -> None:
    sessions = Sessions([SECRET])
    token = sessions.new_link()
    assert token.encode() not in repr(vars(sessions)).encode()


def test_a_link_is_good_for_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    sessions = Sessions([SECRET])
    early, late = sessions.new_link(), sessions.new_link()
    clock.now += LINK_SECONDS - 1
    assert sessions.use_link(early)
    clock.now += 1
    assert not sessions.use_link(late)
    for _ in range(5):
        sessions.new_link()
        clock.now += LINK_SECONDS + 1
    assert len(sessions._links) == 1  # old ones are forgotten


@pytest.mark.parametrize("secure", [True, False])
def test_a_session(secure: bool) -> None:
    line = SESSIONS.cookie(secure=secure)
    name = "__Host-cg-owner" if secure else "cg-owner"
    pair, *attributes = line.split("; ")
    assert pair.startswith(f"{name}=")
    expected = ["Path=/", f"Max-Age={SESSION_SECONDS}", "HttpOnly", "SameSite=Strict"]
    assert attributes == expected + ["Secure"] * secure
    for header in (pair, f"a=b; {pair}", f"{pair}; z=1"):
        assert SESSIONS.is_owner(header, secure=secure)
        assert not SESSIONS.is_owner(header, secure=not secure)  # neither's cookie counts for the other
    assert Sessions([SECRET]).is_owner(pair, secure=secure)  # after a restart too
    assert Sessions([SECRET, OTHER]).is_owner(pair, secure=secure)  # and after the secret was rotated


def test_a_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1_795_341_600)
    monkeypatch.setattr("itsdangerous.timed.time", SimpleNamespace(time=lambda: clock.now))
    header = sent_back(SESSIONS.cookie(secure=True))
    clock.now += SESSION_SECONDS
    assert SESSIONS.is_owner(header, secure=True)
    clock.now += 1
    assert not SESSIONS.is_owner(header, secure=True)


@given(st.data())
def test_a_changed_session_is_none(data: st.DataObject) -> None:
    name, _, value = sent_back(SESSIONS.cookie(secure=True)).partition("=")
    at = data.draw(st.integers(0, len(value) - 2))  # base64 spells the last bits in several ways
    other = data.draw(st.sampled_from("aZ09._-").filter(lambda char: char != value[at]))
    for changed in (value[:at], value[:at] + other + value[at + 1 :], value[:at] + value[at + 1 :]):
        assert not SESSIONS.is_owner(f"{name}={changed}", secure=True)


def test_a_forged_session_is_none() -> None:
    def signed(secret: str, salt: str, value: object) -> str:
        return URLSafeTimedSerializer(secret, salt=salt).dumps(value)

    assert not Sessions([OTHER]).is_owner(sent_back(SESSIONS.cookie(secure=True)), secure=True)
    for forged in (
        signed(SECRET, "consent-gateway.nonce", "owner"),  # signed by us for something else
        signed(SECRET, "consent-gateway.owner", "owner"),  # with a weaker derivation of the key
        signed(OTHER, "consent-gateway.owner", "owner"),
        "owner",
    ):
        assert not SESSIONS.is_owner(f"__Host-cg-owner={forged}", secure=True)
    other = Sessions([SECRET])
    token = other._signer.dumps("viewer")
    assert not SESSIONS.is_owner(f"__Host-cg-owner={token!s}", secure=True)


@given(st.text() | st.text(alphabet='_Hostcgwner-=;., "\0', max_size=60))
def test_no_header_makes_it_fail(header: str) -> None:
    assert not SESSIONS.is_owner(header, secure=True)
    assert not SESSIONS.is_owner(f"__Host-cg-owner={header}", secure=True)
