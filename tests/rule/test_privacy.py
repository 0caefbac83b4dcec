"""The privacy rule, as a table that a lawyer can read: who chose what, and what of the visit is stored.

Each row is one page view from 203.0.113.77, judged by the real rule. The look-ups are spies that say what they were
asked; the one of places answers more than it should, so that the rule alone decides what is kept.
"""

from __future__ import annotations

import copy
import dataclasses
import gc
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given as given_
from hypothesis import strategies as st

from consent_gateway.rule import privacy, pseudonym
from consent_gateway.rule.address import Prefixes, parse
from consent_gateway.rule.columns import BY_NAME, COLUMNS, kept_under
from consent_gateway.rule.consent import UNKNOWN, Consent, Status
from consent_gateway.rule.event import Agent, DropReason, Event, Observation, Origin, Page, Place, Sender
from consent_gateway.rule.privacy import Lookups, Rule, language, when, without_purpose
from consent_gateway.rule.purposes import BUILT_IN

DAY = 86_400_000
NOW = 1_795_341_600_000  # 2026-11-22 10:00:00 UTC
ADDRESS, NETWORK = "203.0.113.77", "203.0.113.0/24"
CONSENT_ID = "AbCdEfGhIjKlMnOpQrStUv"


def given(*purposes: str, at: int = NOW - DAY, **more: Any) -> Consent:
    values: dict[str, Any] = {"consent_id": CONSENT_ID, "given_at": at, "policy_version": "1"}
    return Consent(Status.GIVEN, frozenset(purposes), **values | more)


# What a visitor chose, in the words of the first column. A signal is Global Privacy Control or Do Not Track.
CHOSE: dict[str, Consent] = {
    "nothing yet": UNKNOWN,
    "accepted analytics": given("analytics"),
    "accepted marketing only": given("marketing"),
    "accepted everything": given("analytics", "marketing"),
    "refused": Consent(Status.REFUSED, month="2026-11", policy_version="1"),
    "withdrew": Consent(Status.WITHDRAWN, month="2026-11", policy_version="1"),
    "consent expired": Consent(Status.EXPIRED, policy_version="1"),
    "policy changed since": Consent(Status.INVALIDATED, policy_version="0"),
    "objected": Consent(objection=True, month="2026-11"),
    "refused, objected": Consent(Status.REFUSED, objection=True, month="2026-11"),
    "objected, analytics": given("analytics", objection=True),
    "objected, marketing": given("marketing", objection=True),
    "accepted afterwards": given("analytics", at=NOW + 1),
    "objected, accepted aft.": given("analytics", at=NOW + 1, objection=True),
    "signal": UNKNOWN.under_signal(True),
    "accepted, then signal": given("analytics").under_signal(True),
    "signal, accepted all": given("analytics", despite_signal=True, signal_lifted=True).under_signal(True),
    "signal, saved analytics": given("analytics", despite_signal=True).under_signal(True),
    "signal, unobjected": Consent(signal_lifted=True, month="2026-11").under_signal(True),
}

