"""A ClickHouse server for tests: ClickHouse's HTTP interface in front of chDB, in a process of its own.

The unmodified `clickhouse_connect` client works against it, so the real network path is tested with the real engine.
Trust it for SQL, types, deduplication tokens, crashes and what the client does on a fault; not for authentication,
TLS, sessions, limits of the server, replication, or answers that fail midway (an answer is complete before it starts).

    with ClickHouseDouble(tmp_path) as double:
        client = clickhouse_connect.get_client(dsn=double.dsn, autogenerate_session_id=False)
        double.fault("reset_after", match="INSERT", times=2)   # the next two inserts: stored, then connection reset
        double.kill(); double.start()                          # kill -9; again, on the same port and data

With `cluster="main"` it plays a cluster of one shard with one replica: `Distributed` is real, over the engine itself;
`ON CLUSTER` and `Replicated…` are noted as they came and then left out, so nothing of what they do is shown.

By hand: `python -m tests.clickhouse_double --port 8123 --data DIR` prints its port and the port that takes faults:
`curl -d '{"kind": "status", "status": 503}' localhost:CONTROL/__fault`, and `-X DELETE` to take them all back.
"""

from __future__ import annotations

import argparse
import contextlib
import email
import gzip
import http.client
import importlib
import io
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.running import ROOT, free_port

HOST = "127.0.0.1"
KINDS = {
    "refuse": "close the listening socket and every connection at once, for `seconds` (takes no match, no times)",
    "status": "answer `status` (503) with ClickHouse error `code`, executing nothing",
    "hang": "execute nothing and say nothing for `seconds`, then reset",
    "reset_before": "reset the connection, executing nothing",
    "reset_after": "execute, then reset the connection instead of answering",
    "delay": "wait `seconds`, then execute and answer",
    "late": "reset the connection at once, execute `seconds` later",
    "truncate": "execute, then cut the answer short: half of the body, or, where it has none, half of the headers",
    "lose_rows": "insert, so that the token is known, remove every row of that `batch` again, then reset the "
    "connection: the engine killed between its token log and its rename",
}
CODES = {429: (202, "TOO_MANY_SIMULTANEOUS_QUERIES"), 500: (252, "TOO_MANY_PARTS"), 503: (203, "NO_FREE_CONNECTION")}
# Of ClickHouse's exceptionCodeToHTTPStatus: what cannot be parsed is 400, what is unknown is 404, the rest is 500.
STATUS = dict.fromkeys((6, 25, 26, 27, 38, 41, 53, 62, 72, 117), 400)
STATUS |= dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 81, 115, 336), 404) | {48: 501}
# Every other name in the URL is a setting, as with ClickHouse.
NOT_SETTINGS = re.compile(
    "param_.*|query|query_id|database|default_format|user|password|quota_key|role|stacktrace|session_.*|close_session"
    "|compress|decompress|buffer_size|wait_end_of_query|client_protocol_version"
)
COMMENT = rb"(?:\s|/\*.*?\*/|--[^\n]*\n)*"
INSERT = re.compile(
    COMMENT + rb"(INSERT\s+INTO\s+(?:TABLE\s+)?([^\s(]+)(?:(?!\bSELECT\b|\bVALUES\b).)*?)"
    rb"\s+FORMAT\s+(\w+)[ \t]*;?[ \t]*(?:\r?\n)?",
    re.I | re.S,
)
INSERTS = re.compile(COMMENT + rb"INSERT\b", re.I | re.S)
ANSWERS = re.compile(COMMENT + rb"\(*\s*(?:SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN|CHECK|KILL)\b", re.I | re.S)
FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\b[^;]*)?[;\s]*$", re.I)


def _lz4(data: bytes) -> bytes:
    """Unpack frame after frame: the client makes one of each block."""
    frames, lz4 = [], importlib.import_module("lz4.frame")
    while data:
        frame = lz4.LZ4FrameDecompressor()
        frames.append(frame.decompress(data))
        data = frame.unused_data or b""
    return b"".join(frames)


def _zstd() -> Any:
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "lz4": _lz4,
    "zstd": lambda data: bytes(_zstd().decompress(data)),
    "gzip": gzip.decompress,
}
PACK: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lambda data: bytes(importlib.import_module("lz4.frame").compress(data)),
    "zstd": lambda data: bytes(_zstd().compress(data)),
    "gzip": gzip.compress,
}


