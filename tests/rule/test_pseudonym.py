"""The two pseudonyms: what they depend on, and what they can't be traced back to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.rule.pseudonym import person, visitor

KEY, OTHER = b"k" * 32, b"o" * 32
networks = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
texts = st.text(max_size=40)
sites = st.text("abz019._-", min_size=1, max_size=10)  # as the settings allow them
visits = st.tuples(st.sampled_from([KEY, OTHER]), sites, networks, texts)


@given(visits, visits)
def test_a_visitor_is_told_apart_by_each_part_and_by_nothing_else(
    one: tuple[bytes, str, bytes, str], other: tuple[bytes, str, bytes, str]
) -> None:
    assert (visitor(*one) == visitor(*other)) == (one == other)


@given(networks, sites, texts)
def test_the_parts_do_not_run_together(network: bytes, tail: str, user_agent: str) -> None:
    assert visitor(KEY, "shop" + tail, network, user_agent) != visitor(KEY, "shop", network, tail + user_agent)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_person_is_the_consent_under_a_key(one: str, other: str) -> None:
    assert (person(KEY, one) == person(KEY, other)) == (one == other)
    assert person(KEY, one) != person(OTHER, one)


@given(visits, texts)
def test_a_pseudonym_fits_its_column_and_is_never_the_empty_one(
    visit: tuple[bytes, str, bytes, str], text: str
) -> None:
    for number in (visitor(*visit), person(KEY, text)):
        assert 0 < number < 2**64


def test_any_header_makes_a_visitor() -> None:
    assert visitor(KEY, "shop", bytes(4), "\udcff raw byte \0") > 0


def test_known_values() -> None:
    """Changed by accident, every visitor and every person would be another one from one version to the next."""
    assert visitor(KEY, "shop", bytes([203, 0, 113, 0]), "Mozilla/5.0") == 14424053991067552937
    assert person(KEY, "AbCdEfGhIjKlMnOpQrStUv") == 11312404922880917824
