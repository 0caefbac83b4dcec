"""Sign-in: a link opens once and not for long, a session is ours or none, and it ends when its user's does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from consent_gateway.access import sessions as module
from consent_gateway.access.people import People, Role
from consent_gateway.access.sessions import LINK_SECONDS, SESSION_SECONDS, Sessions

SECRET, OTHER = "s" * 44, "o" * 44
PASSWORD = "a long sentence nobody guesses"
same_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of people with an owner, for tests that don't change it."""
    folder = tmp_path_factory.mktemp("keys")
    People(folder).add("ann", Role.OWNER, PASSWORD)
    return folder


@pytest.fixture
def people(tmp_path: Path) -> People:
    found = People(tmp_path)
    found.add("ann", Role.OWNER, PASSWORD)
    return found


def sent_back(line: str) -> str:
    """What a browser sends of a `Set-Cookie` line."""
    return line.partition(";")[0]


def test_a_link_opens_once(tmp_path: Path) -> None:
    sessions = Sessions([SECRET], People(tmp_path))
    one, other = sessions.new_link(), sessions.new_link()
    assert one != other and len(one) >= 32
    assert sessions.use_link(one) and not sessions.use_link(one)
    assert sessions.use_link(other)
    for token in ("", one[:-1], one + "x", "é", "\ud800", "x" * 10_000):
        assert not sessions.use_link(token)


def test_a_link_opens_only_where_it_was_made(tmp_path: Path) -> None:
    people = People(tmp_path)
    assert not Sessions([SECRET], people).use_link(Sessions([SECRET], people).new_link())


def test_a_link_is_kept_only_as_a_hash(tmp_path: Path) -> None:
    sessions = Sessions([SECRET], People(tmp_path))
    token = sessions.new_link()
    assert token.encode() not in repr(vars(sessions)).encode()


def test_a_link_is_good_for_a_quarter_of_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    sessions = Sessions([SECRET], People(tmp_path))
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
@pytest.mark.parametrize("name", ["", "ann"])
def test_a_session(shared: Path, name: str, secure: bool) -> None:
    sessions = Sessions([SECRET], People(shared))
    pair, *attributes = sessions.cookie(name, secure=secure).split("; ")
    assert pair.startswith("__Host-cg-owner=" if secure else "cg-owner=")
    expected = ["Path=/", f"Max-Age={SESSION_SECONDS}", "HttpOnly", "SameSite=Strict"]
    assert attributes == expected + ["Secure"] * secure
    for header in (pair, f"a=b; {pair}", f"{pair}; z=1"):
        person = sessions.person(header, secure=secure)
        assert person is not None and (person.name, person.role) == (name, Role.OWNER)
        assert sessions.person(header, secure=not secure) is None  # neither's cookie counts for the other
    assert Sessions([SECRET], People(shared)).person(pair, secure=secure)  # after a restart too
    assert Sessions([SECRET, OTHER], People(shared)).person(pair, secure=secure)  # and after the secret was rotated


def test_a_session_ends_by_itself(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1_795_341_600)
    monkeypatch.setattr("itsdangerous.timed.time", SimpleNamespace(time=lambda: clock.now))
    sessions = Sessions([SECRET], People(shared))
    header = sent_back(sessions.cookie("ann", secure=True))
    clock.now += SESSION_SECONDS
    assert sessions.person(header, secure=True)
    clock.now += 1
    assert not sessions.person(header, secure=True)


def test_a_stolen_session_ends_with_the_password(people: People, tmp_path: Path) -> None:
    """Whoever took one over is out as soon as the user, or another process, gives the user another password."""
    sessions = Sessions([SECRET], people)
    stolen = sent_back(sessions.cookie("ann", secure=True))
    assert sessions.person(stolen, secure=True)
    People(tmp_path).set_password("ann", PASSWORD + " again")
    assert sessions.person(stolen, secure=True) is None
    assert sessions.person(sent_back(sessions.cookie("ann", secure=True)), secure=True)