@dataclass
class Fault:
    """What happens to the next `times` requests (-1: to all) whose statement or settings contain `match`."""

    kind: str
    match: str = "INSERT"
    times: int = 1
    seconds: float = 1.0
    status: int = 503
    code: int | None = None


@dataclass
class Statement:
    """One request, taken apart: the rows of an INSERT … FORMAT are no longer in its text."""

    params: dict[str, str]
    text: bytes
    readonly: bool = False
    into: str = field(init=False, default="")  # INSERT INTO … without its FORMAT
    table: str = field(init=False, default="")
    format: str = field(init=False, default="")
    rows: bytes | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if insert := INSERT.match(self.text, 0, 65536):
            self.rows, self.text = self.text[insert.end() :], insert[0].strip()
            self.into, self.table, self.format = (part.decode() for part in insert.groups())
        elif ANSWERS.match(self.text):
            named = FORMAT.search(self.text)
            self.format = named[1].decode() if named else self.params.get("default_format", "TabSeparated")

    @property
    def settings(self) -> dict[str, str]:
        return {name: value for name, value in self.params.items() if not NOT_SETTINGS.fullmatch(name)}


class Refusal(Exception):
    """An answer other than 200, with ClickHouse's number and words."""

    def __init__(self, code: int, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code, self.status = code, status or STATUS.get(code, 500)


CLUSTER_CONFIG = """<clickhouse><tcp_port>9000</tcp_port><remote_servers><{0}><shard>
<internal_replication>true</internal_replication><replica><host>127.0.0.1</host><port>9000</port></replica>
</shard></{0}></remote_servers></clickhouse>"""
# What a cluster of one leaves out of a statement
PLAYED = [
    (re.compile(rb" ON CLUSTER `?\w+`?"), b""),
    (re.compile(rb"\bReplicated(\w*MergeTree)\('[^']*', '[^']*'\)"), rb"\1"),
    (re.compile(rb"\bReplicated(\w*MergeTree)\('[^']*', '[^']*', (\w+)\)"), rb"\1(\2)"),
    (re.compile(rb"\breplicated_(deduplication_window = \d+), replicated_\w+_seconds = \d+"), rb"non_replicated_\1"),
]


class Engine:
    """chDB. Every request gets a connection of its own (1 ms), so that settings and USE end with it."""

    def __init__(self, path: Path, cluster: str = "") -> None:
        self.path = str(path)
        self.plays_cluster = bool(cluster)
        if cluster:  # 127.0.0.1:9000 is what the engine takes for itself, so nothing has to listen there
            config = path.with_suffix(".xml")
            config.write_text(CLUSTER_CONFIG.format(cluster))
            self.path += f"?config-file={config}"
        self.chdb: Any = importlib.import_module("chdb")
        self.first = self.chdb.connect(self.path)  # keeps the engine open between requests
        version, self.timezone = self.first.query("SELECT version(), timezone()", "TSV").bytes().decode().split()
        self.version = f"(version {version} (official build))"

    def run(self, statement: Statement, lose_rows: bool = False) -> tuple[bytes, dict[str, int]]:
        """The answer's body and the numbers for X-ClickHouse-Summary. Raises Refusal."""
        connection = self.chdb.connect(self.path)
        for pattern, instead in PLAYED if self.plays_cluster else ():
            statement.text = pattern.sub(instead, statement.text)
        try:
            if database := statement.params.get("database"):
                connection.query(f"USE {_name(database)}")
            if settings := statement.settings:
                # readonly last: it forbids further settings
                ordered = sorted(settings.items(), key=lambda pair: pair[0] == "readonly")
                connection.query("SET " + ", ".join(f"{_name(name)} = {_text(value)}" for name, value in ordered))
            if statement.readonly and "readonly" not in settings:
                connection.query("SET readonly = 2")
            if statement.rows is not None:
                return self._insert(connection, statement, lose_rows)
            params = {name[6:]: value for name, value in statement.params.items() if name.startswith("param_")}
            default = statement.params.get("default_format", "TabSeparated")
            result = connection.query(statement.text.decode("utf-8", "surrogateescape"), default, params=params)
            if INSERTS.match(statement.text):
                return b"", {"written_rows": result.storage_rows_read()}
            return result.bytes() or b"", {"read_rows": result.storage_rows_read(), "result_rows": result.rows_read()}
        except RuntimeError as error:
            message = str(error)
            code = re.search(r"Code: (\d+)", message)
            raise Refusal(int(code[1]) if code else 1002, message) from error
        finally:
            connection.close()

    def _insert(self, connection: Any, statement: Statement, lose_rows: bool) -> tuple[bytes, dict[str, int]]:
        with tempfile.NamedTemporaryFile(prefix="insert-") as file:
            file.write(statement.rows or b"")
            file.flush()
            ours = f"batch IN (SELECT batch FROM file({_text(file.name)}, '{statement.format}', 'batch String'))"
            lenient = "SETTINGS input_format_skip_unknown_fields = 1"  # all that `batch String` leaves out
            stored = f"SELECT count() FROM {statement.table} WHERE {ours} {lenient}"
            before = int(connection.query(stored, "TSV").bytes()) if lose_rows else 0
            target, *settings = re.split(r"(?=\bSETTINGS\b)", statement.into, maxsplit=1, flags=re.I)
            sql = f"{target} FROM INFILE {_text(file.name)} {''.join(settings)} FORMAT {statement.format}"
            result = connection.query(sql)
            if lose_rows and int(connection.query(stored, "TSV").bytes()) > before:
                connection.query(f"ALTER TABLE {statement.table} DELETE WHERE {ours} {lenient}, mutations_sync = 2")
            return b"", {"written_rows": result.rows_read(), "written_bytes": result.bytes_read()}


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _name(value: str) -> str:
    return "`" + value.replace("\\", "\\\\").replace("`", "\\`") + "`"


class Door(ThreadingHTTPServer):
    """A listening socket that knows its connections, so that it can be shut in their faces."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], double: Double) -> None:
        self.double, self.connections = double, set[Any]()
        super().__init__(address, handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that went away is no error of ours
            super().handle_error(request, client_address)

    def shut(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Double:
    """The server process: engine, faults in waiting, journal of requests, and its two doors."""

    def __init__(self, data: Path, port: int, cluster: str) -> None:
        self.engine = Engine(data / "engine", cluster)
        self.faults: list[Fault] = []
        self.lock = threading.Lock()
        self.journal = open(data / "requests.jsonl", "ab", buffering=0)  # noqa: SIM115
        self.door = Door((HOST, port), Clickhouse, self)
        self.port: int = self.door.server_address[1]
        self.control = Door((HOST, 0), Control, self)

    def take(self, statement: Statement) -> Fault | None:
        """The first fault waiting for this statement, one time less of it."""
        text = f"{statement.text.decode('utf-8', 'replace')} {statement.settings}"
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.match in text:
                    fault.times -= fault.times > 0
                    return fault
        return None

    def note(self, statement: Statement, size: int, fault: Fault | None) -> None:
        """Write a request down before anything is done with it; the file outlives kill -9."""
        params = {k: v for k, v in statement.params.items() if k.startswith("param_")}
        line = {
            "at": time.time(),
            "query": statement.text[:20_000].decode("utf-8", "replace"),
            "settings": statement.settings,
            "params": params,
            "database": statement.params.get("database", ""),
            "query_id": statement.params.get("query_id", ""),
            "format": statement.format,
            "bytes": size,
            "rows_bytes": len(statement.rows or b""),
            "fault": fault.kind if fault else None,
        }
        self.journal.write(json.dumps(line).encode() + b"\n")

    def refuse(self, seconds: float) -> None:
        self.door.shut()

        def reopen() -> None:
            self.door = Door((HOST, self.port), Clickhouse, self)

        timer = threading.Timer(seconds, reopen)
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        """Stop listening, let what runs finish (2 s at most), close the engine."""
        self.door.shut()
        self.control.shut()
        deadline = time.monotonic() + 2
        for thread in set(threading.enumerate()) - {threading.current_thread()}:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.engine.first.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Door

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def body(self) -> bytes:
        """All of it, or ConnectionError: what a dying client sent half of must not be executed."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while (line := self.rfile.readline().strip()) != b"0":
            if not line:
                raise ConnectionError("the client went away")
            chunks.append(self.read(int(line, 16)))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError("the client went away")
        return data

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        if cut and not body:  # ClickHouse sends progress first, and its other headers when all is done
            headers = {"X-ClickHouse-Progress": '{"read_rows":"0"}'}
        else:
            headers = {"Content-Type": "text/plain; charset=UTF-8", "Content-Length": str(len(body)), **(headers or {})}
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        end = "\r\n" if cut and not body else "\r\n\r\n"
        message = ("\r\n".join(lines) + end).encode() + body
        self.wfile.write(message[: len(message) - len(body) // 2] if cut else message)
        if cut:
            self.hang_up()

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self) -> None:
        """Close now, with FIN, or RST after `reset`; what is still written goes nowhere."""
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        self.rfile, self.wfile = io.BufferedReader(io.BytesIO()), io.BytesIO()
        self.close_connection = True


class Clickhouse(Handler):
    """ClickHouse's HTTP interface."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        params = dict(parse_qsl(url.query, keep_blank_values=True))
        raw = self.body()
        if url.path == "/ping" or (url.path == "/" and not params.get("query") and not raw):
            return self.answer(200, b"Ok.\n")
        params["query_id"] = params.get("query_id") or str(uuid.uuid4())
        try:
            statement = self.statement(params, raw)
            fault = self.server.double.take(statement)
            self.server.double.note(statement, len(raw), fault)
            self.serve(statement, fault)
        except Refusal as error:
            message = f"{error} {self.server.double.engine.version}\n".encode()
            self.answer(error.status, message, self.head(params) | {"X-ClickHouse-Exception-Code": str(error.code)})

    do_POST = do_GET

    def statement(self, params: dict[str, str], raw: bytes) -> Statement:
        encoding = self.headers.get("Content-Encoding", "identity")
        if encoding not in ("identity", *UNPACK) or "1" in (params.get("compress"), params.get("decompress")):
            raise Refusal(48, "Code: 48. DB::Exception: The test double has no such compression. (NOT_IMPLEMENTED)")
        body = UNPACK[encoding](raw) if encoding in UNPACK else raw
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
            body = b""
            for part in form.walk():
                name = part.get_param("name", header="content-disposition")
                if part.get_filename():
                    raise Refusal(48, "Code: 48. DB::Exception: The double has no external data. (NOT_IMPLEMENTED)")
                if isinstance(name, str):
                    value = part.get_payload(decode=True)
                    params[name] = value.decode() if isinstance(value, bytes) else ""
        query = params.get("query", "").encode()
        # "the entire query consists of the contents of the 'query' parameter, a line break and the request body"
        return Statement(params, query + b"\n" + body if query and body else query or body, self.command == "GET")

    def head(self, params: dict[str, str]) -> dict[str, str]:
        timezone = self.server.double.engine.timezone
        return {"X-ClickHouse-Query-Id": params["query_id"], "X-ClickHouse-Timezone": timezone}

    def serve(self, statement: Statement, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        seconds = fault.seconds if fault else 0
        if fault and kind == "status":
            code, name = CODES.get(fault.status, CODES[500])
            code = fault.code or code
            raise Refusal(code, f"Code: {code}. DB::Exception: Fault of the test double. ({name})", fault.status)
        if kind == "late":
            self.reset()
        if kind in ("hang", "delay", "late"):
            time.sleep(seconds)
        if kind in ("hang", "reset_before"):
            return self.reset()
        start = time.perf_counter_ns()
        body, numbers = self.server.double.engine.run(statement, lose_rows=kind == "lose_rows")
        numbers["elapsed_ns"] = time.perf_counter_ns() - start
        if kind in ("reset_after", "lose_rows"):
            return self.reset()
        headers = self.head(statement.params)
        headers["X-ClickHouse-Summary"] = json.dumps({name: str(number) for name, number in numbers.items()})
        if statement.format and statement.rows is None:
            headers["X-ClickHouse-Format"] = statement.format
        accepted = [name.split(";")[0].strip() for name in self.headers.get("Accept-Encoding", "").split(",")]
        encoding = next((name for name in accepted if name in PACK), None)
        if body and encoding and statement.params.get("enable_http_compression", "0") not in ("0", "false"):
            body = PACK[encoding](body)
            headers["Content-Encoding"] = encoding
        return self.answer(200, body, headers, cut=kind == "truncate")


class Control(Handler):
    """The other port: faults come in here even while the first is shut."""

    def do_POST(self) -> None:
        try:
            fault = Fault(**json.loads(self.body()))
        except (TypeError, ValueError) as error:
            return self.answer(400, f"{error}\n".encode())
        if fault.kind not in KINDS:
            return self.answer(400, f"No such fault: {fault.kind}. There are: {', '.join(KINDS)}\n".encode())
        if fault.kind == "refuse":
            self.server.double.refuse(fault.seconds)
        else:
            with self.server.double.lock:
                self.server.double.faults.append(fault)
        return self.answer(200, b"Ok.\n")

    def do_DELETE(self) -> None:
        with self.server.double.lock:
            self.server.double.faults.clear()
        self.answer(200, b"Ok.\n")


class ClickHouseDouble:
    """The test's end: starts, stops and kills the server process, tells it its faults, reads what it received.

    `data` holds everything of it: the engine's files, the private TMPDIR (emptied at each start), the journal and the
    log. The process ends with the one that started it. Faults in waiting die with the server.
    """

    def __init__(self, data: Path, port: int = 0, cluster: str = "") -> None:
        self.data = data
        self.cluster = cluster
        self.port = port or free_port()
        self.control = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        return f"clickhouse://{HOST}:{self.port}"

    def start(self) -> None:
        if self.process:
            return
        self.data.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-P",
            "-m",
            __name__,
            "--port",
            str(self.port),
            "--data",
            str(self.data),
            "--follow-stdin",
        ]
        command += ["--cluster", self.cluster] if self.cluster else []
        environment, pipe = {**os.environ, "TZ": "UTC", "PYTHONPATH": str(ROOT)}, subprocess.PIPE
        with open(self.data / "double.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, env=environment)
        assert self.process.stdout is not None
        ports = self.process.stdout.readline().split()
        if len(ports) != 2:
            self.kill()
            raise RuntimeError(f"the double did not start: {(self.data / 'double.log').read_text()[-2000:]}")
        self.control = int(ports[1])

    def stop(self) -> None:
        """Stop in order: what runs finishes, the engine is closed."""
        self._end(lambda process: None)

    def kill(self) -> None:
        """Kill -9."""
        self._end(subprocess.Popen.kill)

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        how(process)
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(b"\n")  # a forked child may hold this pipe open too, so closing alone is not enough
        with process.stdout:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> ClickHouseDouble:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fault(self, kind: str, match: str = "INSERT", times: int = 1, **more: float) -> None:
        """From now on. `kind` is one of KINDS; `more` is seconds, status, code; times=-1 lasts until clear()."""
        self._tell("POST", {"kind": kind, "match": match, "times": times, **more})

    def clear(self) -> None:
        """Take back all faults in waiting (not a closed socket)."""
        self._tell("DELETE", {})

    def requests(self, match: str = "") -> list[dict[str, Any]]:
        """What was received, over all starts, in order of arrival, pings left out: at, query (without its rows),
        settings, params, database, query_id, format, bytes (of the body, as sent), rows_bytes (unpacked), fault."""
        path = self.data / "requests.jsonl"
        if not path.exists():
            return []
        return [line for line in map(json.loads, path.read_bytes().splitlines()) if match in line["query"]]

    def _tell(self, method: str, what: dict[str, Any]) -> None:
        connection = http.client.HTTPConnection(HOST, self.control, timeout=10)
        try:
            connection.request(method, "/__fault", json.dumps(what))
            response = connection.getresponse()
            if response.status != 200:
                raise ValueError(response.read().decode().strip())
        finally:
            connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="ClickHouse's HTTP interface in front of chDB, for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cluster", default="", help="play a cluster of that name")
    parser.add_argument("--follow-stdin", action="store_true", help="end when standard input ends")
    args = parser.parse_args()
    data = args.data.resolve()
    shutil.rmtree(data / "tmp", ignore_errors=True)  # kill -9 leaves inserts there in clear
    (data / "tmp").mkdir(parents=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(data / "tmp")
    os.chdir(data)  # chDB reads ./config.xml
    leash = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # chDB makes its standard input non-blocking
    double = Double(data, args.port, args.cluster)
    print(double.port, double.control.server_address[1], flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        if args.follow_stdin:
            os.read(leash, 1)
        else:
            threading.Event().wait()
    double.end()
    os._exit(0)  # hanging requests have daemon threads, some inside the engine


if __name__ == "__main__":
    main()
