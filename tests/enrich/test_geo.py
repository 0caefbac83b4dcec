"""Places: out of the box, from either layout of database, from none that is broken."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]

from consent_gateway.enrich.geo import Geo, _place
from consent_gateway.rule.errors import ConfigError
from consent_gateway.rule.event import Place

NETWORK = "203.0.113.0/24"
NESTED = {
    "country": {"iso_code": "BE", "names": {"en": "Belgium"}},
    "subdivisions": [{"iso_code": "VLG"}, {"iso_code": "VOV"}],
    "city": {"names": {"en": "Ghent", "nl": "Gent"}},
    "location": {"latitude": 51.05, "longitude": 3.72},
}
FLAT = {"country_code": "be", "region": "VLG", "city": "Ghent", "latitude": 51.05}
HOSTILE: list[Any] = [
    {"country": {"iso_code": 7}},
    {"country": ["BE"], "subdivisions": {"a": 1}, "city": 3},
    {"country": {"iso_code": "B" * 60_000}},
    {"country_code": "<b"},
    {"country_code": "ßß"},
    "BE",
    17,
]


def written(path: Path, record: Any) -> Path:
    """A database that says `record` of NETWORK and of 2001:db8::/32, put in place as a good tool does it."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Test")
    writer.insert_network(IPSet([NETWORK, "2001:db8::/32"]), record)
    writer.to_db_file(str(path.with_suffix(".new")))
    os.replace(path.with_suffix(".new"), path)
    return path


def test_countries_out_of_the_box() -> None:
    geo = Geo(None)
    assert geo("193.190.0.0/24") == Place("BE")
    assert geo("2001:6a8::/48") == Place("BE")
    assert geo("8.8.8.8") == Place("US")
    assert geo(NETWORK) == geo("") == geo("nonsense") == geo("10.0.0.0/24") == Place()
    assert geo.reload_if_changed() is False


@pytest.mark.parametrize("record", [NESTED, FLAT], ids=["nested", "flat"])
def test_both_layouts(tmp_path: Path, record: Any) -> None:
    geo = Geo(written(tmp_path / "geo.mmdb", record))
    for text in (NETWORK, "203.0.113.77", "2001:db8::/48", "2001:db8::1"):
        assert geo(text) == Place("BE", "BE-VLG", "Ghent")
    assert geo("198.51.100.0/24") == geo("nonsense/9") == Place()


PLACES = [
    ({"country_code": "BE", "state1": "BE-BRU", "city": "Brussels"}, Place("BE", "BE-BRU", "Brussels")),
    ({"country_code": "BE", "state1": "Flanders", "city": "Ghent"}, Place("BE", "", "Ghent")),
    ({"country": "BE", "region_code": "WAL"}, Place("BE", "BE-WAL")),
    ({"city": "Ghent"}, Place()),
    ({"country_code": "BE", "region": "TOO-LONG-A-CODE"}, Place("BE")),
    ({"country_code": "BE", "city": "203.0.113.77"}, Place("BE")),
    ({"country_code": "BE", "city": "alice@example.com"}, Place("BE")),
    ({"country_code": "BE", "city": "two\nlines"}, Place("BE")),
    ({"country_code": "BE", "city": "x" * 81}, Place("BE")),
    ({"country_code": "DE", "city": "Garmisch-Partenkirchen"}, Place("DE", "", "Garmisch-Partenkirchen")),
    ({"country_code": "BE", "city": "La Louvière"}, Place("BE", "", "La Louvière")),
]  # fmt: skip


@pytest.mark.parametrize(("record", "place"), PLACES)
def test_what_is_believed(record: dict[str, Any], place: Place) -> None:
    assert _place(record) == place


@pytest.mark.parametrize("record", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_give_no_place(tmp_path: Path, record: Any) -> None:
    assert Geo(written(tmp_path / "geo.mmdb", record))(NETWORK) == Place()


leaves = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
keys = st.sampled_from(["iso_code", "names", "en"])
anything = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner))


@given(
    st.dictionaries(st.sampled_from(["country", "country_code", "subdivisions", "region", "state1", "city"]), anything)
)
def test_any_record_has_a_place(record: dict[str, Any]) -> None:
    place = _place(record)
    assert len(place.country) in (0, 2) and len(place.region) <= 10 and len(place.city) <= 80


@pytest.mark.parametrize("content", [None, b"", b"not a database", b"\xab\xcd\xefMaxMind.com" * 3])
def test_a_broken_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "geo.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Geo(path)
    assert "GEO_DB" in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert "allowed" in str(caught.value)


def test_a_damaged_file_never_raises_in_a_lookup(tmp_path: Path) -> None:
    good = written(tmp_path / "geo.mmdb", NESTED).read_bytes()
    for place in range(0, len(good), 7):
        (tmp_path / "bad.mmdb").write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        try:
            geo = Geo(tmp_path / "bad.mmdb")
        except ConfigError:
            continue
        assert isinstance(geo(NETWORK), Place)


def test_a_new_file_is_picked_up(tmp_path: Path) -> None:
    path = written(tmp_path / "geo.mmdb", NESTED)
    geo = Geo(path)
    assert geo(NETWORK).country == "BE" and geo.reload_if_changed() is False
    written(path, {"country_code": "NL"})
    assert geo.reload_if_changed() is True
    assert geo(NETWORK) == Place("NL") and geo.reload_if_changed() is False


def test_a_new_broken_file_is_ignored_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "geo.mmdb", NESTED)
    geo = Geo(path)
    good = path.read_bytes()
    path.write_bytes(b"")  # rewritten in place, which must not reach the copy in use
    with caplog.at_level(logging.WARNING):
        assert geo.reload_if_changed() is geo.reload_if_changed() is False
    assert len(caplog.records) == 1 and "GEO_DB" in caplog.text
    assert geo(NETWORK).country == geo("203.0.113.77").country == "BE"
    path.unlink()
    assert geo.reload_if_changed() is False
    path.write_bytes(good)
    assert geo.reload_if_changed() is True


def test_only_networks_are_remembered(tmp_path: Path) -> None:
    geo = Geo(written(tmp_path / "geo.mmdb", NESTED))
    for text in ("203.0.113.77", NETWORK, NETWORK):
        geo(text)
    assert geo._networks.cache_info()[:2] == (1, 1) and geo._networks.cache_info().currsize == 1