def test_a_user_who_is_out_or_gone_has_no_session(people: People) -> None:
    sessions = Sessions([SECRET], people)
    session = sent_back(sessions.cookie("ann", secure=True))
    people.disable("ann", disabled=True)
    assert sessions.person(session, secure=True) is None and not people.knows("ann", PASSWORD)
    people.disable("ann", disabled=False)
    assert sessions.person(session, secure=True) is None  # not even when they are back
    session = sent_back(sessions.cookie("ann", secure=True))
    people.remove("ann")
    assert sessions.person(session, secure=True) is None
    people.add("ann", Role.VIEWER, PASSWORD)  # another ann
    assert sessions.person(session, secure=True) is None


def test_another_role_counts_at_once(people: People) -> None:
    sessions = Sessions([SECRET], people)
    session = sent_back(sessions.cookie("ann", secure=True))
    people.set_role("ann", Role.VIEWER)
    person = sessions.person(session, secure=True)
    assert person is not None and person.role is Role.VIEWER


@pytest.mark.parametrize("name", ["", "ann"])
def test_signing_out_ends_that_session_wherever_it_was_copied(people: People, name: str) -> None:
    sessions = Sessions([SECRET], people)
    mine, other = (sent_back(sessions.cookie(name, secure=True)) for _ in range(2))
    assert sent_back(sessions.end(mine, secure=True)) == "__Host-cg-owner="
    assert sessions.person(mine, secure=True) is None
    assert Sessions([SECRET], people).person(mine, secure=True) is None  # nor after a restart
    assert sessions.person(other, secure=True)


def test_sessions_of_links_can_be_ended(people: People) -> None:
    sessions = Sessions([SECRET], people)
    by_link, by_name = (sent_back(sessions.cookie(name, secure=True)) for name in ("", "ann"))
    people.end_links()
    assert sessions.person(by_link, secure=True) is None
    assert sessions.person(by_name, secure=True)


@pytest.fixture
def of_ann(shared: Path) -> str:
    """Her session's cookie: one for all examples, since each sign-in makes another."""
    return sent_back(Sessions([SECRET], People(shared)).cookie("ann", secure=True))


@same_fixture
@given(data=st.data())
def test_a_changed_session_is_none(shared: Path, of_ann: str, data: st.DataObject) -> None:
    sessions = Sessions([SECRET], People(shared))
    name, _, value = of_ann.partition("=")
    at = data.draw(st.integers(0, len(value) - 2))  # base64 spells the last bits in several ways
    other = data.draw(st.sampled_from("aZ09._-").filter(lambda char: char != value[at]))
    for changed in (value[:at], value[:at] + other + value[at + 1 :], value[:at] + value[at + 1 :]):
        assert not sessions.person(f"{name}={changed}", secure=True)


def test_a_forged_session_is_none(shared: Path) -> None:
    people = People(shared)
    sessions = Sessions([SECRET], people)
    told = ["ann", people.read().users["ann"].generation, "x"]

    def signed(secret: str, salt: str, value: object) -> str:
        return str(URLSafeTimedSerializer(secret, salt=salt).dumps(value))

    assert not Sessions([OTHER], people).person(sent_back(sessions.cookie("ann", secure=True)), secure=True)
    for forged in (
        signed(SECRET, "consent-gateway.nonce", told),  # signed by us for something else
        signed(SECRET, "consent-gateway.owner", told),  # with a weaker derivation of the key
        signed(OTHER, "consent-gateway.owner", told),
        str(sessions._signer.dumps("owner")),
        str(sessions._signer.dumps(["ann", "", ""])),
        str(sessions._signer.dumps(["", "", ""])),
        str(sessions._signer.dumps(["bob", told[1], "x"])),
        "owner",
    ):
        assert not sessions.person(f"__Host-cg-owner={forged}", secure=True)


@same_fixture
@given(header=st.text() | st.text(alphabet='_Hostcgwner-=;., "\0', max_size=60))
def test_no_header_makes_it_fail(shared: Path, header: str) -> None:
    sessions = Sessions([SECRET], People(shared))
    assert not sessions.person(header, secure=True)
    assert not sessions.person(f"__Host-cg-owner={header}", secure=True)


def test_a_form_belongs_to_one_person(shared: Path) -> None:
    sessions = Sessions([SECRET], People(shared))
    assert sessions.is_form_of("one", sessions.form_token("one"))
    for secret, token in (("two", sessions.form_token("one")), ("one", ""), ("one", "é\ud800")):
        assert not sessions.is_form_of(secret, token)
    assert not Sessions([OTHER], People(shared)).is_form_of("one", sessions.form_token("one"))
