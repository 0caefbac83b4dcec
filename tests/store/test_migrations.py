"""Tables of every earlier version, with data in them, become today's; those of a later one are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from consent_gateway.rule.errors import StoreError
from consent_gateway.store import client as store
from consent_gateway.store import consents, migrations, schema
from consent_gateway.store.layout import SINGLE, Layout
from consent_gateway.store.migrations import MIGRATIONS, Migration, add_column
from tests.clickhouse_double import ClickHouseDouble
from tests.store.host import event

VERSION_1 = (Path(__file__).parent / "version1.sql").read_text()
PLANTED = Migration(
    migrations.newest() + 1, "a column", lambda layout: add_column(layout, ["events", "held"], "`mood` String")
)
HINT = "a table differs from an upgraded one: append a migration to store/migrations.py"


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseDouble]:
    with ClickHouseDouble(tmp_path_factory.mktemp("migrations")) as double:
        yield double


@pytest.fixture
def client(double: ClickHouseDouble) -> Iterator[Client]:
    client = store.connect(double.dsn)
    empty(client)
    yield client
    client.close()


def empty(client: Client) -> None:
    for (table,) in client.query("SHOW TABLES").result_rows:
        client.command(f"DROP TABLE {table}")


def make_version_1(client: Client) -> None:
    for statement in VERSION_1.partition("\n\n")[2].split(";\n\n"):
        if statement.strip():
            client.command(statement)


def make_today(client: Client) -> None:
    schema.apply(client, several_hosts=True)
    for statement in consents.statements(SINGLE, days=1095):
        client.command(statement)


def shape(client: Client) -> dict[str, Any]:
    """Every column of every table with its type, default and words; keys, engines, and how long things are kept."""
    columns = client.query(
        "SELECT table, name, type, default_kind, default_expression, comment FROM system.columns "
        "WHERE database = 'consent_gateway' AND table NOT IN ('migrations') ORDER BY table, name"
    ).result_rows
    tables = client.query(
        "SELECT name, engine, sorting_key, partition_key, extract(engine_full, 'TTL .* SETTINGS') FROM system.tables "
        "WHERE database = 'consent_gateway' AND name != 'migrations' ORDER BY name"
    ).result_rows
    return {"columns": [tuple(map(str, row)) for row in columns], "tables": [tuple(map(str, row)) for row in tables]}


def insert(client: Client, numbers: Iterable[int]) -> None:
    rows = b"\n".join(event(number, person=number).row for number in numbers)
    client.raw_insert("events", insert_block=rows, fmt="JSONEachRow")


def held_rows(client: Client) -> list[int]:
    return [row[0] for row in client.query("SELECT view_id FROM events ORDER BY view_id").result_rows]


def test_every_earlier_version_comes_up_with_its_data(client: Client) -> None:
    make_today(client)
    assert migrations.version(client) == migrations.newest()
    new = shape(client)
    for start in range(migrations.FIRST, migrations.newest() + 1):
        empty(client)
        make_version_1(client)
        migrations.bring_up(client, known=[one for one in MIGRATIONS if one.number <= start])
        insert(client, range(1, 4))
        make_today(client)
        assert migrations.version(client) == migrations.newest()
        assert shape(client) == new, HINT
        assert schema.inspect(client)["drift"] == []
        insert(client, range(4, 6))
        assert held_rows(client) == [1, 2, 3, 4, 5]


def test_a_migration_runs_once_in_order_and_keeps_the_rows(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_version_1(client)
    insert(client, [1, 2])
    second = Migration(PLANTED.number + 1, "filled", lambda layout: ["ALTER TABLE events UPDATE mood = 'calm' WHERE 1"])
    known = (*MIGRATIONS, second, PLANTED)  # the order of the list says nothing
    assert migrations.bring_up(client, known=known) == 1
    assert migrations.version(client) == second.number
    insert(client, [3])
    assert migrations.bring_up(client, known=known) == second.number
    done = [row[0] for row in client.query("SELECT version FROM migrations ORDER BY at, version").result_rows]
    assert done == [one.number for one in sorted(known, key=lambda one: one.number)], "each once"
    assert held_rows(client) == [1, 2, 3]
    moods = client.query("SELECT table FROM system.columns WHERE name = 'mood' ORDER BY table").result_rows
    assert moods == [("events",), ("held",)]


def test_one_that_was_killed_halfway_is_run_again(client: Client) -> None:
    make_version_1(client)
    insert(client, [1])

    def killed(layout: Layout) -> Iterator[str]:
        yield from list(add_column(layout, ["events"], "`mood` String"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrations.bring_up(client, known=[Migration(PLANTED.number, "", killed)])
    assert migrations.version(client) == migrations.FIRST, "not done is not noted"
    migrations.bring_up(client, known=[PLANTED])
    assert migrations.version(client) == PLANTED.number and held_rows(client) == [1]


def test_tables_of_a_newer_version_are_refused_and_left_alone(client: Client) -> None:
    make_version_1(client)
    migrations.bring_up(client, known=[*MIGRATIONS, PLANTED])
    before = shape(client)
    with pytest.raises(StoreError, match=rf"version {PLANTED.number}, which a newer consent-gateway made; this one"):
        schema.apply(client)
    assert shape(client) == before


def test_a_cluster_is_changed_shard_by_shard_and_then_what_reads_it(tmp_path: Path) -> None:
    cluster = Layout("main")
    assert list(add_column(cluster, ["events"], "`mood` String")) == [
        f"ALTER TABLE consent_gateway.{name} ON CLUSTER `main` ADD COLUMN IF NOT EXISTS `mood` String"
        for name in ("events_local", "events")
    ]
    with ClickHouseDouble(tmp_path / "double", cluster="main") as double:
        client = store.connect(double.dsn, on_cluster=cluster.on_cluster)
        schema.apply(client, cluster)
        assert migrations.version(client, cluster) == migrations.newest()
        migrations.bring_up(client, cluster, [PLANTED])
        assert migrations.version(client, cluster) == PLANTED.number
        assert client.query("SELECT mood FROM events").result_rows == []
        client.close()
