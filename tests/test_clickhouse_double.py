"""The test double against the unmodified client: what it answers, what each fault does, what the client makes of it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, StreamFailureError

from tests.clickhouse_double import HOST, KINDS, ClickHouseDouble
from tests.running import wait_for

pytest.importorskip("chdb")

COLUMNS = (
    "id UInt64, batch String, at DateTime64(3, 'UTC'), props Map(String, String), tags Array(LowCardinality(String))"
)
AT = datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)
READ = AT.replace(tzinfo=None)  # trap: the client answers UTC columns without their zone (tz_mode="naive_utc")


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseDouble]:
    with ClickHouseDouble(tmp_path_factory.mktemp("clickhouse")) as double:
        with connect(double) as client:
            client.command("CREATE DATABASE shop ENGINE = Atomic")
        yield double


@pytest.fixture
def client(double: ClickHouseDouble) -> Iterator[Client]:
    """Two tables, empty: `events` forgets no token, `plain` knows none."""
    double.start()
    double.clear()
    with connect(double) as client:
        for table, window in (("events", 1000), ("plain", 0)):
            client.command(f"DROP TABLE IF EXISTS shop.{table}")
            settings = f"non_replicated_deduplication_window = {window}, fsync_after_insert = 1"
            client.command(f"CREATE TABLE shop.{table} ({COLUMNS}) ENGINE = MergeTree ORDER BY id SETTINGS {settings}")
        yield client
        double.clear()


def connect(double: ClickHouseDouble, **options: Any) -> Client:
    return clickhouse_connect.get_client(dsn=double.dsn, autogenerate_session_id=False, **options)


def lines(batch: str, count: int = 10) -> bytes:
    """JSONEachRow with a field that no table has: the spool's check sum."""
    row = {"batch": batch, "at": "2026-11-22 10:00:00.123", "props": {"k": "v"}, "tags": ["a", "b"], "crc": "0badcafe"}
    return b"".join(json.dumps({"id": id, **row}).encode() + b"\n" for id in range(count))


def send(client: Client, batch: str, table: str = "events", block: Any = None) -> int:
    settings = {"insert_deduplication_token": batch, "input_format_skip_unknown_fields": 1, "async_insert": 0}
    block = lines(batch) if block is None else block
    return client.raw_insert(f"shop.{table}", insert_block=block, fmt="JSONEachRow", settings=settings).written_rows


def count(client: Client, table: str = "events") -> int:
    return int(client.query(f"SELECT count() FROM shop.{table}").result_rows[0][0])


def soon(client: Client, rows: int, table: str = "events") -> None:
    deadline = time.monotonic() + 30
    while count(client, table) != rows:
        assert time.monotonic() < deadline, f"{count(client, table)} rows, not {rows}"
        time.sleep(0.05)


