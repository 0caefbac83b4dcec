"""The ledger's chain and its seals: whoever changes, removes, inserts or cuts off a record is found, and since when."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.record import chain, seals
from consent_gateway.record.keys import Keys
from consent_gateway.record.ledger import Ledger
from consent_gateway.record.seals import Seals, verify
from consent_gateway.record.signature import canonical, is_genuine, key_id, signed

from .processes import run, run_killed

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
HOUR = 3_600_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def record(number: int, at: str) -> dict[str, Any]:
    return {"id": f"{number:032x}", "site": "shop", "at": f"{at}T10:{number:02d}:00.000+00:00", "status": "refused"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Path]:
    """Ten records in two months, sealed after the third, at the month's end and at the end."""
    made, sealer = Ledger(tmp_path), Seals(tmp_path, KEY)
    for number in range(3):
        made.append(record(number, "2026-10-30"), "2026-10")
    assert len(sealer.seal(ms("2026-10-30T11:00:00"))) == 1
    for number in range(3, 5):
        made.append(record(number, "2026-10-31"), "2026-10")
    for number in range(5, 9):
        made.append(record(number, "2026-11-01"), "2026-11")
    assert len(sealer.seal(ms("2026-11-01T11:00:00"))) == 2, "the month that is over has its own"
    made.append(record(9, "2026-11-02"), "2026-11")
    made.close()
    yield tmp_path / "ledger"


def test_what_nobody_touched_is_in_order(ledger: Path) -> None:
    report = verify(ledger, KEYS)
    assert (report.faults, report.records, report.sealed, report.seals) == ([], 10, 9, 3)
    assert report.last_seal.startswith("2026-11-01T11:00")


def text_lines(ledger: Path, month: str) -> list[bytes]:
    return (ledger / f"{month}.jsonl").read_bytes().splitlines(keepends=True)


def write(ledger: Path, month: str, found: list[bytes]) -> None:
    (ledger / f"{month}.jsonl").write_bytes(b"".join(found))


def change(ledger: Path) -> None:
    found = text_lines(ledger, "2026-10")
    found[1] = found[1].replace(b'"refused"', b'"given"')
    write(ledger, "2026-10", found)


def remove(ledger: Path) -> None:
    found = text_lines(ledger, "2026-10")
    write(ledger, "2026-10", found[:1] + found[2:])


def insert(ledger: Path) -> None:
    found = text_lines(ledger, "2026-10")
    write(ledger, "2026-10", found[:2] + found[1:])


def swap(ledger: Path) -> None:
    found = text_lines(ledger, "2026-10")
    write(ledger, "2026-10", [found[0], found[2], found[1], *found[3:]])


def spoil(ledger: Path) -> None:
    found = text_lines(ledger, "2026-10")
    write(ledger, "2026-10", [found[0], b"{not json\n", *found[2:]])


def take_a_month(ledger: Path) -> None:
    (ledger / "2026-10.jsonl").unlink()
    for seal in seals.read(ledger):  # as a purge would, but not behind a seal
        assert seal
    found = [json.loads(text) for text in text_lines(ledger, "2026-11")]
    found[0]["before"] = "f" * 64
    rewrite(ledger, "2026-11", found)


def cut(ledger: Path) -> None:
    write(ledger, "2026-11", text_lines(ledger, "2026-11")[:2])


def rewrite(ledger: Path, month: str, records: list[dict[str, Any]]) -> None:
    """As somebody would who has the files and no key: compute the chain anew."""
    before, found = records[0]["before"], []
    for one in records:
        text = json.dumps(one | {"before": before}, separators=(",", ":")).encode()
        before = sha256(text).hexdigest()
        found.append(text + b"\n")
    write(ledger, month, found)


def compute_anew(ledger: Path) -> None:
    found = [json.loads(text) for text in text_lines(ledger, "2026-11")]
    found[1]["status"] = "given"
    rewrite(ledger, "2026-11", found)


