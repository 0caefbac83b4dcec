"""How long the store keeps: what the policy says, on both engines, also when a version takes effect meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from consent_gateway.config.policy_file import parse
from consent_gateway.rule.columns import ADDRESS_DAYS, COLUMNS
from consent_gateway.store.layout import Layout
from consent_gateway.store.retention import Kept, Retention, drift, live, statements, wanted
from tests.store.conftest import NewHost
from tests.store.host import event

DAY = 86_400_000
NOW = int(time.time() * 1000)
SHORTER = """
address_days = 7
[[versions]]
version = "1"
announced = 2026-01-01
effective = 2026-01-01

[[versions]]
version = "2"
announced = 2026-01-01
effective = 2099-01-01
changes = {nl = "a", fr = "b", de = "c", en = "d"}
[[versions.policy.purposes]]
id = "measurement"
retention_days = 90
[[versions.policy.purposes]]
id = "analytics"
retention_days = 20
"""


def test_the_default_is_what_the_register_says() -> None:
    kept = wanted(parse(""))
    assert kept.row == 758 and kept.columns == {"person": 393, "city": 393, "address": ADDRESS_DAYS}


@pytest.mark.parametrize("days", [1, 30, 100, 758])
def test_no_column_is_kept_longer_than_the_register_allows(days: int) -> None:
    kept = wanted(parse(f'[[purposes]]\nid = "measurement"\nretention_days = {days}\n'))
    assert kept.row == days
    for column in COLUMNS:
        assert kept.columns.get(column.name, kept.row) <= min(column.kept_days, days)


def test_the_live_table_follows_the_policy(new_host: NewHost) -> None:
    host = new_host()
    moments = [NOW]
    retention = Retention(parse(SHORTER), Layout(), lambda: moments[-1])
    old = [event(1, at=NOW - 10 * DAY, person=7, address="x"), event(2, at=NOW - 60 * DAY, person=7, city="Gent")]
    host.accept(*old, event(3, at=NOW - 100 * DAY))
    host.forward()
    client = host.connect()
    try:
        retention.keep(client)
        assert live(client) == Kept(758, {"person": 393, "city": 393, "address": 7}) and retention.drift(client) == []
        moments.append(int(datetime(2099, 1, 1, tzinfo=UTC).timestamp() * 1000))
        assert retention.drift(client) == [
            "rows are kept for 758 days, not 90",
            "city is kept for 393 days, not 20",
            "person is kept for 393 days, not 20",
        ]
        retention.keep(client)
        assert live(client) == Kept(90, {"person": 20, "city": 20, "address": 7}) and retention.drift(client) == []
        client.command("OPTIMIZE TABLE events FINAL", settings={"mutations_sync": 2})
        rows = "SELECT view_id, person, city, address FROM events ORDER BY view_id"
        until = time.monotonic() + 60
        while len(found := client.query(rows).result_rows) > 2 and time.monotonic() < until:
            client.command("OPTIMIZE TABLE events FINAL")
        assert [tuple(row) for row in found] == [(1, 7, "Gent", ""), (2, 0, "", "")]
    finally:
        client.close()


def test_longer_again_and_a_cluster() -> None:
    told = list(statements(Kept(90, {"city": 20}), Kept(758, {"address": 30}), Layout("main")))
    assert [one.partition("MODIFY ")[2] for one in told] == [
        "TTL toDateTime(received_at) + INTERVAL 758 DAY",
        "COLUMN `address` TTL toDateTime(received_at) + INTERVAL 30 DAY",
        "COLUMN `city` REMOVE TTL",
    ]
    assert all(" ON CLUSTER " in one for one in told)
    assert drift(Kept(0, {}), Kept(90, {"city": 20})) == [
        "rows are kept for all days, not 90",
        "city is kept for all days, not 20",
    ]