class TestAnswers:
    def test_starts_and_pings(self, tmp_path: Path) -> None:
        with ClickHouseDouble(tmp_path) as double, connect(double) as client:
            assert client.ping()

    def test_insert_of_every_type(self, client: Client) -> None:
        row = [7, "b", AT, {"k": "v"}, ["a", "b"]]
        summary = client.insert("shop.events", [row], column_names=["id", "batch", "at", "props", "tags"])
        assert summary.written_rows == 1
        assert client.query("SELECT * FROM shop.events").result_rows == [(7, "b", READ, {"k": "v"}, ["a", "b"])]

    @pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
    def test_compression_both_ways(self, double: ClickHouseDouble, client: Client, compress: str | bool) -> None:
        with connect(double, compress=compress) as packed:
            rows = [[id, "x" * 1000, AT, {}, []] for id in range(3000)]
            packed.insert("shop.plain", rows, column_names=["id", "batch", "at", "props", "tags"])
            assert packed.query("SELECT id, length(batch) FROM shop.plain ORDER BY id").result_rows[-1] == (2999, 1000)
        sent = double.requests("INSERT")[-1]
        assert sent["format"] == "Native"
        assert (sent["bytes"] < sent["rows_bytes"]) is bool(compress)

    def test_raw_insert_skips_an_unknown_field_and_says_how_many(self, client: Client) -> None:
        assert send(client, "b1") == 10
        first = client.query("SELECT * FROM shop.events ORDER BY id LIMIT 1")
        assert first.result_rows == [(0, "b1", READ, {"k": "v"}, ["a", "b"])]
        with pytest.raises(DatabaseError, match="crc") as error:
            client.raw_insert("shop.events", None, lines("b2"), {"input_format_skip_unknown_fields": 0}, "JSONEachRow")
        assert (error.value.code, error.value.name) == (117, "INCORRECT_DATA")
        assert count(client) == 10

    @pytest.mark.parametrize("form", ["text", "iterator", "packed"])
    def test_raw_insert_in_every_form(self, double: ClickHouseDouble, client: Client, form: str) -> None:
        block: Any = {"text": lines("b").decode(), "iterator": iter([lines("b")]), "packed": gzip.compress(lines("b"))}
        packing = "gzip" if form == "packed" else None
        settings = {"input_format_skip_unknown_fields": 1}
        client.raw_insert("shop.plain", None, block[form], settings, "JSONEachRow", packing)
        assert count(client, "plain") == 10
        assert double.requests("INSERT")[-1]["rows_bytes"] == len(lines("b"))

    def test_command_and_inserts_that_are_queries(self, client: Client) -> None:
        assert client.command("SELECT 41 + 1") == 42
        assert client.command("SELECT 1 WHERE 0") == ""
        client.command("INSERT INTO shop.plain (id, batch) VALUES (1, 'v'), (2, 'FORMAT x')")
        client.command("INSERT INTO shop.plain SELECT * FROM shop.plain")
        assert count(client, "plain") == 4
        client.command("ALTER TABLE shop.plain DELETE WHERE id = 1", settings={"mutations_sync": 2})
        assert count(client, "plain") == 2

    def test_parameters(self, client: Client) -> None:
        text = "a'b\tc\\d\ne é"
        result = client.query(
            "SELECT {text:String}, {numbers:Array(UInt8)}, {at:DateTime64(3, 'UTC')}",
            parameters={"text": text, "numbers": [1, 2], "at": AT.replace(microsecond=0)},
        )
        assert result.result_rows == [(text, [1, 2], READ.replace(microsecond=0))]
        long = client.query("SELECT length({text:String})", parameters={"text": "x" * 100_000})  # sent as a form
        assert long.first_row == (100_000,)

    def test_formats_and_streams(self, client: Client) -> None:
        assert client.raw_query("SELECT 1 AS one", fmt="JSONEachRow") == b'{"one":1}\n'
        assert client.query("SELECT * FROM shop.events LIMIT 0").column_names[:2] == ("id", "batch")
        with client.query_rows_stream("SELECT number FROM numbers(200000)", settings={"max_block_size": 9000}) as rows:
            assert sum(row[0] for row in rows) == 199_999 * 100_000

    def test_errors_carry_code_and_name(self, double: ClickHouseDouble, client: Client) -> None:
        for sql, code, name, status in (
            ("SELECT * FROM shop.nowhere", 60, "UNKNOWN_TABLE", 404),
            ("SELEC 1", 62, "SYNTAX_ERROR", 400),
            ("SELECT throwIf(1)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", 500),
        ):
            with pytest.raises(DatabaseError) as error:
                client.query(sql)
            assert (error.value.code, error.value.name) == (code, name)
            answered = raw(double, f"POST / HTTP/1.1\r\nContent-Length: {len(sql)}\r\n\r\n{sql}")
            assert answered.startswith(f"HTTP/1.1 {status} ".encode())
            assert f"X-ClickHouse-Exception-Code: {code}".encode() in answered

    def test_a_get_only_reads(self, double: ClickHouseDouble, client: Client) -> None:
        assert raw(double, "GET /?query=SELECT%207 HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n7\n")
        refused = raw(double, "GET /?query=DROP%20TABLE%20shop.events HTTP/1.1\r\n\r\n")
        assert b"X-ClickHouse-Exception-Code: 164" in refused

    def test_settings_end_with_their_request(self, client: Client) -> None:
        sql = "SELECT value FROM system.settings WHERE name = 'insert_quorum'"
        assert client.query(sql, settings={"max_threads": 3, "insert_quorum": 2}).result_rows == [("2",)]
        assert client.query(sql).result_rows == [("0",)]
        with pytest.raises(DatabaseError, match="TOO_MANY_ROWS_OR_BYTES"):
            client.query("SELECT number FROM numbers(9)", settings={"max_result_rows": 3, "readonly": 1})
        with pytest.raises(DatabaseError, match="UNKNOWN_SETTING"):  # of the table, not of the insert, here as there
            client.raw_insert("shop.events", None, lines("b"), {"fsync_after_insert": 1}, "JSONEachRow")

    def test_the_database_of_the_client(self, double: ClickHouseDouble, client: Client) -> None:
        with connect(double, database="shop") as inside:
            assert inside.query("SELECT count() FROM events").first_row == (0,)
        with pytest.raises(DatabaseError, match="UNKNOWN_DATABASE"):
            connect(double, database="nowhere")

    def test_threads(self, double: ClickHouseDouble, client: Client) -> None:
        def work(worker: int) -> None:
            for number in range(5):
                send(client, f"{worker}-{number}")
                client.query("SELECT count() FROM shop.events")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
            start = time.monotonic()
            list(pool.map(client.query, ["SELECT sleep(2)"] * 4))
        assert time.monotonic() - start < 6, "side by side"
        assert count(client) == 8 * 5 * 10

    def test_kill_query(self, double: ClickHouseDouble, client: Client) -> None:
        def long() -> None:
            with pytest.raises(DatabaseError, match="QUERY_WAS_CANCELLED"):
                client.query("SELECT sleepEachRow(0.1), 'long' FROM numbers(200) SETTINGS max_block_size = 1")

        thread = threading.Thread(target=long)
        thread.start()
        running = "SELECT max(elapsed) FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'"
        wait_for("it to run", lambda: client.query(running).result_rows[0][0] > 0.5)
        assert client.query("KILL QUERY WHERE query LIKE '%''long''%'").row_count == 1
        thread.join(15)
        assert not thread.is_alive()

    def test_the_journal(self, double: ClickHouseDouble, client: Client) -> None:
        send(client, "b7")
        asked = double.requests()[-1]
        assert asked["query"].split() == ["INSERT", "INTO", "shop.events", "FORMAT", "JSONEachRow"]
        assert asked["settings"]["insert_deduplication_token"] == "b7"
        assert asked["rows_bytes"] == len(lines("b7")) < asked["bytes"]
        assert asked["fault"] is None