# sent:   by the site's server, or by the script in the page
# under:  address mode and policy: `drop` is ADDRESS_MODE=drop, `strict` a policy that asks consent for the script,
#         `nosalt` an event of a day whose salt is gone
# kept:   yes, or the reason for which the event was dropped
# x is stored, . is empty. `page` stands for path, query, route, referrer, channel, campaign, status and server time;
# `agent` for browser, system, device and language; `script` for what only the page's script can tell.
TABLE = """
the visitor             | address | sent   | under  | kept          | consent     | purposes in force               |network visitor country region|person address city|page agent script
nothing yet             | good    | site   |        | yes           | unknown     | measurement                     |  x       x       x      x    |  .      .      .  | x     x     .
nothing yet             | good    | script |        | yes           | unknown     | measurement                     |  x       x       x      x    |  .      .      .  | x     x     x
accepted analytics      | good    | site   |        | yes           | given       | measurement analytics           |  x       x       x      x    |  x      x      x  | x     x     .
accepted analytics      | good    | script |        | yes           | given       | measurement analytics           |  x       x       x      x    |  x      x      x  | x     x     x
accepted marketing only | good    | site   |        | yes           | given       | measurement marketing           |  x       x       x      x    |  .      .      .  | x     x     .
accepted everything     | good    | site   |        | yes           | given       | measurement analytics marketing |  x       x       x      x    |  x      x      x  | x     x     .
refused                 | good    | site   |        | yes           | refused     | measurement                     |  x       x       x      x    |  .      .      .  | x     x     .
withdrew                | good    | site   |        | yes           | withdrawn   | measurement                     |  x       x       x      x    |  .      .      .  | x     x     .
consent expired         | good    | site   |        | yes           | expired     | measurement                     |  x       x       x      x    |  .      .      .  | x     x     .
policy changed since    | good    | site   |        | yes           | invalidated | measurement                     |  x       x       x      x    |  .      .      .  | x     x     .
objected                | good    | site   |        | objection     |             |                                 |                              |                   |
objected                | good    | script |        | objection     |             |                                 |                              |                   |
refused, objected       | good    | site   |        | objection     |             |                                 |                              |                   |
objected, analytics     | good    | site   |        | yes           | given       | analytics                       |  .       .       .      .    |  x      x      x  | .     .     .
objected, analytics     | good    | script |        | yes           | given       | analytics                       |  .       .       .      .    |  x      x      x  | .     .     .
objected, marketing     | good    | site   |        | objection     |             |                                 |                              |                   |
accepted afterwards     | good    | site   |        | yes           | unknown     | measurement                     |  x       x       x      x    |  .      .      .  | x     x     .
objected, accepted aft. | good    | site   |        | objection     |             |                                 |                              |                   |
signal                  | good    | site   |        | objection     |             |                                 |                              |                   |
accepted, then signal   | good    | site   |        | objection     |             |                                 |                              |                   |
signal, accepted all    | good    | site   |        | yes           | given       | measurement analytics           |  x       x       x      x    |  x      x      x  | x     x     .
signal, saved analytics | good    | site   |        | yes           | given       | analytics                       |  .       .       .      .    |  x      x      x  | .     .     .
signal, unobjected      | good    | site   |        | yes           | refused     | measurement                     |  x       x       x      x    |  .      .      .  | x     x     .
nothing yet             | none    | site   |        | no_address    |             |                                 |                              |                   |
accepted analytics      | none    | site   |        | no_address    |             |                                 |                              |                   |
objected                | none    | site   |        | objection     |             |                                 |                              |                   |
nothing yet             | good    | site   | drop   | yes           | unknown     | measurement                     |  .       .       .      .    |  .      .      .  | x     x     .
accepted analytics      | good    | site   | drop   | yes           | given       | measurement analytics           |  .       .       .      .    |  x      .      .  | x     x     .
nothing yet             | none    | site   | drop   | yes           | unknown     | measurement                     |  .       .       .      .    |  .      .      .  | x     x     .
objected                | good    | site   | drop   | objection     |             |                                 |                              |                   |
nothing yet             | good    | site   | strict | yes           | unknown     | measurement                     |  x       x       x      x    |  .      .      .  | x     x     .
nothing yet             | good    | script | strict | not_permitted |             |                                 |                              |                   |
refused                 | good    | script | strict | not_permitted |             |                                 |                              |                   |
accepted marketing only | good    | script | strict | not_permitted |             |                                 |                              |                   |
accepted analytics      | good    | script | strict | yes           | given       | measurement analytics           |  x       x       x      x    |  x      x      x  | x     x     x
accepted afterwards     | good    | script | strict | yes           | unknown     | measurement                     |  x       x       x      x    |  .      .      .  | x     x     x
objected, analytics     | good    | script | strict | yes           | given       | analytics                       |  .       .       .      .    |  x      x      x  | .     .     .
nothing yet             | good    | site   | nosalt | yes           | unknown     | measurement                     |  x       .       x      x    |  .      .      .  | x     x     .
accepted analytics      | good    | site   | nosalt | yes           | given       | measurement analytics           |  x       .       x      x    |  x      x      x  | x     x     .
"""  # noqa: E501

