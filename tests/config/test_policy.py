"""The policy file: what it may say, what is refused and how, presets, and versions by the clock."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.config.conditions import Finding, check
from consent_gateway.config.policy import CHANGING, InForce, Policy
from consent_gateway.config.policy_file import PRESETS, line_of, load, parse
from consent_gateway.config.processing import markdown, record
from consent_gateway.record.cookie import MAX_BYTES, Cookies
from consent_gateway.rule.address import Prefixes
from consent_gateway.rule.columns import COLUMNS
from consent_gateway.rule.consent import Consent, Status
from consent_gateway.rule.errors import ConfigError

WORDS = """{nl = "a", fr = "b", de = "c", en = "d"}"""
MARKETING = f"""
[[purposes]]
id = "marketing"
basis = "consent"
gates = true
retention_days = 90
names = {WORDS}
texts = {WORDS}
cookies = [{{name = "_ad*", days = 90, words = {WORDS}}}]
services = [{{name = "Adverts Inc", country = "IE", url = "https://adverts.example"}}]
"""
VERSIONS = f"""
[[versions]]
version = "1"
announced = 2026-01-01
effective = 2026-01-01

[[versions]]
version = "2"
announced = 2026-02-01
effective = 2026-03-01
changes = {WORDS}

[[versions]]
version = "3"
announced = 2026-04-01
effective = 2026-05-01
material = true
touches = ["analytics"]
changes = {WORDS}

