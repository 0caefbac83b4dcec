"""Lines come into the table as they were written, on both engines, whatever stands in them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from consent_gateway.rule.columns import BY_NAME, COLUMNS
from consent_gateway.store.lines import insert_lines

from .conftest import NewHost
from .host import Host

WORDS = ["", "nl", "é ü 漢 🚲", "'quoted' \"twice\"", "back\\slash", "tab\tline\nnull\0", "a" * 5000, "\\N", "NULL"]
TIMES = {"at": "2026-11-22 10:00:00.123", "received_at": "2026-11-22 23:59:59.999"}


def row(number: int) -> dict[str, Any]:
    word = WORDS[number % len(WORDS)]
    return {"batch": "202611-lines-000001", "site": "shop", "type": "page_view", **TIMES} | {
        "purposes": ["measurement", word] if number % 3 else [],
        "visitor": 2**64 - 1 - number,
        "person": number,
        "path": f"/{word}",
        "country": word[:2],
        "bot": bool(number % 2),
        "http_status": 65_535 - number,
        "timings": {"load_ms": 120.5, "cls": 0.25} if number % 2 else {},
        "props": {word: word, "plan": "pro"} if number % 5 else {},
        "name": word,
    }


def test_what_was_written_is_what_is_read(new_host: NewHost) -> None:
    client = new_host().connect()
    sent = [row(number) for number in range(40)]
    lines = b"".join(json.dumps(one | {"id": "0" * 16, "crc": "00000000"}).encode() + b"\n" for one in sent)
    insert_lines(client, "events", lines, {"insert_deduplication_token": "one"}, "query-one")
    insert_lines(client, "events", lines, {"insert_deduplication_token": "one"}, "query-two")  # is known
    names = [column.name for column in COLUMNS]
    found = client.query(f"SELECT {', '.join(names)} FROM events ORDER BY person", column_formats={}).result_rows
    assert len(found) == len(sent)
    for one, values in zip(sent, found, strict=True):
        stored = dict(zip(names, values, strict=True))
        for name, value in stored.items():
            if name not in TIMES:
                assert value == (list(one[name]) if name == "purposes" else one.get(name, _empty(name))), name
            else:
                assert f"{value:%Y-%m-%d %H:%M:%S.%f}"[:23] == TIMES[name]


def _empty(name: str) -> Any:
    return list(BY_NAME[name].empty) if name == "purposes" else BY_NAME[name].empty


def test_a_large_segment_is_one_part(new_host: NewHost) -> None:
    """One insert, one part: all of its rows or none."""
    client = new_host().connect()
    lines = b"".join(json.dumps(row(number % 100)).encode() + b"\n" for number in range(70_000))
    insert_lines(client, "events", lines, {"insert_deduplication_token": "large"}, "query-large")
    parts = "SELECT rows FROM system.parts WHERE active AND database = currentDatabase() AND table = 'events'"
    assert client.query(parts).result_rows == [(70_000,)]


@pytest.mark.parametrize("wrong", [b'{"at": "yesterday"}\n', b'{"visitor": -1.5e300}\n', b'{"site": "sh', b"[]\n"])
def test_a_line_that_cant_be_read_keeps_all_out(new_host: NewHost, wrong: bytes) -> None:
    client = new_host().connect()
    lines = json.dumps(row(1)).encode() + b"\n" + wrong
    with pytest.raises(ClickHouseError):
        insert_lines(client, "events", lines, {"insert_deduplication_token": "wrong"}, "query-wrong")
    assert client.query("SELECT count() FROM events").result_rows == [(0,)]


def test_no_file_of_lines_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would stay behind in clear when the process is killed, beside a store that may be encrypted."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    while_inserted: list[Path] = []
    with Host(tmp_path / "it's a folder*{1,2}?") as host:
        client = host.connect()
        real = client.command

        def command(statement: str, *arguments: Any, **options: Any) -> Any:
            while_inserted.extend([folder, *folder.rglob("*")])
            return real(statement, *arguments, **options)

        monkeypatch.setattr(client, "command", command)
        insert_lines(client, "events", json.dumps(row(1)).encode(), {"insert_deduplication_token": "odd"}, "query-odd")
        assert client.query("SELECT count() FROM events").result_rows == [(1,)]
    assert while_inserted == [folder], "it was looked at just then, and empty"
