"""Stops between hosts, through one store: each host has each of them once, and nothing is sealed without them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.record.books import Tally
from consent_gateway.record.ledger import Stop, Stops
from consent_gateway.record.spool import Spool, Writer
from consent_gateway.rule.errors import StoreError
from consent_gateway.store import client as store
from consent_gateway.store import schema
from consent_gateway.store.forwarder import Forwarder
from consent_gateway.store.hosts import Hosts
from consent_gateway.store.layout import SINGLE
from consent_gateway.store.scrub import Scrubber
from tests.clickhouse_double import ClickHouseDouble
from tests.running import wait_for

NOW = int(time.time() * 1000)


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseDouble]:
    with ClickHouseDouble(tmp_path_factory.mktemp("double")) as double:
        yield double


@pytest.fixture(autouse=True)
def _empty(double: ClickHouseDouble) -> Iterator[None]:
    yield
    double.start()
    double.clear()
    client = connect(double)
    client.command("TRUNCATE TABLE stops")
    client.command("TRUNCATE TABLE events")
    client.close()


def connect(double: ClickHouseDouble) -> Any:
    client = store.connect(double.dsn)
    schema.apply(client, several_hosts=True)
    return client


class Host:
    """A back office's end of it: its file of stops and its `Hosts`."""

    def __init__(self, data: Path, double: ClickHouseDouble) -> None:
        self.data, self.double = data, double
        self.stops = Stops(data)
        self.hosts = Hosts(data, self.stops, lambda: connect(double), SINGLE)
        self.exchange = self.hosts.exchange

    def stop(self, person: int, at: int = NOW, why: Stop = Stop.WITHDRAWN) -> None:
        """As a worker of this host does it."""
        worker = Stops(self.data)
        worker.add(person, at, why).sync()
        worker.close()

    def known(self) -> list[tuple[int, int, Stop]]:
        reader = Stops(self.data)
        reader.look()
        reader.close()
        return sorted(reader.seen)

    def restart(self) -> Host:
        self.close()
        return Host(self.data, self.double)

    def close(self) -> None:
        self.hosts.close()
        self.stops.close()


@pytest.fixture
def hosts(tmp_path: Path, double: ClickHouseDouble) -> Iterator[tuple[Host, Host]]:
    pair = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pair.append(Host(tmp_path / name, double))
    yield pair[0], pair[1]
    for host in pair:
        host.close()


def told(double: ClickHouseDouble) -> list[Any]:
    client = connect(double)
    rows = client.query("SELECT person, toUnixTimestamp64Milli(at), toString(why), host FROM stops ORDER BY 1, 2, 3")
    client.close()
    return list(rows.result_rows)


def test_every_kind_reaches_the_other_host_as_it_was(hosts: tuple[Host, Host], double: ClickHouseDouble) -> None:
    a, b = hosts
    huge = 2**64 - 1
    a.stop(huge, NOW + 1, Stop.WITHDRAWN)
    a.stop(2, NOW + 123, Stop.OBJECTED)
    b.stop(3, NOW, Stop.ERASED)
    for host in (a, b, a):
        host.exchange()
    everything = [(2, NOW + 123, Stop.OBJECTED), (3, NOW, Stop.ERASED), (huge, NOW + 1, Stop.WITHDRAWN)]
    assert a.known() == b.known() == everything
    assert b.stops.ended(huge) and not b.stops.ended(2) and a.stops.ended(3)
    names = {host.data.name: (host.data / "host").read_text() for host in hosts}
    assert [row[3] for row in told(double)] == [names["a"], names["b"], names["a"]]


def test_each_is_written_and_told_once(hosts: tuple[Host, Host], double: ClickHouseDouble) -> None:
    a, b = hosts
    a.stop(1)
    for _ in range(3):
        a.exchange()
        b.exchange()
        a, b = a.restart(), b.restart()
    assert len(told(double)) == 1 and told(double)[0][3] == (a.data / "host").read_text()
    assert a.known() == b.known() == [(1, NOW, Stop.WITHDRAWN)]