GROUPS = {
    "page": (
        *("path", "route", "query", "view_id", "http_status", "server_ms", "referrer_host", "referrer_path"),
        *("channel", "source", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
    ),
    "agent": ("browser", "browser_version", "os", "os_version", "device", "language", "bot"),
    "script": ("engaged_ms", "scroll_pct", "screen", "timings", "name", "props"),
}
ALWAYS = ("site", "type", "at", "received_at", "consent", "purposes", "policy_version")


@dataclass
class Spies:
    """Look-ups that know everything and remember what they were asked."""

    places: list[str] = field(default_factory=list)
    encrypted: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    others: list[object] = field(default_factory=list)

    def place(self, text: str) -> Place:
        self.places.append(text)
        return Place("BE", "BE-VOV", "Ghent" if text == ADDRESS else "of the network")

    def agent(self, user_agent: str) -> Agent:
        self.others.append(user_agent)
        return Agent("Firefox", "145", "Windows", "11", "desktop", True)

    def page(self, url: str) -> Page:
        self.others.append(url)
        campaign = {f"utm_{name}": name for name in ("source", "medium", "campaign", "term", "content")}
        return Page("www.example.eu", "/page", "utm_source=source&ref=x", campaign | {"ref": "x"})

    def origin(self, referrer: str, own: frozenset[str], campaign: Mapping[str, str]) -> Origin:
        self.others.append((referrer, own, campaign))
        return Origin("search.example", "/find", "search", "Search")

    def text(self, text: str) -> str:
        self.texts.append(text)
        return f"scrubbed {text}"

    def encrypt(self, text: str, at: int) -> str:
        self.encrypted.append(text)
        return "2026-11.encrypted"

    def rule(self, **changed: Any) -> Rule:
        values: dict[str, Any] = {
            "look": Lookups(self.place, self.agent, self.page, self.origin, self.text),
            "person_key": bytes(32),
            "salt": lambda at: b"s" * 32,
            "encrypt": self.encrypt,
            "own_hosts": {"shop": frozenset({"example.eu"})},
            "policy_version": lambda at: "1",
            "prefixes": Prefixes(),
        }
        return Rule(**values | changed)


def visit(**changed: Any) -> Observation:
    values: dict[str, Any] = {
        "site": "shop",
        "type": "page_view",
        "at": NOW,
        "received_at": NOW + 5,
        "url": f"https://www.example.eu/page?utm_source=source&ip={ADDRESS}#{ADDRESS}",
        "host": "www.example.eu",
        "address": parse(ADDRESS),
        "user_agent": "Mozilla/5.0 Firefox/145",
        "referrer": "https://search.example/find?q=secret",
        "language": "nl-BE,nl;q=0.9",
        "view_id": 7,
        "route": "/{page}",
        "http_status": 200,
        "server_ms": 1.5,
        "engaged_ms": 900,
        "scroll_pct": 80,
        "screen": "lg",
        "timings": {"load_ms": 120.5},
        "name": "signup",
        "props": {"plan": "pro"},
    }
    values |= changed
    sender = Sender(**{name: values.pop(name) for name in Sender.__slots__ if name in values})
    return Observation(sender, **values)


def settings_of(under: str) -> dict[str, Any]:
    every: dict[str, dict[str, Any]] = {
        "": {},
        "drop": {"keep_address": False},
        "strict": {"script_needs_consent": True},
        "nosalt": {"salt": lambda at: None},
    }
    return every[under]


def judge(seen: Observation, **changed: Any) -> Any:
    return Spies().rule(**changed).judge(seen)


def rows_of_the_table() -> list[Any]:
    head, *rows = TABLE.strip().splitlines()
    marked = [name for cell in head.split("|")[7:] for name in cell.split()]
    cases = []
    for row in rows:
        who, where, sent, under, kept, consent, purposes, *marks = (cell.strip() for cell in row.split("|"))
        stored = [mark == "x" for cell in marks for mark in cell.split()]
        expected = dict(zip(marked, stored, strict=True)) if stored else {}
        case = (who, where, sent, under, kept, consent, set(purposes.split()), expected)
        cases.append(pytest.param(*case, id="-".join(filter(None, (who, where, sent, under)))))
    return cases


@pytest.mark.parametrize(
    ("who", "where", "sent", "under", "kept", "consent", "purposes", "stored"), rows_of_the_table()
)
def test_what_is_stored_of_whom(
    who: str, where: str, sent: str, under: str, kept: str, consent: str, purposes: set[str], stored: dict[str, bool]
) -> None:
    spies = Spies()
    seen = visit(consent=CHOSE[who], from_device=sent == "script", address=parse(ADDRESS) if where == "good" else None)
    event: Any = spies.rule(**settings_of(under)).judge(seen)
    if kept != "yes":
        assert event is DropReason(kept)
        assert not spies.places and not spies.encrypted  # nothing was looked up of whom nothing is kept
        return
    assert (event.consent, set(event.purposes)) == (consent, purposes)
    filled = {
        column.name for column in COLUMNS if column.name != "batch" and getattr(event, column.name) != column.empty
    }
    expected = {name for mark, yes in stored.items() if yes for name in GROUPS.get(mark, (mark,))}
    assert filled == expected | set(ALWAYS)
    written = msgspec.json.encode(event)
    assert ADDRESS.encode() not in written and b"Mozilla" not in written and b"secret" not in written
    assert event.city == ("Ghent" if stored["city"] else "")
    assert sorted(spies.places) == [NETWORK] * (under != "drop") + [ADDRESS] * stored["address"]
    assert spies.encrypted == [ADDRESS] * stored["address"]
    assert CONSENT_ID.encode() not in written


def test_every_state_is_in_the_table() -> None:
    states = {row.values[5] for row in rows_of_the_table()} - {""}
    assert states == {status.value for status in Status}
    assert {row.values[0] for row in rows_of_the_table()} == CHOSE.keys()


def test_every_column_can_be_filled_and_says_why_it_may() -> None:
    event = judge(visit(consent=CHOSE["accepted analytics"], from_device=True))
    assert [name for name in Event.__struct_fields__ if getattr(event, name) == BY_NAME[name].empty] == []
    bases = {purpose.name: purpose.basis for purpose in BUILT_IN}
    assert {column.purpose for column in COLUMNS} == set(bases)


@pytest.mark.parametrize("name", ["ip", "user_agent", "referrer", "id", "batch", "consent_id"])
def test_what_is_not_in_the_register_cannot_be_stored(name: str) -> None:
    with pytest.raises(TypeError, match="Unexpected keyword argument"):
        Event(**{name: "203.0.113.77"})
    with pytest.raises(AttributeError):
        setattr(Event(), name, "203.0.113.77")


def test_a_campaign_value_that_is_not_in_the_register_goes_nowhere() -> None:
    look = dataclasses.replace(Spies().rule().look, page=lambda url: Page("h", "/", "", {"utm_id": ADDRESS}))
    assert ADDRESS.encode() not in msgspec.json.encode(judge(visit(), look=look))


def test_a_step_cannot_smuggle_a_column_past_the_register(monkeypatch: pytest.MonkeyPatch) -> None:
    def put_too_much(rule: Rule, row: dict[str, Any], *of: Any) -> None:
        row |= {"address": ADDRESS, "city": "Ghent"}

    def put_a_person(rule: Rule, row: dict[str, Any], *of: Any) -> None:
        row["person"] = 7

    for steps in ("EVENT_STEPS", "SENDER_STEPS"):
        with monkeypatch.context() as patch:
            patch.setattr(privacy, steps, (*getattr(privacy, steps), put_too_much))
            event = judge(visit())
            assert (event.address, event.city) == ("", "")
    monkeypatch.setattr(privacy, "VISITOR_STEPS", (*privacy.VISITOR_STEPS, put_a_person))
    assert judge(visit()).person == 0


# Each reason that the rule can give, by its name.


def test_drop_unknown_site() -> None:
    assert judge(visit(site="elsewhere")) is DropReason.UNKNOWN_SITE


def test_drop_expired() -> None:
    assert judge(visit(received_at=NOW + DAY + 1), keep_ms=DAY) is DropReason.EXPIRED
    assert isinstance(judge(visit(received_at=NOW + DAY), keep_ms=DAY), Event)
    assert isinstance(judge(visit(received_at=NOW + 9999 * DAY), keep_ms=0), Event)


def test_drop_objection() -> None:
    assert judge(visit(consent=CHOSE["objected"])) is DropReason.OBJECTION


def test_drop_not_permitted() -> None:
    assert judge(visit(from_device=True), script_needs_consent=True) is DropReason.NOT_PERMITTED
    held = visit(from_device=True, consent=CHOSE["accepted afterwards"])  # before the choice, and sent after it
    assert isinstance(judge(held, script_needs_consent=True), Event)


def test_drop_no_address() -> None:
    assert judge(visit(address=None)) is DropReason.NO_ADDRESS


def test_the_address_comes_last_of_what_is_common() -> None:
    """So that a step before it can't see it among the columns."""
    steps = (*privacy.SENDER_STEPS, *privacy.VISITOR_STEPS, *privacy.EVENT_STEPS)
    assert all(step.__name__.startswith("put_") for step in steps)
    assert privacy.SENDER_STEPS[-1] is privacy.put_address


# What the look-ups are told.


@pytest.mark.parametrize("who", [who for who, consent in CHOSE.items() if "analytics" not in consent.granted])
@pytest.mark.parametrize(
    ("address", "network"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"), ("2002:cb00:714d::1", NETWORK)],
)
def test_without_consent_no_look_up_sees_the_address(who: str, address: str, network: str) -> None:
    spies = Spies()
    spies.rule().judge(visit(consent=CHOSE[who], address=parse(address)))
    assert set(spies.places) <= {network} and spies.encrypted == []


def test_look_ups_get_just_what_they_need() -> None:
    spies = Spies()
    spies.rule().judge(visit(from_device=True))
    seen = visit()
    own = frozenset({"example.eu", "www.example.eu"})
    page = spies.page(seen.url)
    assert spies.others[:3] == [seen.sender.user_agent, seen.url, (seen.referrer, own, page.campaign)]
    assert sorted(spies.texts) == ["plan", "pro", "signup"]


def test_prefixes_decide_how_much_is_left() -> None:
    event = judge(visit(), prefixes=Prefixes(16, 32))
    assert event.network == "203.0.0.0/16"
    event = judge(visit(address=parse("2001:db8:1:2::3")), prefixes=Prefixes(16, 32))
    assert event.network == "2001:db8::/32"


def test_visitors_of_one_network_and_browser_are_one() -> None:
    """The pseudonym knows no more than the network: consent or not, it is made the same way."""
    visitors = {
        judge(visit(address=parse(f"203.0.113.{last}"), consent=consent)).visitor
        for last in (1, 77, 255)
        for consent in (UNKNOWN, CHOSE["accepted analytics"], CHOSE["refused"])
    }
    assert visitors == {pseudonym.visitor(b"s" * 32, "shop", bytes([203, 0, 113, 0]), "Mozilla/5.0 Firefox/145")}
    assert judge(visit(address=parse("203.0.114.77"))).visitor not in visitors
    assert judge(visit(user_agent="other")).visitor not in visitors


def test_the_salt_is_that_of_the_moment_it_happened() -> None:
    asked: list[int] = []
    judge(visit(at=NOW - 60_000), salt=asked.append)
    assert asked == [NOW - 60_000]


def test_a_person_is_the_same_everywhere_but_for_another_consent() -> None:
    one = judge(visit(consent=CHOSE["accepted analytics"]))
    two = judge(visit(consent=CHOSE["objected, analytics"], address=parse("2001:db8::1"), user_agent="other"))
    other = given("analytics", consent_id="other")
    assert one.person == two.person != judge(visit(consent=other)).person


def test_judging_changes_nothing_and_gives_the_same_again() -> None:
    seen = visit(consent=CHOSE["accepted afterwards"])
    rule = Spies().rule()
    assert rule.judge(seen) == rule.judge(seen)
    assert seen.sender.consent is CHOSE["accepted afterwards"]


# What comes after: a stop that reaches a row in the spool.


def spooled(who: str) -> dict[str, Any]:
    event = judge(visit(consent=CHOSE[who], from_device=True))
    row: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
    return row | {"batch": "202611-abcd-000001", "id": "00ff", "crc": "0"}


def test_withdrawal_empties_the_columns_of_analytics_and_nothing_else() -> None:
    before = spooled("accepted everything")
    after = without_purpose(before, "analytics")
    assert after is not None
    gone = before.keys() - after.keys() - {"id", "crc"}
    assert gone == {"person", "address", "city"}
    assert set(after["purposes"]) == {"measurement", "marketing"} and after["consent"] == "withdrawn"
    assert {name: after[name] for name in after.keys() - {"purposes", "consent"}} == {
        name: before[name] for name in after.keys() - {"purposes", "consent"}
    }


def test_objection_leaves_what_analytics_permits() -> None:
    after = without_purpose(spooled("accepted analytics"), "measurement")
    assert after is not None
    assert after.keys() <= kept_under(frozenset({"accountability", "analytics"}))
    assert after["purposes"] == ("analytics",) and after["consent"] == "given" and after["city"]


@pytest.mark.parametrize(
    ("purposes", "stopped"),
    [
        (["analytics"], "analytics"),
        (["measurement"], "measurement"),
        (["analytics", "marketing"], "analytics"),  # marketing has no columns: nothing is left to keep
        (["measurement", "marketing"], "measurement"),
    ],
)
def test_a_row_that_stood_on_nothing_else_goes(purposes: list[str], stopped: str) -> None:
    assert without_purpose(spooled("accepted analytics") | {"purposes": purposes}, stopped) is None


# An observation stays in memory.

ENCODERS: list[Callable[[Any], object]] = [
    msgspec.json.encode,
    msgspec.msgpack.encode,
    msgspec.to_builtins,
    json.dumps,
    pickle.dumps,
    copy.copy,
    copy.deepcopy,
    dataclasses.asdict,
    dataclasses.astuple,
    dict,
    vars,
    pydantic.TypeAdapter(object).dump_json,
]


@pytest.mark.parametrize("encode", ENCODERS, ids=lambda encode: f"{encode.__module__}.{encode.__name__}")
def test_no_encoder_takes_an_observation(encode: Callable[[Any], object]) -> None:
    for raw in (visit(), visit().sender):
        with pytest.raises((TypeError, ValueError)):
            encode(raw)
    if encode not in (json.dumps, dict):
        encode(Control("shop"))  # the encoder does take what has fields: it refuses the observation itself


@dataclass
class Control:
    site: str


def test_an_observation_does_not_print_itself() -> None:
    for seen, name in ((visit(), "Observation"), (visit().sender, "Sender")):
        for text in (repr(seen), str(seen), f"{seen}", repr([seen]), repr({"seen": seen})):
            assert "example.eu" not in text and "113" not in text and f"{name} object" in text


def test_an_observation_takes_no_other_names() -> None:
    with pytest.raises(TypeError):
        Observation(Sender("shop", 1), "page_view", 1, "/", ip="203.0.113.77")  # type: ignore[call-arg]
    for raw in (visit(), visit().sender):
        with pytest.raises(AttributeError):
            raw.ip = "203.0.113.77"  # type: ignore[union-attr]


def test_neither_does_the_rule_show_its_key() -> None:
    assert "person_key" not in repr(Spies().rule())


# Small things that rows say.


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01 00:00:00.000"),
        (NOW, "2026-11-22 10:00:00.000"),
        (NOW + 7, "2026-11-22 10:00:00.007"),
        (951_782_399_999, "2000-02-28 23:59:59.999"),
        (951_782_400_000, "2000-02-29 00:00:00.000"),
    ],
)
def test_when(ms: int, text: str) -> None:
    assert when(ms) == text


