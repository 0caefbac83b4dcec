"""The cookie: what was written is read, and nothing else."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.record.cookie import MAX_BYTES, Cookies, add_months
from consent_gateway.rule.consent import UNKNOWN, Consent, Status, Terms

SECRET, OTHER = "s" * 44, "o" * 44
NOW = 1_795_341_600_000  # 2026-11-22 10:00:00 UTC
COOKIES = Cookies([SECRET])

names = st.from_regex(r"[a-z][a-z0-9_-]{0,11}", fullmatch=True)
versions = st.from_regex(r"[A-Za-z0-9._-]{1,16}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z0-9_-]{22}", fullmatch=True)
granted = st.builds(
    lambda purposes, *rest: Consent(Status.GIVEN, purposes, *rest),
    st.frozensets(names, min_size=1, max_size=4), st.booleans(), ids, st.integers(0, NOW), st.just(""), versions,
    st.booleans(), st.booleans(),
)  # fmt: skip
denied = st.builds(
    lambda status, objection, month, version, lifted: Consent(
        status, objection=objection, month=month, policy_version=version, signal_lifted=lifted
    ),
    st.sampled_from([Status.REFUSED, Status.WITHDRAWN, Status.UNKNOWN]), st.booleans(),
    st.dates().filter(lambda day: 1970 <= day.year < 2200).map(lambda day: f"{day:%Y-%m}"), versions, st.booleans(),
)  # fmt: skip
ASKED = frozenset({"analytics"})
GIVEN = Consent(Status.GIVEN, frozenset({"analytics"}), consent_id="i" * 22, given_at=NOW, policy_version="1")
REFUSED = Consent(Status.REFUSED, month="2026-11", policy_version="1")


def written(consent: Consent, *, cookies: Cookies = COOKIES, site: str = "shop", secure: bool = True) -> str:
    """The `name=value` that a browser would send back."""
    return cookies.write(consent, site, secure=secure, now=NOW).partition(";")[0]


def read(
    header: str, *, cookies: Cookies = COOKIES, site: str = "shop", secure: bool = True, now: int = NOW
) -> Consent:
    return cookies.read(header, site, secure=secure, now=now, terms=Terms("1", ASKED))


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@given(
    granted | denied, st.booleans(), st.sampled_from(["", "a=b; ", "cg_x=1; Cg=2; "]), st.sampled_from(["", "; z=1"])
)
def test_what_was_written_is_read(consent: Consent, secure: bool, before: str, behind: str) -> None:
    now = consent.given_at if consent.granted else moment(f"{consent.month}-01T00:00:00")
    line = COOKIES.write(consent, "shop", secure=secure, now=now)
    header = before + line.partition(";")[0] + behind
    terms = Terms(consent.policy_version, consent.granted)
    assert COOKIES.read(header, "shop", secure=secure, now=now, terms=terms) == consent
    quoted = header.replace("cg=", 'cg="') + '"' if not behind else header
    assert COOKIES.read(quoted, "shop", secure=secure, now=now, terms=terms) == consent
    assert len(line.partition(";")[0]) <= MAX_BYTES


@given(granted | denied, st.data())
def test_a_changed_cookie_is_none(consent: Consent, data: st.DataObject) -> None:
    name, _, value = written(consent).partition("=")
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.sampled_from("aZ09~.:_-g").filter(lambda char: char != value[at]))
    now = consent.given_at if consent.granted else NOW
    for changed in (value[:at] + other + value[at + 1 :], value[:at], value[:at] + value[at + 1 :], other + value):
        seen = COOKIES.read(
            f"{name}={changed}", "shop", secure=True, now=now, terms=Terms(consent.policy_version, ASKED)
        )
        # base64 spells the last bits of a signature in several ways: that is the same cookie
        assert seen == UNKNOWN or changed[:-1] == value[:-1]


@given(st.text() | st.text(alphabet='_Hostcg=;1~g. "', max_size=80))
def test_no_header_makes_it_fail(header: str) -> None:
    assert read(header) == read("__Host-cg=" + header) == UNKNOWN


@pytest.mark.parametrize(
    ("reader", "site", "secure"),
    [
        (COOKIES, "blog", True),  # another site's
        (COOKIES, "shop", False),  # the name of https over http
        (Cookies([SECRET], domain="example.eu"), "shop", True),  # another name
        (Cookies([OTHER]), "shop", True),  # another secret
    ],
)
def test_another_ones_cookie_is_none(reader: Cookies, site: str, secure: bool) -> None:
    assert read(written(GIVEN)) == GIVEN
    assert read(written(GIVEN), cookies=reader, site=site, secure=secure) == UNKNOWN


def test_secrets_rotate() -> None:
    old, new, both = Cookies([SECRET]), Cookies([OTHER]), Cookies([SECRET, OTHER])  # the newest last
    assert read(written(GIVEN, cookies=old), cookies=both) == GIVEN
    assert read(written(GIVEN, cookies=both), cookies=new) == GIVEN
    assert read(written(GIVEN, cookies=both), cookies=old) == UNKNOWN


NAMES = [
    # https  COOKIE_DOMAIN  name
    (True,  "",            "__Host-cg"),
    (True,  "example.eu",  "__Secure-cg"),
    (False, "",            "cg"),
    (False, "example.eu",  "cg"),
]  # fmt: skip


@pytest.mark.parametrize(("secure", "domain", "name"), NAMES)
def test_the_name_and_what_stands_behind(secure: bool, domain: str, name: str) -> None:
    cookies = Cookies([SECRET], domain=domain)
    line = cookies.write(GIVEN, "shop", secure=secure, now=NOW)
    pair, *attributes = line.split("; ")
    assert pair.startswith(f"{name}=")
    half_a_year = (moment("2027-05-22T10:00:00") - NOW) // 1000
    expected = ["Path=/", f"Max-Age={half_a_year}", "HttpOnly", "SameSite=Lax"]
    assert attributes == expected + ["Secure"] * secure + [f"Domain={domain}"] * bool(domain)
    value = pair.partition("=")[2]
    read_by_name = {
        other: cookies.read(f"{other}={value}", "shop", secure=secure, now=NOW, terms=Terms("1", ASKED))
        for _, _, other in NAMES
    }
    assert read_by_name == {other: GIVEN if other == name else UNKNOWN for other in read_by_name}


@pytest.mark.parametrize(
    ("given_at", "until"),
    [
        ("2026-11-22T10:00:00.123", "2027-05-22T10:00:00.123"),
        ("2026-08-31T12:00:00", "2027-02-28T12:00:00"),
        ("2027-08-31T12:00:00", "2028-02-29T12:00:00"),
        ("2027-08-29T23:59:59.999", "2028-02-29T23:59:59.999"),
        ("2028-02-29T00:00:00", "2028-08-29T00:00:00"),
        ("2026-10-31T00:00:00", "2027-04-30T00:00:00"),
        ("2026-06-30T00:00:00", "2026-12-30T00:00:00"),
        ("2026-07-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_a_grant_ends_after_six_months_to_the_millisecond(given_at: str, until: str) -> None:
    consent = replace(GIVEN, given_at=moment(given_at))
    header = written(consent)
    assert read(header, now=moment(until) - 1) == consent
    ended = read(header, now=moment(until))
    assert (ended.status, ended.granted, ended.consent_id) == (Status.EXPIRED, frozenset(), "")


@given(st.integers(0, 2 * NOW), st.integers(1, 13))
def test_months(ms: int, months: int) -> None:
    days, rest = divmod(add_months(ms, months) - ms, 86_400_000)
    assert 28 * months <= days <= 31 * months and rest == 0


@pytest.mark.parametrize(
    ("month", "last"), [("2026-11", "2027-05-30"), ("2026-08", "2027-02-28"), ("2027-08", "2028-02-29")]
)
def test_a_refusal_is_remembered_six_months_at_least(month: str, last: str) -> None:
    """It knows only its month, so it counts from the end of that."""
    header = written(replace(REFUSED, month=month))
    assert read(header, now=moment(f"{last}T23:59:58.999")).status is Status.REFUSED
    assert read(header, now=moment(f"{last}T23:59:59")).status is Status.EXPIRED


@pytest.mark.parametrize("day", ["2026-11-01", "2026-11-30", "2028-02-29"])
def test_no_choice_is_remembered_for_over_13_months(day: str) -> None:
    now = moment(f"{day}T00:00:00")
    for consent in (replace(GIVEN, given_at=now), replace(REFUSED, month=day[:7])):
        line = Cookies(["s" * 40], months=13).write(consent, "shop", secure=True, now=now)
        age = int(line.partition("Max-Age=")[2].partition(";")[0])
        assert add_months(now, 6) < now + age * 1000 <= add_months(now, 13)


def test_an_objection_outlives_the_choice_beside_it() -> None:
    objected = replace(GIVEN, objection=True)
    later = moment("2028-01-01T00:00:00")
    assert read(written(objected), now=later) == Consent(Status.EXPIRED, objection=True, policy_version="1")
    seen = COOKIES.read(written(objected), "shop", secure=True, now=NOW, terms=Terms("2", ASKED))
    assert seen == Consent(Status.INVALIDATED, objection=True, policy_version="1")


def test_a_new_policy_asks_again() -> None:
    for consent in (GIVEN, REFUSED, replace(REFUSED, status=Status.WITHDRAWN)):
        seen = COOKIES.read(written(consent), "shop", secure=True, now=NOW, terms=Terms("2", ASKED))
        assert seen.status is Status.INVALIDATED and seen.ask and not seen.permits("analytics")


def test_a_refusal_holds_no_identifier_and_no_time_stamp() -> None:
    for status in (Status.REFUSED, Status.WITHDRAWN, Status.UNKNOWN):
        value = written(replace(GIVEN, status=status, month="2026-11", granted=frozenset()))
        assert value.partition("=")[2].rpartition(".")[0] in {f"1~{letter}~2026-11~~1~~" for letter in "rwu"}


def test_of_two_the_stricter_wins() -> None:
    one, other = written(GIVEN), written(REFUSED)
    assert read(f"{one}; {other}") == read(f"{other}; {one}") == REFUSED
    assert read(f"{one}; {one}") == GIVEN
    assert read(f"{one}; __Host-cg=rubbish") == GIVEN
    objected = written(replace(REFUSED, objection=True))
    assert read(f"{objected}; {one}").objection


def test_long_and_many_ones_are_none_and_cost_nothing() -> None:
    long = replace(GIVEN, granted=frozenset(f"a-purpose-with-a-long-name-{number}" for number in range(20)))
    assert len(written(long)) > MAX_BYTES
    assert read(written(long)) == UNKNOWN
    cookies = Cookies([SECRET])
    header = "; ".join(f"__Host-cg=1~g~x~~1~~.{number:043d}" for number in range(1000))
    huge = f"__Host-cg={'x' * 1_000_000}"
    start = time.thread_time()
    assert read(header, cookies=cookies) == read(huge, cookies=cookies) == UNKNOWN
    assert time.thread_time() - start < 0.25
    assert cookies._decode.cache_info().currsize <= 8


def test_what_is_remembered_of_cookies_is_small() -> None:
    """However long the cookies are that strangers send."""
    cookies = Cookies([SECRET])
    for number in range(50):
        read(f"__Host-cg={number}{'x' * MAX_BYTES}", cookies=cookies)
    assert cookies._decode.cache_info().currsize == 0