[[versions]]
version = "4"
announced = 2026-06-01
effective = 2026-07-01
material = true
changes = {WORDS}
"""


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_the_default_holds_without_a_file() -> None:
    policy = load(None)
    assert policy.asked == {"analytics"} and policy.consent_months == 6 and not policy.script_needs_consent
    assert {purpose.id: purpose.basis.value for purpose in policy.purposes} == {
        "measurement": "legitimate_interest",
        "analytics": "consent",
        "accountability": "legal_obligation",
    }


def test_a_file_is_laid_over_its_preset() -> None:
    policy = parse('preset = "belgium-strict"\n[controller]\nname = "A shop"\n' + MARKETING)
    assert policy.script_needs_consent and policy.preset == "belgium-strict" and policy.controller.name == "A shop"
    assert policy.asked == {"analytics", "marketing"}
    assert policy.purpose("marketing").cookies[0].name == "_ad*" and policy.purpose("analytics").retention_days == 393


def test_a_purpose_of_a_preset_is_changed_by_its_id() -> None:
    policy = parse('[[purposes]]\nid = "measurement"\nretention_days = 100\n')
    assert policy.retention_days("measurement") == 100 and policy.purpose("measurement").names["nl"] == "Bezoeken meten"


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_every_preset_is_a_whole_policy(preset: str) -> None:
    assert parse(f'preset = "{preset}"').preset == preset


MEASUREMENT = '[[purposes]]\nid = "measurement"\n'
MEASURED_LONGER = """
[[versions.policy.purposes]]
id = "measurement"
retention_days = 900
"""
REFUSED = [
    # what is written, the line, what the sentence names
    (f"{MEASUREMENT}stores_on_device = true", 3, "stores_on_device", "ePrivacy 5(3)"),
    (f'{MEASUREMENT}cookies = [{{name = "x", words = {WORDS}}}]', 3, "cookies", "needs consent"),
    (MARKETING.replace('"consent"', '"legitimate_interest"'), 9, "marketing", "needs consent"),
    (f"\n{MEASUREMENT}gates = true", 4, "gates", "needs consent"),
    (MARKETING + MARKETING, 0, "marketing", "stands twice"),
    (MARKETING.replace('basis = "consent"', 'basis = "consent, contract"'), 4, "basis", "'consent'"),
    (MARKETING.replace('basis = "consent"', 'basis = ["consent", "contract"]'), 4, "basis", "consent"),
    (f'{MEASUREMENT}basis = "consent"', 3, "basis", "allowed is legitimate_interest"),
    (MARKETING + "preselected = true", 0, "preselected", "Planet49"),
    ("\n\nconsent_months = 14", 3, "consent_months", "13"),
    (f"{MEASUREMENT}retention_days = 759", 3, "retention_days", "758"),
    ('[[purposes]]\nid = "analytics"\nretention_days = 394', 3, "retention_days", "393"),
    (MARKETING.replace(f"names = {WORDS}", 'names = {nl = "a", fr = "b", de = "c"}'), 7, "names", "en is missing"),
    (MARKETING.replace(f"names = {WORDS}", 'names = {nl = "a", fr = "b", de = "c", en = " "}'), 7, "names", "en is"),
    (MARKETING.replace(f"names = {WORDS}", 'names = {nl="a",fr="b",de="c",en="d",it="e"}'), 7, "names", "it is none"),
    ('first_layer = ["accept", "choose"]', 1, "first_layer", "refusal"),
    ("address_days = 31", 1, "address_days", "30"),
    ('[controller]\nname = "x"\nfax = "1"', 3, "fax", "is no key"),
    ('wrong = "key"', 1, "wrong", "is no key"),
    ('preset = "italy"', 1, "preset", "belgium-strict"),
    ('preset = "../default"', 1, "preset", "allowed are"),
    ('[controller]\nemail = "no address"', 2, "email", "e-mail"),
    ('[controller]\nurl = "javascript:alert(1)"', 2, "url", "https://"),
    ('[[recipients]]\nname = "Cloud"\ncountry = "US"\nwhat = ' + WORDS, 1, "US", "outside the EEA"),
    (VERSIONS.replace("announced = 2026-06-01", "announced = 2026-08-01"), 23, "versions", "announced is after"),
    (VERSIONS.replace('version = "4"', 'version = "3"'), 2, "versions", "stands twice"),
    (VERSIONS.replace('touches = ["analytics"]', 'touches = ["other"]'), 2, "other", "rests on no consent"),
    ("versions = []", 1, "versions", "at least 1"),
    (VERSIONS + "[versions.policy]\nconsent_months = 12", 28, "consent_months", "can't change with a version"),
    (VERSIONS + "[versions.policy.controller]\nfax = '1'", 28, "fax", "is no key"),
    (VERSIONS + MEASURED_LONGER, 30, "measurement", "758"),
    (VERSIONS + 'without = ["marketing"]', 27, "without", "no such purpose"),
    (VERSIONS + 'without = ["measurement"]', 0, "measurement is missing", ""),
    ("a = [", 0, "TOML", ""),
    ('"\\u0000" = 1', 0, "", ""),
    ("[" * 5000, 0, "TOML", ""),
    ("a." * 5000 + "b = 1", 0, "", ""),
    ("controller." + "a." * 5000 + "b = 1", 0, "", ""),
    ("consent_months = " + "9" * 5000, 0, "", ""),
    (VERSIONS + "policy = {purposes = [1]}", 27, "purposes", "no list of tables"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "names", "says"), REFUSED)
def test_what_is_refused_names_line_and_key(text: str, line: int, names: str, says: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(text)
    sentence = str(refusal.value)
    assert names in sentence and says in sentence and "\n" not in sentence
    if line:
        assert sentence.startswith(f"line {line}"), sentence


def test_purposes_that_fit_no_cookie_are_refused() -> None:
    many = "".join(MARKETING.replace('"marketing"', f'"a_purpose_with_a_long_name_{n:02d}"') for n in range(8))
    with pytest.raises(ConfigError, match="would not fit its cookie"):
        parse(many)
    some = parse("".join(MARKETING.replace('"marketing"', f'"a_purpose_with_a_long_name_{n}"') for n in range(4)))
    consent = Consent(Status.GIVEN, some.asked, True, "i" * 22, at("2026-11-01"), "", "1" * 32, True, True)
    line = Cookies(["s" * 40]).write(consent, "shop", secure=True, now=at("2026-11-01"))
    assert len(line.partition(";")[0]) <= MAX_BYTES


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"CONSENT_GATEWAY_POLICY is .*No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "binary.toml")
    (tmp_path / "policy.toml").write_text("consent_months = 0")
    with pytest.raises(ConfigError, match=r"policy.toml, line 1, consent_months: "):
        load(tmp_path / "policy.toml")


@given(st.text(max_size=300))
def test_any_text_is_a_policy_or_refused_in_one_sentence(text: str) -> None:
    try:
        assert isinstance(parse(text), Policy)
    except ConfigError as error:
        assert "\n" not in str(error)


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.dates()
_ANY = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


@given(st.sampled_from(sorted(Policy.model_fields)), _ANY)
def test_any_value_of_any_key_is_taken_or_refused(key: str, value: Any) -> None:
    text = _toml(key, value)
    if text is None:
        return
    try:
        parse(text)
    except ConfigError as error:
        assert "\n" not in str(error)


@given(st.sampled_from(sorted(CHANGING)), _ANY)
def test_any_change_of_a_version_is_taken_or_refused(key: str, value: Any) -> None:
    text = _toml(key, value)
    if text is None:
        return
    try:
        parse(f"{VERSIONS}[versions.policy]\n{text}\n")
    except ConfigError as error:
        assert "\n" not in str(error)


def _toml(key: str, value: Any) -> str | None:
    def spell(one: Any) -> str:
        if isinstance(one, bool):
            return str(one).lower()
        if isinstance(one, dict):
            return "{" + ", ".join(f"{spell(str(name))} = {spell(inner)}" for name, inner in one.items()) + "}"
        if isinstance(one, list):
            return "[" + ", ".join(map(spell, one)) + "]"
        if isinstance(one, str):
            return (
                '"'
                + "".join(char if char.isalnum() and char.isascii() else f"\\U{ord(char):08x}" for char in one)
                + '"'
            )
        return str(one) if one is not None else '""'

    text = f"{key} = {spell(value)}"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # a half of a surrogate pair, which TOML can't spell
        return None
    return text


@pytest.mark.parametrize(
    ("moment", "in_force", "announced"),
    [
        ("2020-01-01", "1", None),
        ("2026-01-15", "1", None),
        ("2026-02-01", "1", "2"),
        ("2026-02-28T23:59:59", "1", "2"),
        ("2026-03-01", "2", None),
        ("2026-04-15", "2", "3"),
        ("2027-01-01", "4", None),
    ],
)
def test_versions_are_announced_and_then_take_effect(moment: str, in_force: str, announced: str | None) -> None:
    policy = parse(VERSIONS)
    coming = policy.announced(at(moment))
    assert policy.in_force(at(moment)).version == in_force
    assert (coming.version if coming else None) == announced
    assert InForce(policy)(at(moment)).version == in_force


SHOP = VERSIONS + MARKETING
BOTH = frozenset({"analytics", "marketing"})
# a choice made under a version, as it is seen later: which purposes are still granted, and which are asked anew
LATER = [
    ("1", "2026-03-15", BOTH, set(), False),  # a change of wording asks nobody
    ("2", "2026-05-15", {"marketing"}, {"analytics"}, True),  # a material one asks for what it touches
    ("1", "2026-05-15", {"marketing"}, {"analytics"}, True),
    ("3", "2026-05-15", BOTH, set(), False),
    ("3", "2026-07-15", set(), BOTH, True),  # one that names nothing touches all
    ("0", "2026-01-15", set(), BOTH, True),  # a version that nobody knows
]  # fmt: skip


@pytest.mark.parametrize(("version", "moment", "granted", "touched", "ask"), LATER)
def test_a_material_change_asks_again_for_what_it_touches(
    version: str, moment: str, granted: set[str], touched: set[str], ask: bool
) -> None:
    terms = InForce(parse(SHOP))(at(moment))
    before = Consent(Status.GIVEN, BOTH, consent_id="i" * 22, given_at=at("2026-01-02"), policy_version=version)
    after = before.under_terms(terms)
    assert after.granted == granted and after.ask == ask and terms.since(version) == touched
    assert after.status is (Status.GIVEN if granted else Status.INVALIDATED)
    assert not any(after.permits(purpose) for purpose in touched)
    refused = Consent(Status.REFUSED, month="2026-01", policy_version=version).under_terms(terms)
    assert refused.ask == ask and refused.granted == set()


BRINGS = f"""
[[versions]]
version = "1"
announced = 2026-01-01
effective = 2026-01-01