class TestTokens:
    def test_a_token_counts_once(self, client: Client) -> None:
        for _ in range(3):
            assert send(client, "b1") == 10  # trap: a refused duplicate is reported as written
        assert count(client) == 10

    def test_no_token_no_window(self, client: Client) -> None:
        for _ in range(2):
            send(client, "b1", "plain")
        assert count(client, "plain") == 20

    @pytest.mark.parametrize("off, rows", [({"insert_deduplicate": 0}, 10), ({"deduplicate_insert": "disable"}, 20)])
    def test_which_switch_turns_it_off(self, client: Client, off: dict[str, Any], rows: int) -> None:
        """Trap: since `deduplicate_insert` (26.x) is `enable` by default, `insert_deduplicate=0` does nothing."""
        settings = {"input_format_skip_unknown_fields": 1, "insert_deduplication_token": "b", **off}
        for _ in range(2):
            client.raw_insert("shop.events", None, lines("b"), settings, "JSONEachRow")
        assert count(client) == rows

    @pytest.mark.parametrize("end", ["kill", "stop"])
    def test_rows_and_tokens_outlive_the_server(self, double: ClickHouseDouble, client: Client, end: str) -> None:
        send(client, "b1")
        getattr(double, end)()
        with pytest.raises(OperationalError, match="refused"):
            send(client, "b1")
        double.start()
        send(client, "b1")
        assert count(client) == 10
        send(client, "b2")
        assert count(client) == 20

    def test_truncate_forgets_tokens(self, client: Client) -> None:
        send(client, "b1")
        client.command("TRUNCATE TABLE shop.events")
        send(client, "b1")
        assert count(client) == 10