TAMPERED = [
    # what was done, in order until, what is said
    (change, "2026-10-30T10:01", "changed, removed or inserted"),
    (remove, "2026-10-30T10:00", "changed, removed or inserted"),
    (insert, "2026-10-30T10:01", "changed, removed or inserted"),
    (swap, "2026-10-30T10:00", "changed, removed or inserted"),
    (spoil, "2026-10-30T10:00", "is no record"),
    (take_a_month, "", "changed, removed or inserted"),
    (cut, "2026-11-01T10:06", "2 records that were sealed"),
    (compute_anew, "2026-11-01T10:07", "was written anew"),
]


@pytest.mark.parametrize(("tamper", "since", "why"), TAMPERED)
def test_what_was_tampered_with_is_found(ledger: Path, tamper: Callable[[Path], None], since: str, why: str) -> None:
    tamper(ledger)
    faults = verify(ledger, KEYS).faults
    assert faults and faults[0].since.startswith(since) and why in faults[0].why, faults


def test_who_cuts_the_seals_too_is_found_by_those_in_the_store(ledger: Path) -> None:
    stored = seals.read(ledger)
    cut(ledger)
    found = (ledger / "seals.jsonl").read_bytes().splitlines(keepends=True)
    (ledger / "seals.jsonl").write_bytes(b"".join(found[:-1]))
    assert verify(ledger, KEYS).faults == []
    whys = [fault.why for fault in verify(ledger, KEYS, stored).faults]
    assert whys[0] == "a seal that the store has is missing here" and "missing at the end" in whys[1]


def test_a_seal_of_another_key_and_one_taken_out_are_found(ledger: Path) -> None:
    found = seals.read(ledger)
    forged = signed({name: value for name, value in found[-1].items() if name != "proof"}, OTHER)
    texts = (ledger / "seals.jsonl").read_bytes().splitlines(keepends=True)
    (ledger / "seals.jsonl").write_bytes(b"".join(texts[:-1]) + json.dumps(forged).encode() + b"\n")
    assert [fault.why for fault in verify(ledger, KEYS).faults] == ["was not made with our key"]
    (ledger / "seals.jsonl").write_bytes(texts[0] + texts[2])
    assert [fault.why for fault in verify(ledger, KEYS).faults] == ["a seal before this one is missing"]


@given(st.data())
def test_any_changed_byte_of_a_sealed_record_is_found(data: st.DataObject) -> None:
    folder = FOLDER / os.urandom(6).hex()
    made, sealer = Ledger(folder), Seals(folder, KEY)
    for number in range(4):
        made.append(record(number, "2026-11-01"), "2026-11")
    sealer.seal(ms("2026-11-01T12:00:00"))
    made.close()
    path = folder / "ledger" / "2026-11.jsonl"
    text = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(text)
    assert verify(folder / "ledger", KEYS).faults
    shutil.rmtree(folder)


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("chains")


FOLDER = Path()


def test_many_processes_make_one_chain_and_a_killed_one_breaks_none(tmp_path: Path) -> None:
    def work(writer: int) -> None:
        ledger = Ledger(tmp_path)
        for number in range(60):
            ledger.append(
                record(number % 60, "2026-11-01") | {"writer": writer, "text": "x" * (number * 97)}, "2026-11"
            )

    run(*(lambda writer=writer: work(writer) for writer in range(4)))
    run_killed(lambda: work(4))
    assert [fault for _, fault in chain.walk(tmp_path / "ledger", chain.START) if fault] == []
    assert verify(tmp_path / "ledger", KEYS).records == 300


