"""What a choice does to a visitor's state, and what a state permits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.rule.consent import UNKNOWN, Action, Consent, Status, choose, stricter
from consent_gateway.rule.purposes import BUILT_IN, LegalBasis, Purpose, consent_purposes

NOW = 1_795_341_600_000  # 2026-11-22 10:00:00 UTC
EARLIER = NOW - 40 * 86_400_000
PURPOSES = frozenset({"analytics", "marketing"})
A, M, AM = frozenset({"analytics"}), frozenset({"marketing"}), PURPOSES

OLD: dict[str, Any] = {"consent_id": "old", "given_at": EARLIER, "policy_version": "1"}
STATES: dict[str, Consent] = {
    "unknown": UNKNOWN,
    "given": Consent(Status.GIVEN, A, **OLD),
    "marketing": Consent(Status.GIVEN, M, **OLD),
    "both": Consent(Status.GIVEN, AM, **OLD),
    "despite": Consent(Status.GIVEN, A, despite_signal=True, **OLD),
    "refused": Consent(Status.REFUSED, month="2026-10", policy_version="1"),
    "withdrawn": Consent(Status.WITHDRAWN, month="2026-10", policy_version="1"),
    "expired": Consent(Status.EXPIRED, policy_version="1"),
    "invalidated": Consent(Status.INVALIDATED, policy_version="0"),
    "objected": Consent(objection=True, month="2026-10", policy_version="1"),
    "objected given": Consent(Status.GIVEN, A, True, **OLD),
    "objected expired": Consent(Status.EXPIRED, objection=True, policy_version="1"),
    "lifted": Consent(signal_lifted=True, month="2026-10", policy_version="1"),
}

# The state afterwards: status, granted (a, m), objection (o), which id, and what was done in the face of a signal:
# d for a grant, l for the lifting of its objection.
TABLE = """
action      | before           | names         | signal | status    | granted | o | id  | face
accept_all  | unknown          |               |        | given     | a m     |   | new |
accept_all  | unknown          |               | yes    | given     | a m     |   | new | d l
accept_all  | refused          |               |        | given     | a m     |   | new |
accept_all  | withdrawn        |               |        | given     | a m     |   | new |
accept_all  | expired          |               |        | given     | a m     |   | new |
accept_all  | invalidated      |               |        | given     | a m     |   | new |
accept_all  | given            |               |        | given     | a m     |   | old |
accept_all  | both             |               |        | given     | a m     |   | old |
accept_all  | both             |               | yes    | given     | a m     |   | old | d l
accept_all  | objected         |               |        | given     | a m     | o | new |
accept_all  | objected         |               | yes    | given     | a m     | o | new | d l
accept_all  | objected expired |               |        | given     | a m     | o | new |
reject_all  | unknown          |               |        | refused   |         |   |     |
reject_all  | unknown          |               | yes    | refused   |         |   |     |
reject_all  | refused          |               |        | refused   |         |   |     |
reject_all  | given            |               |        | withdrawn |         |   |     |
reject_all  | given            |               | yes    | withdrawn |         |   |     |
reject_all  | withdrawn        |               |        | withdrawn |         |   |     |
reject_all  | expired          |               |        | refused   |         |   |     |
reject_all  | objected         |               |        | refused   |         | o |     |
reject_all  | lifted           |               | yes    | refused   |         |   |     |
withdraw    | both             |               |        | withdrawn |         |   |     |
withdraw    | objected given   |               |        | withdrawn |         | o |     |
withdraw    | unknown          |               |        | refused   |         |   |     |
save        | unknown          | +analytics    |        | given     | a       |   | new |
save        | unknown          | +analytics    | yes    | given     | a       |   | new | d
save        | unknown          | -analytics    |        | refused   |         |   |     |
save        | given            | +marketing    |        | given     | a m     |   | old |
save        | given            | +marketing    | yes    | given     | m       |   | new | d
save        | given            | +analytics    | yes    | given     | a       |   | old | d
save        | given            | -marketing    | yes    | given     | a       |   | old |
save        | despite          | +marketing    | yes    | given     | a m     |   | old | d
save        | both             | -analytics    |        | given     | m       |   | new |
save        | both             | -marketing    |        | given     | a       |   | old |
save        | both             | -a -m         |        | withdrawn |         |   |     |
save        | marketing        | +analytics    |        | given     | a m     |   | old |
save        | given            | +measurement  |        | given     | a       |   | old |
save        | unknown          | +measurement  |        | refused   |         |   |     |
save        | refused          | +no_such      |        | refused   |         |   |     |
save        | objected given   | +marketing    |        | given     | a m     | o | old |
save        | expired          | +marketing    |        | given     | m       |   | new |
object      | unknown          |               |        | unknown   |         | o |     |
object      | given            |               |        | given     | a       | o | old |
object      | refused          |               |        | refused   |         | o |     |
object      | expired          |               |        | unknown   |         | o |     |
object      | lifted           |               | yes    | unknown   |         | o |     |
unobject    | objected         |               |        | unknown   |         |   |     |
unobject    | objected         |               | yes    | unknown   |         |   |     | l
unobject    | unknown          |               | yes    | unknown   |         |   |     | l
unobject    | objected given   |               |        | given     | a       |   | old |
unobject    | given            |               | yes    | given     | a       |   | old | l
"""
SHORT = {"a": "analytics", "m": "marketing"}


def chosen(before: Consent, action: Action, named: dict[str, bool] | None = None, **changed: Any) -> Consent:
    values: dict[str, Any] = {
        "purposes": PURPOSES,
        "signal": False,
        "now": NOW,
        "new_id": "new",
        "policy_version": "1",
    }
    return choose(before, action, named or {}, **values | changed)


def rows() -> list[Any]:
    cases = []
    for row in TABLE.strip().splitlines()[1:]:
        cells = [cell.strip() for cell in row.split("|")]
        cases.append(pytest.param(*cells, id=" ".join(filter(None, (*cells[:3], cells[3] and "signal")))))
    return cases


@pytest.mark.parametrize(("action", "before", "names", "signal", "status", "granted", "o", "id_", "face"), rows())
def test_a_choice(
    action: str, before: str, names: str, signal: str, status: str, granted: str, o: str, id_: str, face: str
) -> None:
    named = {SHORT.get(name[1:], name[1:]): name[0] == "+" for name in names.split()}
    after = chosen(STATES[before], Action(action), named, signal=signal == "yes")
    assert after.status == status
    assert after.granted == {SHORT[letter] for letter in granted.split()}
    assert after.objection == (o == "o")
    assert after.consent_id == id_
    assert (after.despite_signal, after.signal_lifted) == ("d" in face.split(), "l" in face.split())
    assert after.policy_version == "1"


def test_the_table_has_every_action() -> None:
    assert {row.values[0] for row in rows()} == {action.value for action in Action}


@pytest.mark.parametrize("who", ["given", "both", "marketing"])
def test_what_was_granted_under_no_signal_counts_again_only_when_it_is_granted_in_its_face(who: str) -> None:
    before = STATES[who]
    assert before.under_signal(True).granted == frozenset()
    assert chosen(before, Action.ACCEPT_ALL, signal=True).under_signal(True).granted == PURPOSES
    after = chosen(before, Action.SAVE, {"marketing": True}, signal=True).under_signal(True)
    assert after.granted == M  # analytics was not granted in the face of it


def test_when_a_grant_counts_from() -> None:
    assert chosen(UNKNOWN, Action.ACCEPT_ALL).given_at == NOW
    assert chosen(STATES["given"], Action.ACCEPT_ALL).given_at == NOW  # it grew
    assert chosen(STATES["both"], Action.ACCEPT_ALL).given_at == EARLIER
    assert chosen(STATES["both"], Action.SAVE, {"marketing": False}).given_at == EARLIER
    assert chosen(STATES["both"], Action.ACCEPT_ALL, signal=True).given_at == NOW  # it had been hidden
    assert chosen(STATES["given"], Action.OBJECT).given_at == EARLIER


def test_a_new_consent_after_a_withdrawal_is_another_person() -> None:
    withdrawn = chosen(STATES["given"], Action.WITHDRAW)
    assert chosen(withdrawn, Action.ACCEPT_ALL).consent_id == "new"
    off = chosen(STATES["both"], Action.SAVE, {"analytics": False}, new_id="second")
    on = chosen(off, Action.SAVE, {"analytics": True}, new_id="third")
    assert STATES["both"].consent_id not in (off.consent_id, on.consent_id)


# What a state permits.


@pytest.mark.parametrize(
    ("who", "signal", "measurement", "analytics", "marketing", "ask", "status"),
    [
        # state           signal  measurement analytics marketing ask   status
        ("unknown",        False, True,       False,    False,    True,  "unknown"),
        ("unknown",        True,  False,      False,    False,    False, "refused"),
        ("given",          False, True,       True,     False,    False, "given"),
        ("given",          True,  False,      False,    False,    False, "refused"),
        ("despite",        True,  False,      True,     False,    False, "given"),
        ("marketing",      False, True,       False,    True,     False, "given"),
        ("both",           False, True,       True,     True,     False, "given"),
        ("refused",        False, True,       False,    False,    False, "refused"),
        ("refused",        True,  False,      False,    False,    False, "refused"),
        ("withdrawn",      False, True,       False,    False,    False, "withdrawn"),
        ("withdrawn",      True,  False,      False,    False,    False, "withdrawn"),
        ("expired",        False, True,       False,    False,    True,  "expired"),
        ("expired",        True,  False,      False,    False,    False, "refused"),
        ("invalidated",    False, True,       False,    False,    True,  "invalidated"),
        ("objected",       False, False,      False,    False,    True,  "unknown"),
        ("objected given", False, False,      True,     False,    False, "given"),
        ("lifted",         True,  True,       False,    False,    False, "refused"),
    ],
)  # fmt: skip
def test_what_a_state_permits(
    who: str, signal: bool, measurement: bool, analytics: bool, marketing: bool, ask: bool, status: str
) -> None:
    seen = STATES[who].under_signal(signal)
    permitted = {name: seen.permits(name) for name in ("measurement", "analytics", "marketing")}
    assert permitted == {"measurement": measurement, "analytics": analytics, "marketing": marketing}
    assert seen.in_force == tuple(name for name in ("measurement", "analytics", "marketing") if permitted[name])
    assert (seen.ask, seen.status) == (ask, status)
    assert seen.permits("no_such") is False and seen.permits("accountability") is True


def test_an_event_is_judged_without_a_consent_that_came_later() -> None:
    for who in ("given", "both", "objected given"):
        state = STATES[who]
        assert state.at_time(EARLIER) is state and state.at_time(NOW) is state
        before = state.at_time(EARLIER - 1)
        assert before.status is Status.UNKNOWN and not before.granted and not before.consent_id and not before.given_at
        assert before.objection == state.objection
    assert STATES["refused"].at_time(0) is STATES["refused"]


# Two cookies.

states = st.sampled_from(sorted(STATES)).map(STATES.__getitem__)
flagged = st.builds(
    lambda state, objection, lifted, despite, other: replace(
        state,
        objection=objection,
        signal_lifted=lifted,
        despite_signal=despite and bool(state.granted),
        consent_id=state.consent_id and other,
    ),
    states, st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["old", "older"]),
)  # fmt: skip


@given(flagged, flagged, st.booleans())
def test_of_two_the_stricter_wins(one: Consent, other: Consent, signal: bool) -> None:
    both = stricter(one, other)
    for purpose in ("measurement", "analytics", "marketing"):
        permitted = both.under_signal(signal).permits(purpose)
        assert not permitted or (
            one.under_signal(signal).permits(purpose) and other.under_signal(signal).permits(purpose)
        )
    assert both.permits("measurement") == stricter(other, one).permits("measurement")
    assert both.granted == stricter(other, one).granted
    assert bool(both.granted) == (both.status is Status.GIVEN)
    assert stricter(one, one) is one


@pytest.mark.parametrize(
    ("one", "other", "status"),
    [
        ("given", "refused", "refused"),
        ("given", "withdrawn", "withdrawn"),
        ("given", "expired", "expired"),
        ("unknown", "refused", "refused"),
        ("both", "given", "given"),
        ("given", "marketing", "refused"),  # each denies what the other grants
    ],
)
def test_two_cookies(one: str, other: str, status: str) -> None:
    assert stricter(STATES[one], STATES[other]).status == status == stricter(STATES[other], STATES[one]).status


# However often a visitor chooses.

choices = st.lists(
    st.tuples(
        st.sampled_from(list(Action)),
        st.dictionaries(st.sampled_from(["analytics", "marketing", "measurement", "no_such"]), st.booleans()),
        st.booleans(),
    ),
    max_size=8,
)


@given(choices, flagged)
def test_nothing_is_granted_but_by_a_grant(steps: list[tuple[Action, dict[str, bool], bool]], start: Consent) -> None:
    state = start
    ids = [f"id-{number}" for number in range(len(steps))]
    for (action, named, signal), new_id in zip(steps, ids, strict=True):
        before = state
        state = chosen(before, action, named, signal=signal, new_id=new_id)
        asked = PURPOSES if action is Action.ACCEPT_ALL else {name for name, yes in named.items() if yes}
        granting = action in (Action.ACCEPT_ALL, Action.SAVE)
        # nothing new without asking for it, neither in general nor as this request's signal lets it be seen
        assert state.granted - before.granted <= (asked if granting else set())
        seen_before, seen = before.under_signal(signal), state.under_signal(signal)
        assert seen.granted - seen_before.granted <= (asked & PURPOSES if granting else set())
        if granting:
            assert asked & PURPOSES <= seen.granted  # and all that was asked for
        # what was declared stays, but for its own undoing
        assert state.objection == (before.objection or action is Action.OBJECT) or action is Action.UNOBJECT
        if action is Action.OBJECT:
            assert not seen.permits("measurement")
        if action is Action.UNOBJECT:
            assert seen.permits("measurement")
        # a refusal leaves no identifier and no time stamp, a grant has both
        assert (state.status is Status.GIVEN) == bool(state.granted)
        assert bool(state.consent_id) == bool(state.given_at) == bool(state.granted)
        if not state.granted:
            assert state.month == "2026-11" and not state.despite_signal
        # an id never serves two consents for analytics
        if before.permits("analytics") and not state.permits("analytics"):
            assert state.consent_id != before.consent_id


@given(choices, st.booleans())
def test_who_only_refuses_grants_nothing(steps: list[tuple[Action, dict[str, bool], bool]], signal: bool) -> None:
    state = UNKNOWN
    for action, named, _ in steps:
        if action is not Action.ACCEPT_ALL:
            state = chosen(state, action, dict.fromkeys(named, False), signal=signal)
            assert not state.granted and not state.consent_id


def test_purposes_have_one_basis_each_out_of_six() -> None:
    assert len(LegalBasis) == 6
    assert len({purpose.name for purpose in BUILT_IN}) == len(BUILT_IN)
    assert consent_purposes(BUILT_IN) == {"analytics"}
    assert consent_purposes([*BUILT_IN, Purpose("marketing", LegalBasis.CONSENT)]) == {"analytics", "marketing"}