[[versions]]
version = "2"
announced = 2026-02-01
effective = 2026-03-01
material = true
touches = ["marketing"]
changes = {WORDS}
[versions.policy.controller]
email = "new@shop.example"
{MARKETING.replace("[[purposes]]", "[[versions.policy.purposes]]")}
[[versions.policy.purposes]]
id = "measurement"
retention_days = 100

[[versions]]
version = "3"
announced = 2026-04-01
effective = 2026-05-01
changes = {WORDS}
without = ["marketing"]
"""


def test_what_a_version_changes_holds_from_its_day_on() -> None:
    policy = parse(BRINGS)
    before, during, after = (policy.as_of(at(day)) for day in ("2026-02-28T23:59:59", "2026-03-01", "2026-05-01"))
    assert [sorted(one.asked) for one in (before, during, after)] == [["analytics"], sorted(BOTH), ["analytics"]]
    assert (before.controller.email, during.controller.email) == ("", "new@shop.example")
    assert [one.retention_days("measurement") for one in (before, during, after)] == [758, 100, 100]
    assert during.retention_days("analytics") == 100, "what is in a row goes with it"
    in_force = InForce(policy)
    assert in_force(at("2026-03-01")).asked == BOTH and in_force.policy(at("2026-03-01")) is during


def test_a_purpose_that_comes_is_asked_for_and_one_that_goes_is_no_longer_granted() -> None:
    in_force = InForce(parse(BRINGS))
    analytics = frozenset(["analytics"])
    old = Consent(Status.GIVEN, analytics, consent_id="i" * 22, given_at=at("2026-01-02"), policy_version="1")
    seen = old.under_terms(in_force(at("2026-03-01")))
    assert seen.granted == analytics and seen.touched == {"marketing"} and seen.ask
    both = Consent(Status.GIVEN, BOTH, consent_id="i" * 22, given_at=at("2026-03-02"), policy_version="2")
    left = both.under_terms(in_force(at("2026-05-01")))
    assert left.granted == analytics and not left.ask, "nobody is asked because a purpose ended"


def test_the_line_of_a_key() -> None:
    text = "a = 1\n[b]\nc = 1\n[[d]]\ne = 1\n[[d]]\nf = 1\n[d.g]\nh = 1\n"
    places = {
        ("a",): 1,
        ("b", "c"): 3,
        ("d", 0, "e"): 5,
        ("d", 1, "f"): 7,
        ("d", 1, "g", "h"): 9,
        ("d", 1): 6,
        ("z",): 1,
    }
    assert {place: line_of(text, place) for place in places} == places


EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "insurance-technology.toml"


def test_the_example_of_an_insurance_technology_company_says_all_of_it() -> None:
    policy = load(EXAMPLE)
    bases = {purpose.id: purpose.basis.value for purpose in policy.purposes}
    assert bases == {
        "measurement": "legitimate_interest",
        "analytics": "consent",
        "accountability": "legal_obligation",
        "account": "contract",
        "profile": "legitimate_interest",
        "transactions": "contract",
        "transaction_records": "legitimate_interest",
        "customers": "legitimate_interest",
        "surveys": "legitimate_interest",
        "correspondence": "legitimate_interest",
        "newsletters": "consent",
        "live_chat": "consent",
        "assistant": "contract",
    }
    assert policy.purpose("assistant").role == "processor" and policy.controller.role == "controller"
    assert len(policy.recipients) == 4 and not policy.automated_decisions
    assert [one.words for one in check(policy, Prefixes()) if one.finding is Finding.UNMET] == []


def test_nothing_is_said_to_be_kept_shorter_than_it_is() -> None:
    made = {
        one["id"]: one for one in record(parse("ledger_days = 1000\naddress_days = 7"), at("2026-11-01"))["activities"]
    }
    assert made["accountability"]["besides"] == {"the record of a choice, from its end": 1000}
    assert made["analytics"]["besides"] == {"address": 7} and made["analytics"]["kept_days"] == 393


def test_the_record_of_processing_comes_from_policy_and_register() -> None:
    made = record(load(EXAMPLE), at("2026-11-01"))
    assert {name for one in made["activities"] for name in one["columns"]} == {column.name for column in COLUMNS}
    text = markdown(made)
    assert text.count("\n## ") == len(made["activities"]) + 2 and "Polderly NV" in text
    for one in made["activities"]:
        assert one["purpose"] in text and all(entry in text for entry in one["data"])
    assert "Role: processor for the insurer that offers the assistant (Art. 30(2))" in text
    assert "Automated decisions (Art. 22): none" in text
    json.dumps(made)


FRANCE = 'preset = "france-exempt"\n[storage]\ncountry = "FR"\n'
UNMET = [
    # what the policy says besides, and which of CNIL's conditions it breaks
    ("", Prefixes(), []),
    ("[[recipients]]\nname = 'x'\nwhat = " + WORDS, Prefixes(), []),
    (f'{MEASUREMENT}services = [{{name = "Others"}}]', Prefixes(), ["Nobody else gets the data"]),
    (f'{MEASUREMENT}recipients = ["Others"]', Prefixes(), ["Nobody else gets the data"]),
    ("[[versions]]\nversion = 'a'\nannounced = 2026-01-01\neffective = 2026-01-01", Prefixes(), []),
]


@pytest.mark.parametrize(("more", "prefixes", "broken"), UNMET)
def test_the_conditions_of_the_french_exemption(more: str, prefixes: Prefixes, broken: list[str]) -> None:
    found = [one for one in check(parse(FRANCE + more), prefixes) if one.source.startswith("CNIL 2020-091")]
    assert len(found) == 11
    unmet = [one.words for one in found if one.finding is Finding.UNMET]
    assert len(unmet) == len(broken) and all(map(str.startswith, unmet, broken))


def test_each_condition_can_be_broken() -> None:
    policy = parse('preset = "france-exempt"\nminimum_group = 0\n')
    unmet = {one.words for one in check(policy, Prefixes()) if one.finding is Finding.UNMET}
    assert unmet == {
        "The notice says who is responsible and how to reach them",
        "The notice names the authority that takes complaints",
        "The notice says where data is kept, in the EEA or under a safeguard",
        "Data stays in the EEA",
        "Statistics are anonymous: small groups are folded",
    }
    contested = [one.words for one in check(policy, Prefixes()) if one.finding is Finding.CONTESTED]
    assert contested == ["What a script reads from the device rests on consent"]
    strict = check(parse('preset = "belgium-strict"'), Prefixes())
    assert [one for one in strict if one.finding is Finding.CONTESTED] == []
