"""The register: all the names of the contract, one purpose each, and none of `analytics` where it can't be emptied."""

from __future__ import annotations

import re
from typing import get_origin

import pytest

from consent_gateway.rule.columns import ADDRESS_DAYS, BY_NAME, COLUMNS, NAMES, RETENTION_DAYS, kept_under
from consent_gateway.rule.event import OF_VISITOR, Event
from consent_gateway.rule.purposes import BUILT_IN
from consent_gateway.store.schema import SORT_KEY

# The contract's list of names in `events`.
CONTRACT = """
site type at received_at view_id visitor person consent purposes policy_version batch network address path route query
referrer_host referrer_path channel source utm_source utm_medium utm_campaign utm_term utm_content country region city
browser browser_version os os_version device language http_status server_ms engaged_ms scroll_pct screen timings name
props bot
"""


def test_the_register_has_the_names_of_the_contract() -> None:
    assert sorted(NAMES) == sorted(CONTRACT.split())
    assert len(set(NAMES)) == len(NAMES) == len(BY_NAME)


def test_who_is_kept_under_which_purpose() -> None:
    """A coarser value is another column: this is the list that a data protection officer reads."""
    assert kept_under(frozenset({"analytics"})) == {"person", "address", "city"}
    assert {"network", "visitor", "country", "region"} <= kept_under(frozenset({"measurement"}))
    assert kept_under(frozenset({"accountability"})) == {
        "site", "type", "at", "received_at", "consent", "purposes", "policy_version", "batch",
    }  # fmt: skip
    assert kept_under(frozenset({"marketing"})) == kept_under(frozenset()) == frozenset()
    assert kept_under(frozenset(purpose.name for purpose in BUILT_IN)) == set(NAMES)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_is_whole(column: object) -> None:
    name = column.name  # type: ignore[attr-defined]
    row = BY_NAME[name]
    assert re.fullmatch(r"[a-z][a-z_]*", row.name)
    assert row.purpose in {purpose.name for purpose in BUILT_IN}
    assert row.source in ("request", "device", "gateway")
    assert len(row.words) > 3 and row.type
    assert isinstance(row.empty, get_origin(row.holds) or row.holds) and not row.empty
    assert 0 < row.kept_days <= RETENTION_DAYS[row.purpose]
    assert row.filled_by == ("spool" if name == "batch" else "rule")


def test_how_long() -> None:
    days_in_13_months, days_in_25_months = 393, 758  # the shortest that so many months can be
    assert RETENTION_DAYS["analytics"] <= days_in_13_months
    assert RETENTION_DAYS["measurement"] <= days_in_25_months
    assert BY_NAME["address"].kept_days == ADDRESS_DAYS == 30
    assert BY_NAME["person"].kept_days == RETENTION_DAYS["analytics"]


def test_no_column_of_analytics_is_in_the_sort_key() -> None:
    """A column in the sort key can be neither emptied nor given a time to live."""
    words = set(re.findall(r"[a-z_]+", " ".join(SORT_KEY)))
    assert words & set(NAMES)
    assert not words & kept_under(frozenset({"analytics"}))


def test_an_event_has_the_columns_of_the_register_and_no_others() -> None:
    assert sorted(Event.__struct_fields__) == sorted(name for name in NAMES if name != "batch")
    assert Event.__struct_fields__[: len(OF_VISITOR)] == OF_VISITOR
    empty = Event()
    assert all(getattr(empty, name) == BY_NAME[name].empty for name in Event.__struct_fields__)
    with pytest.raises(AttributeError):
        empty.path = "/"