def test_a_torn_line_is_put_aside_and_the_chain_goes_on(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    first.append(record(0, "2026-11-01"), "2026-11")
    first.close()
    path = tmp_path / "ledger" / "2026-11.jsonl"
    with path.open("ab") as file:
        file.write(b'{"before":"half')
    second = Ledger(tmp_path)
    second.append(record(1, "2026-11-01"), "2026-11")
    second.close()
    report = verify(tmp_path / "ledger", KEYS)
    assert (report.records, report.faults) == (2, [])
    assert (tmp_path / "ledger" / "torn").read_bytes() == b'{"before":"half\n'


def test_a_late_record_goes_behind_the_last(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(record(0, "2026-11-30"), "2026-11")
    ledger.append(record(1, "2026-12-01"), "2026-12")
    ledger.append(record(2, "2026-11-30"), "2026-11")
    ledger.close()
    assert [line.file for line in chain.lines(tmp_path / "ledger")] == [
        "2026-11.jsonl",
        "2026-12.jsonl",
        "2026-12.jsonl",
    ]
    assert verify(tmp_path / "ledger", KEYS).faults == []


def test_seals_are_due_hourly_and_at_a_months_end_and_only_for_what_is_new(tmp_path: Path) -> None:
    ledger, sealer = Ledger(tmp_path), Seals(tmp_path, KEY)
    start = ms("2026-11-30T20:00:00")
    assert not sealer.due(start) and sealer.seal(start) == []
    ledger.append(record(0, "2026-11-30"), "2026-11")
    assert sealer.due(start) and len(sealer.seal(start)) == 1
    assert not sealer.due(start + 2 * HOUR), "nothing is new"
    ledger.append(record(1, "2026-11-30"), "2026-11")
    assert not sealer.due(start + HOUR - 1) and sealer.due(start + HOUR)
    ledger.append(record(2, "2026-12-01"), "2026-12")
    assert sealer.due(start + 1), "a month is over"
    assert [seal["count"] for seal in sealer.seal(start + 1)] == [2, 3]
    ledger.close()


def test_a_month_is_purged_whole_behind_its_seal_and_the_rest_still_proves_itself(ledger: Path) -> None:
    sealer = Seals(ledger.parent, KEY)
    assert sealer.purge("2026-10", 0) == []
    assert sealer.purge("2026-12", 0) == ["2026-10.jsonl"], "never the month that is written"
    report = verify(ledger, KEYS)
    assert (report.faults, report.records, report.sealed) == ([], 10, 9)
    change_later = text_lines(ledger, "2026-11")
    write(ledger, "2026-11", [change_later[0].replace(b"refused", b"granted"), *change_later[1:]])
    assert verify(ledger, KEYS).faults


def test_a_month_that_is_not_sealed_to_its_end_stays(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(record(0, "2020-10-30"), "2020-10")
    ledger.append(record(1, "2026-11-01"), "2026-11")
    ledger.close()
    assert Seals(tmp_path, KEY).purge("2026-01", 0) == []


def test_a_rotated_key_still_verifies_what_it_signed(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    document = signed({"a": 1, "b": "é"}, keys.receipt)
    (tmp_path / "receipt").rename(tmp_path / "receipt-2026-11")
    again = Keys(tmp_path)
    assert is_genuine(document, again.public_keys) and len(again.public_keys) == 2
    assert not is_genuine(document | {"a": 2}, again.public_keys)
    assert canonical({"b": 1, "a": {"d": 1, "c": "é"}, "proof": {}}) == '{"a":{"c":"é","d":1},"b":1}'.encode()


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(-99, 99), max_size=4), st.binary(max_size=9)
)
def test_nothing_but_a_proof_of_ours_is_genuine(document: dict[str, Any], noise: bytes) -> None:
    for proof in (
        None,
        {},
        {"type": "Ed25519"},
        {"type": "Ed25519", "key": next(iter(KEYS)), "value": noise.hex()},
        noise.hex(),
    ):
        assert not is_genuine(document | {"proof": proof}, KEYS)
    assert is_genuine(signed(document, KEY), KEYS)
    assert not is_genuine(signed(document, OTHER), KEYS)