@pytest.mark.parametrize(
    ("accepted", "kept"),
    [
        ("nl-BE,nl;q=0.9,en;q=0.8", "nl-BE"),
        ("nl", "nl"),
        ("NL-be", "nl-BE"),
        (" fr ; q=1", "fr"),
        ("zh-Hant-TW", "zh"),
        ("gsw-CH", "gsw-CH"),
        ("en-u-ca-buddhist", "en"),
        ("", ""),
        ("*", ""),
        ("english", ""),
        ("203.0.113.77", ""),
        ("alice@example.com", ""),
    ],
)
def test_language(accepted: str, kept: str) -> None:
    assert language(accepted) == kept


moments = st.sampled_from([NOW - 2 * DAY, NOW - DAY, NOW - 5, NOW, NOW + 5])
senders = st.builds(
    lambda who, end, agent, received: (
        visit(consent=CHOSE[who], address=parse(f"203.0.{end}.7"), user_agent=agent, received_at=received).sender
    ),
    st.sampled_from(sorted(CHOSE)),
    st.integers(112, 114),
    st.sampled_from(["Mozilla/5.0 Firefox/145", "Mozilla/5.0 Chrome/141"]),
    moments,
)


@given_(st.lists(senders, min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 2), moments), max_size=8))
def test_what_is_common_to_a_sender_is_never_anothers(senders: list[Sender], events: list[tuple[int, int]]) -> None:
    """Judged one after the other, whoever came before, events are what each would be alone. A day has its own salt."""
    rule = Spies().rule(salt=lambda at: b"%032d" % (at // DAY), keep_ms=2 * DAY)
    judging = rule.judging()
    for which, at in events:
        seen = Observation(senders[which % len(senders)], "page_view", at, "https://www.example.eu/page", view_id=1)
        assert judging(seen) == rule.judge(seen)


def test_what_is_common_to_a_sender_is_looked_up_once() -> None:
    spies = Spies()
    seen = visit(consent=CHOSE["accepted analytics"])
    judging = spies.rule().judging()
    events = [judging(seen) for _ in range(3)]
    assert events[0] == events[1] == events[2]
    assert (spies.places, spies.encrypted) == ([ADDRESS, NETWORK], [ADDRESS])


def test_no_address_is_remembered_once_an_event_is_judged() -> None:
    """What the rule knows of a sender ends with the judging; nothing of a process that has judged holds the address."""
    spies = Spies()
    rule = spies.rule()
    addresses = [parse(f"203.0.113.{77 + number}") for number in range(3)]
    senders = [visit(address=packed, consent=CHOSE["accepted analytics"]).sender for packed in addresses]
    for sender in senders:
        assert isinstance(rule.judge(Observation(sender, "page_view", NOW, "/")), Event)
    gc.collect()
    for sender in senders:
        held_by = [one for one in gc.get_referrers(sender) if one is not senders and not isinstance(one, FrameType)]
        assert held_by == []


def test_what_is_remembered_of_headers_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caches hold what anybody sends: so many entries, and each of them short."""
    remembered: list[str] = []
    for name in ("_language", "_with"):
        cached: Any = getattr(privacy, name)
        assert cached.cache_info().maxsize == 1000

        def noting(*words: Any, cached: Any = cached) -> Any:
            remembered.append(words[-1])
            return cached(*words)

        monkeypatch.setattr(privacy, name, noting)
    long = "x" * 60_000
    event: Any = judge(visit(language=f"nl-BE,{long}", host=long))
    assert event.language == "nl-BE" and remembered and max(map(len, remembered)) <= 253
    assert judge(visit(host="other.example")).language == "nl-BE" and "other.example" in remembered