class TestFaults:
    """`times=2` where the client's own second try is to fail too: see TestTheClientSendsAgain."""

    @pytest.mark.parametrize(
        "status, kind, name",
        [
            (503, OperationalError, "NO_FREE_CONNECTION"),
            (429, OperationalError, "TOO_MANY_SIMULTANEOUS_QUERIES"),
            (500, DatabaseError, "TOO_MANY_PARTS"),
        ],
    )
    def test_status(
        self, double: ClickHouseDouble, client: Client, status: int, kind: type[DatabaseError], name: str
    ) -> None:
        double.fault("status", status=status)
        with pytest.raises(kind) as error:
            send(client, "b1")
        assert error.type is kind and error.value.name == name
        assert len(double.requests("INSERT INTO shop.events")) and count(client) == 0
        assert send(client, "b1") == 10

    def test_refuse(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("refuse", seconds=3)
        with pytest.raises(OperationalError, match="refused"):
            send(client, "b1")
        assert not client.ping()
        wait_for("it to answer again", client.ping)
        assert send(client, "b1") == 10

    def test_hang(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("hang", seconds=5)
        with connect(double, send_receive_timeout=1) as hasty, pytest.raises(OperationalError, match="Read timed out"):
            send(hasty, "b1")
        assert count(client) == 0

    def test_reset_before(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("reset_before", times=2)
        with pytest.raises(OperationalError, match="reset by peer"):
            send(client, "b1")
        assert count(client) == 0

    def test_reset_after(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("reset_after", times=2)
        with pytest.raises(OperationalError, match="reset by peer"):
            send(client, "b1")
        assert count(client) == 10
        send(client, "b1")
        assert count(client) == 10

    def test_delay(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("delay", seconds=0.4)
        start = time.monotonic()
        assert send(client, "b1") == 10
        assert time.monotonic() - start > 0.4

    def test_delay_past_the_timeout_and_the_rows_still_arrive(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("delay", seconds=4)
        with connect(double, send_receive_timeout=1) as hasty, pytest.raises(OperationalError, match="Read timed out"):
            send(hasty, "b1")
        assert count(client) == 0
        soon(client, 10)

    def test_late(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("late", times=2, seconds=2)
        with pytest.raises(OperationalError, match="reset by peer"):
            send(client, "b1", "plain")
        assert count(client, "plain") == 0
        soon(client, 20, "plain")

    def test_truncate_an_insert(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("truncate", times=2)
        with pytest.raises(OperationalError, match="before the HTTP response headers completed"):
            send(client, "b1")
        assert count(client) == 10

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    def test_truncate_a_query(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("truncate", match="numbers", times=2)
        with pytest.raises(StreamFailureError, match="closed by server"):
            client.query("SELECT * FROM numbers(100000)")
        with pytest.raises(OperationalError, match="IncompleteRead"):
            client.raw_query("SELECT * FROM numbers(100000)")
        assert client.query("SELECT * FROM numbers(100000)").row_count == 100_000

    def test_lose_rows(self, double: ClickHouseDouble, client: Client) -> None:
        send(client, "b0")
        double.fault("lose_rows")
        assert send(client, "b1") == 10  # the client's second try; its token is known; "successful"
        assert count(client) == 10  # … and the rows are not there
        assert send(client, "b1") == 10 and count(client) == 10
        with pytest.raises(OperationalError):
            double.fault("lose_rows", times=2)
            send(client, "b2")
        settings = {"insert_deduplication_token": "b1-again", "input_format_skip_unknown_fields": 1}
        client.raw_insert("shop.events", None, lines("b1"), settings, "JSONEachRow")
        assert count(client) == 20
        double.kill()
        double.start()
        send(client, "b1")
        assert count(client) == 20

    def test_lose_rows_of_native_blocks(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("lose_rows", times=2)
        with pytest.raises(OperationalError):
            client.insert("shop.events", [[1, "b1", AT, {}, []]], column_names=["id", "batch", "at", "props", "tags"])
        assert count(client) == 0

    def test_match_times_and_clear(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("status", match="b2", times=-1)
        send(client, "b1")
        for _ in range(3):
            with pytest.raises(OperationalError):
                send(client, "b2")
        assert [line["fault"] for line in double.requests("INSERT")[-4:]] == [None, "status", "status", "status"]
        double.clear()
        send(client, "b2")
        assert count(client) == 20

    def test_an_unknown_fault_is_refused(self, double: ClickHouseDouble) -> None:
        with pytest.raises(ValueError, match="lose_rows"):
            double.fault("explode")
        assert len(KINDS) == 9

    def test_half_a_body_is_not_executed(self, double: ClickHouseDouble, client: Client) -> None:
        head = "POST /?query=INSERT%20INTO%20shop.plain%20(id)%20FORMAT%20TSV HTTP/1.1\r\n"
        assert raw(double, head + "Content-Length: 9\r\n\r\n1\n2\n", hang_up=True) == b""
        assert raw(double, head + "Transfer-Encoding: chunked\r\n\r\n4\r\n1\n2\n\r\n", hang_up=True) == b""
        assert count(client, "plain") == 0


class TestTheClientSendsAgain:
    """FACTS: the client re-sends an insert by itself when the connection drops; once, and never after a timeout."""

    @pytest.mark.parametrize("fault", ["reset_after", "truncate", "late"])
    def test_ten_rows_become_twenty(self, double: ClickHouseDouble, client: Client, fault: str) -> None:
        before = len(double.requests("INSERT"))
        double.fault(fault, seconds=0)
        assert send(client, "b1", "plain") == 10
        assert len(double.requests("INSERT")) - before == 2
        soon(client, 20, "plain")

    def test_so_does_insert(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("reset_after")
        client.insert("shop.plain", [[1, "b1", AT, {}, []]], column_names=["id", "batch", "at", "props", "tags"])
        assert count(client, "plain") == 2

    def test_with_a_token_they_stay_ten(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("reset_after")
        assert send(client, "b1") == 10
        assert count(client) == 10

    def test_not_what_comes_from_an_iterator_nor_a_command(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("reset_after")
        with pytest.raises(OperationalError, match="attempt 1"):
            send(client, "b1", "plain", iter([lines("b1")]))
        double.fault("reset_after")
        with pytest.raises(OperationalError, match="attempt 1"):
            client.command("INSERT INTO shop.plain SELECT * FROM shop.plain")
        assert count(client, "plain") == 20

    def test_not_after_a_status_nor_a_timeout(self, double: ClickHouseDouble, client: Client) -> None:
        before = len(double.requests("INSERT"))
        double.fault("status")
        double.fault("hang", seconds=5)
        with connect(double, send_receive_timeout=1) as hasty:
            for _ in range(2):
                with pytest.raises(OperationalError):
                    send(hasty, "b1")
        assert len(double.requests("INSERT")) - before == 2


class TestTheProcess:
    def test_it_ends_with_the_one_that_started_it(self, tmp_path: Path) -> None:
        script = (
            "import pathlib, sys, time\nfrom tests.clickhouse_double import ClickHouseDouble\n"
            "double = ClickHouseDouble(pathlib.Path(sys.argv[1]))\ndouble.start()\n"
            "print(double.process.pid, flush=True)\ntime.sleep(60)"
        )
        root = Path(__file__).parent.parent
        command = [sys.executable, "-c", script, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            parent.send_signal(signal.SIGKILL)
        wait_for("its end", lambda: not alive(child))

    def test_by_hand(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "tests.clickhouse_double", "--port", "0", "--data", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline().split()[0])
            with clickhouse_connect.get_client(host=HOST, port=port, autogenerate_session_id=False) as client:
                assert client.command("SELECT 1") == 1
            process.send_signal(signal.SIGINT)
            assert process.wait(40) == 0

    def test_temporary_files_are_its_own_and_emptied_at_start(self, double: ClickHouseDouble, client: Client) -> None:
        insert = threading.Thread(target=slow_insert, args=(client,))
        insert.start()
        deadline = time.monotonic() + 20
        while not any((double.data / "tmp").iterdir()):
            assert time.monotonic() < deadline
        double.kill()
        insert.join()
        assert any((double.data / "tmp").iterdir())  # FACTS: kill -9 leaves the rows behind in clear
        double.start()
        assert not any((double.data / "tmp").iterdir())

    def test_stop_waits_for_what_runs(self, double: ClickHouseDouble, client: Client) -> None:
        double.fault("late", seconds=0.7, times=2)
        with pytest.raises(OperationalError):
            send(client, "b1")
        double.stop()
        double.start()
        assert count(client) == 10


def slow_insert(client: Client) -> None:
    with pytest.raises(OperationalError):
        send(client, "b1", block=lines("b1", 1000) * 1000)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def raw(double: ClickHouseDouble, request: str, hang_up: bool = False) -> bytes:
    """What the double says to these bytes, up to the end of one answer."""
    with socket.create_connection((HOST, double.port), timeout=40) as connection:
        connection.sendall(request.encode())
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.partition(b"\r\n\r\n")[2]:
            if not (part := connection.recv(65536)):
                break
            answer += part
        return answer
