"""What a cluster is told. No replicated server runs here; docs/cluster.md says what is shown and what is not.

Three ways: the engine parses every statement; a double that plays a cluster of one receives exactly what is written
here, and, `ON CLUSTER` and `Replicated…` left out, runs it, with a real `Distributed` table.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.answers.ask import ask
from consent_gateway.answers.question import Question
from consent_gateway.answers.reports import REPORTS
from consent_gateway.config.settings import Settings
from consent_gateway.office import Office
from consent_gateway.record.ledger import Stop, Stops
from consent_gateway.record.spool import Writer
from consent_gateway.rule.errors import StoreError
from consent_gateway.store import client as store
from consent_gateway.store import consents, schema
from consent_gateway.store.layout import SINGLE, Layout
from tests.clickhouse_double import ClickHouseDouble

CLUSTER = Layout("main")
MADE = [*schema.statements(CLUSTER, several_hosts=True), *consents.statements(CLUSTER, days=365)]
NOW = int(time.time() * 1000)
MONTH = time.strftime("%Y%m", time.gmtime(NOW / 1000))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with ClickHouseDouble(tmp_path_factory.mktemp("plain")) as double:
        client = store.connect(double.dsn)
        yield client
        client.close()


@pytest.fixture
def double(tmp_path: Path) -> Iterator[ClickHouseDouble]:
    with ClickHouseDouble(tmp_path / "double", cluster="main") as double:
        yield double


@pytest.fixture
def office(tmp_path: Path, double: ClickHouseDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """A back office on that cluster, its forwarder run by hand."""
    monkeypatch.setattr(store, "prepare", lambda data_dir: None)  # it moves the process
    settings = Settings(DATA_DIR=tmp_path / "data", KEYS_DIR=tmp_path / "keys", DSN=double.dsn, CLUSTER="main")
    settings.DATA_DIR.mkdir()
    office = Office(settings)
    yield office
    office.forwarder.close()


def event(person: int, visitor: int) -> tuple[bytes, str]:
    at = time.strftime("%Y-%m-%d %H:%M:%S.000", time.gmtime(NOW / 1000))
    text = (
        f'{{"site":"site","type":"page_view","at":"{at}","received_at":"{at}","consent":"given","purposes":["measurement",'
        f'"analytics"],"path":"/p","city":"Gent","person":{person},"visitor":{visitor},"policy_version":"1"}}'
    )
    return text.encode(), ""


def spool(office: Office, *events: tuple[bytes, str]) -> None:
    writer = Writer(office.spool, 10**9)
    writer.append(MONTH, events)
    writer.let_go(everything=True)


def test_without_a_cluster_nothing_of_it_is_said() -> None:
    said = "\n".join([*schema.statements(SINGLE, several_hosts=True), *consents.statements(SINGLE, days=365)])
    assert not re.search("CLUSTER|Replicated|Distributed|_local|quorum", said)
    assert not (SINGLE.insert_settings or SINGLE.count_settings or SINGLE.client_settings)


def test_the_tables_of_a_cluster() -> None:
    creates = [statement for statement in MADE if statement.startswith("CREATE TABLE")]
    made = {statement.split("consent_gateway.")[1].split()[0]: statement for statement in creates}
    tables = (
        "events",
        "held",
        "rights_requests",
        "stops",
        "days",
        "day_visits",
        "closed",
        "consents",
        "seals",
        "migrations",
    )
    assert made.keys() == {name for table in tables for name in (table, f"{table}_local")}
    for table in tables:
        local = made[f"{table}_local"]
        path = f"'/clickhouse/tables/{{shard}}/consent_gateway/{table}_local', '{{replica}}'"
        assert re.search(rf"ENGINE = Replicated(Replacing)?MergeTree\({re.escape(path)}(, entries)?\)\n", local)
        assert f"Distributed('main', 'consent_gateway', '{table}_local', " in made[table]
        assert "ON CLUSTER `main`" in made[table] and "ON CLUSTER `main`" in local
    events, read, stops, read_stops = (made[name] for name in ("events_local", "events", "stops_local", "stops"))
    assert events.startswith("CREATE TABLE IF NOT EXISTS consent_gateway.events_local ON CLUSTER `main`\n")
    engine = "ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/consent_gateway/events_local', '{replica}')\n"
    assert engine in events
    assert "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800" in events
    assert read.startswith("CREATE TABLE IF NOT EXISTS consent_gateway.events ON CLUSTER `main`\n")
    assert read.endswith(
        "ENGINE = Distributed('main', 'consent_gateway', 'events_local', if(visitor = 0, cityHash64(batch), visitor))"
    )
    assert "TTL" in events and "TTL" not in read
    path = "'/clickhouse/tables/{shard}/consent_gateway/stops_local', '{replica}'"
    assert f"ENGINE = ReplicatedReplacingMergeTree({path})\n" in stops
    assert read_stops.endswith("ENGINE = Distributed('main', 'consent_gateway', 'stops_local', person)")


@pytest.mark.parametrize("statement", MADE)
def test_the_engine_parses_what_makes_the_tables(plain: Any, statement: str) -> None:
    kind = "AlterQuery" if statement.startswith("ALTER") else "CreateQuery"
    assert f"{kind} " in str(plain.command(f"EXPLAIN AST {statement}"))


def test_a_visitor_s_day_lies_on_one_shard_and_days_spread(plain: Any) -> None:
    """The sharding key over real numbers, as `Distributed` uses it: modulo the number of shards."""
    key = "if(visitor = 0, cityHash64(batch), visitor)"
    sql = (
        "SELECT uniqExact(shard) FROM (SELECT {key} % 4 AS shard, n FROM (SELECT toUInt64({visitor}) AS visitor, "
        "toLowCardinality(concat('202611-a-', toString(intDiv(number, 100)))) AS batch, number AS n "
        "FROM numbers(10000)))"
    )
    assert plain.query(sql.format(key=key, visitor="1234567890123456789")).result_rows == [(1,)]
    assert plain.query(sql.format(key=key, visitor="cityHash64(number)")).result_rows == [(4,)]
    assert plain.query(sql.format(key=key, visitor="0")).result_rows == [(4,)]


def test_the_way_of_an_event_into_a_cluster(office: Office, double: ClickHouseDouble, plain: Any) -> None:
    """Inserted into the local table with a quorum, counted over all shards, scrubbed `ON CLUSTER`, read distributed."""
    spool(office, event(7, 11), event(8, 12))
    double.fault("status", match="INSERT INTO events_local", times=1)
    with pytest.raises(StoreError, match="segment"):
        office.forwarder.forward_all()
    assert office.forwarder.forward_all() == 0
    stops = Stops(office.settings.DATA_DIR)
    stops.add(7, NOW, Stop.WITHDRAWN).sync()
    stops.add(9, NOW, Stop.ERASED).sync()
    stops.close()
    client = office._connect()
    assert office.scrubber.scrub(client, now=True) == 2
    rows = client.query("SELECT person, visitor, city FROM events ORDER BY visitor").result_rows
    assert rows == [(0, 11, ""), (8, 12, "Gent")]
    today = time.strftime("%Y-%m-%d", time.gmtime(NOW / 1000))
    question = office.desk.question({"from": today, "to": today})
    assert isinstance(question, Question)
    (page,) = ask(client, REPORTS["pages"], question)
    assert (page["path"], page["visitors"], page["page_views"]) == ("/p", 2, 2)
    client.close()
    asked = double.requests()
    assert asked[0]["query"].startswith("SELECT ") or asked[0]["query"].startswith("CREATE DATABASE")
    made = [request["query"] for request in asked if request["query"].startswith("CREATE")]
    assert made[0] == "CREATE DATABASE IF NOT EXISTS consent_gateway ON CLUSTER `main` ENGINE = Atomic"
    wanted = [statement for statement in schema.statements(CLUSTER) if statement.startswith("CREATE")]
    assert made[1 : len(wanted) + 1] == wanted
    inserts = [request for request in asked if re.match("INSERT INTO (?!migrations|closed)", request["query"])]
    assert {request["query"] for request in inserts} == {"INSERT INTO events_local FORMAT JSONEachRow"}
    for request in inserts:
        settings = request["settings"]
        assert settings["insert_quorum"] == "auto" and settings["insert_quorum_parallel"] == "0"
        assert int(settings["insert_quorum_timeout"]) < 30_000  # the client's own patience
        assert re.fullmatch(MONTH + r"-\w+-\d+", settings["insert_deduplication_token"])
    counts = [request for request in asked if request["query"].startswith("SELECT count() FROM events ")]
    assert counts and all(request["settings"]["select_sequential_consistency"] == "1" for request in counts)
    kills = {request["query"] for request in asked if request["query"].startswith("KILL")}
    assert kills == {"KILL QUERY ON CLUSTER `main` WHERE query_id = {id:String} SYNC"}
    changes = [request["query"] for request in asked if request["query"].startswith("ALTER")]
    assert len(changes) == 4, "an erasure reaches the rows that are kept aside, too"
    assert all(re.match("ALTER TABLE (events|held)_local ON CLUSTER `main` ", text) for text in changes)
    looks = [request["query"] for request in asked if "system.mutations" in request["query"]]
    assert looks and all("clusterAllReplicas('main', system.mutations)" in text for text in looks)
    reads = [request for request in asked if "FROM events" in request["query"]]
    assert all(request["settings"]["optimize_skip_unused_shards"] == "0" for request in reads)
    for text in {*changes, *kills, *made, *looks}:
        text = re.sub(r"\{id:String\}", "'x'", re.sub(r"\{persons:Array\(UInt64\)\}", "[1]", text))
        text = re.sub(r"\{\w+:Array\(String\)\}", "['x']", text)
        plain.command("EXPLAIN AST " + re.sub(r"\{\w+:String\}", "'x'", text))


def test_a_backup_of_a_cluster_comes_back_by_the_sharding_key(
    office: Office, double: ClickHouseDouble, plain: Any, tmp_path: Path
) -> None:
    spool(office, event(7, 11), event(8, 12))
    assert office.forwarder.forward_all() == 0

    def step(words: str, done: int, total: int) -> None:
        pass

    assert office.jobs._back_up(tmp_path / "b", step)["rows"] == 2
    assert office.jobs._restore(tmp_path / "b", step, replace=True)["rows"] == 2
    client = office._connect()
    assert client.query("SELECT person FROM events ORDER BY person").result_rows == [(7,), (8,)]
    client.close()
    emptied = [request["query"] for request in double.requests("TRUNCATE")]
    tables = ("events", "held", "rights_requests", "closed", "days")
    assert emptied == [f"TRUNCATE TABLE consent_gateway.{table}_local ON CLUSTER `main`" for table in tables]
    for text in emptied:
        plain.command(f"EXPLAIN AST {text}")
    (restored,) = [request for request in double.requests("INSERT INTO events ")]
    assert restored["settings"]["distributed_foreground_insert"] == "1"
    assert restored["settings"]["insert_quorum"] == "auto"