def test_what_came_from_another_host_is_not_told_back(hosts: tuple[Host, Host], double: ClickHouseDouble) -> None:
    a, b = hosts
    a.stop(1)
    a.exchange()
    before = len(double.requests("INSERT INTO stops"))
    for _ in range(3):
        b.exchange()
        b = b.restart()
    assert b.known() == [(1, NOW, Stop.WITHDRAWN)]
    assert len(double.requests("INSERT INTO stops")) == before


def test_an_answer_that_was_lost_tells_nothing_twice(hosts: tuple[Host, Host], double: ClickHouseDouble) -> None:
    a, b = hosts
    a.stop(1)
    double.fault("reset_after", match="INSERT INTO stops")
    try:
        a.exchange()
    except StoreError:
        a.exchange()
    b.exchange()
    client = connect(double)
    assert client.query("SELECT count() FROM stops FINAL").result_rows == [(1,)]
    client.close()
    assert b.known() == [(1, NOW, Stop.WITHDRAWN)]


def test_a_table_that_was_lost_fills_again(hosts: tuple[Host, Host], double: ClickHouseDouble) -> None:
    a, b = hosts
    a.stop(1)
    a.exchange()
    client = connect(double)
    client.command("TRUNCATE TABLE stops")
    client.close()
    a.exchange(anew=True)
    b.exchange()
    assert b.known() == [(1, NOW, Stop.WITHDRAWN)]


def test_those_that_no_data_can_be_about_any_more_are_not_told(
    hosts: tuple[Host, Host], double: ClickHouseDouble
) -> None:
    a, _ = hosts
    a.stop(1, NOW - (schema.STOP_DAYS + 1) * 86_400_000)
    a.exchange()
    assert told(double) == []


def test_hosts_keep_up_while_nothing_is_sealed(
    hosts: tuple[Host, Host],
    double: ClickHouseDouble,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("consent_gateway.store.hosts.EVERY_SECONDS", 0.1)
    a, b = hosts
    double.fault("status", match="FROM stops", times=8)
    threads = [threading.Thread(target=host.hosts.run) for host in hosts]
    for thread in threads:
        thread.start()
    a.stop(1)
    wait_for("the stop at the other host", b.known)
    for host, thread in zip(hosts, threads, strict=True):
        host.hosts.stop()
        thread.join()
    assert caplog.text.count("other hosts' stops can't be read") in (1, 2)  # each host says it once


def row(person: int) -> bytes:
    at = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(NOW / 1000))}.000"
    return (
        b'{"site":"shop","type":"page_view","at":"%b","received_at":"%b","consent":"given","purposes":["measurement",'
        b'"analytics"],"policy_version":"1","path":"/p","city":"Gent","person":%d}' % (at.encode(), at.encode(), person)
    )


def test_nothing_is_sealed_while_the_others_stops_cant_be_read(
    hosts: tuple[Host, Host], double: ClickHouseDouble
) -> None:
    a, b = hosts
    spool = Spool(b.data)
    writer = Writer(spool, 10**9)
    forwarder = Forwarder(
        spool, b.stops, Tally(b.data), Scrubber(b.data, b.stops), lambda: connect(double), hear_others=b.exchange
    )
    writer.append(time.strftime("%Y%m", time.gmtime(NOW / 1000)), [(row(7), ""), (row(8), "")])
    writer.let_go(everything=True)
    double.fault("status", match="FROM stops", times=-1)
    with pytest.raises(StoreError, match="other hosts' stops can't be read"):
        forwarder.forward_all()
    assert len(spool.segments(spool.open)) == 1 and not spool.segments(spool.sealed)
    double.clear()
    a.stop(7)
    a.exchange()
    assert forwarder.forward_all() == 0
    forwarder.close()
    client = connect(double)
    rows = client.query("SELECT person, city, consent, path FROM events ORDER BY person").result_rows
    client.close()
    assert rows == [(0, "", "withdrawn", "/p"), (8, "Gent", "given", "/p")]
    assert not double.requests("ALTER TABLE events")  # it was emptied before it was sealed, not scrubbed afterwards
