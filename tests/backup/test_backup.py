"""A backup is whole or refused, and what it restores is what was stored, less what ended since."""

from __future__ import annotations

import json
import os
import stat
import tarfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consent_gateway.config.settings import Settings
from consent_gateway.office import Office
from consent_gateway.record import chain
from consent_gateway.record.ledger import Ledger, Stop, Stops
from consent_gateway.record.salts import Salts, memory_dir
from consent_gateway.record.spool import Writer
from consent_gateway.rights.register import Right
from consent_gateway.store import backup
from consent_gateway.store import client as store
from consent_gateway.store.backup import BackupError
from tests.clickhouse_double import ClickHouseDouble

NOW = int(time.time() * 1000)
FILL = """
INSERT INTO events (site, type, at, received_at, consent, purposes, batch, visitor, person, path, query, server_ms,
    timings, props, bot, city, address)
SELECT 'shop', 'page_view', now64(3) - INTERVAL number * 80 MINUTE AS t, t, 'given',
    ['measurement', 'analytics'], concat('b', toString(number % 3)), 18446744073709551615 - number, number,
    concat('/tab\\there/line\\nthere/back\\\\slash/\\'quote"/\\0/', toString(number)), '', number / 3,
    map('ttfb_ms', number / 7), map('k\\t"\\'\\\\', 'v\\n\\r'), number % 2, 'Liège', '2026-11.x' FROM numbers({rows})
"""
# The engine reads a Float32 no more exactly than to the seventh digit
SUM = (
    "SELECT count(), sum(cityHash64(toString(tuple(* EXCEPT (timings, server_ms))))), "
    "round(sum(timings['ttfb_ms'])), round(sum(server_ms)) FROM events"
)


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseDouble]:
    with ClickHouseDouble(tmp_path_factory.mktemp("double")) as double:
        yield double


@pytest.fixture
def new_office(
    tmp_path: Path, double: ClickHouseDouble, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Office]]:
    """Back offices with data of their own on one server; their forwarders are run by hand."""
    monkeypatch.setattr(store, "prepare", lambda data_dir: None)  # it moves the process
    made: list[Office] = []

    def new(name: str, **more: Any) -> Office:
        (tmp_path / name).mkdir(exist_ok=True)
        own = {"DATA_DIR": tmp_path / name, "KEYS_DIR": tmp_path / f"{name}-keys", "DSN": double.dsn}
        office = Office(Settings(**own | more))
        made.append(office)
        return office

    yield new
    for office in made:
        office.forwarder.close()
    double.clear()
    for table in ("events", "held", "rights_requests"):
        ask(made[0], f"TRUNCATE TABLE {table}")


def ask(office: Office, sql: str) -> Any:
    client = office._connect()
    try:
        return client.query(sql).result_rows if sql.lstrip().startswith("SELECT") else client.command(sql)
    finally:
        client.close()


def quiet(words: str, done: int, total: int) -> None:
    assert 0 <= done <= total or not total


def back_up(office: Office, target: Path) -> dict[str, Any]:
    return office.jobs._back_up(target, quiet)


def restore(office: Office, source: Path, *, replace: bool = False) -> dict[str, Any]:
    return office.jobs._restore(source, quiet, replace=replace)


def stop(office: Office, person: int, why: Stop, at: int = NOW) -> None:
    stops = Stops(office.settings.DATA_DIR)
    stops.add(person, at, why).sync()
    stops.close()


def test_all_comes_back_as_it_was(
    new_office: Callable[[str], Office], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PIECE_BYTES", 20_000)
    monkeypatch.setattr(backup, "_READ_BYTES", 3_000)
    office = new_office("a")
    ask(office, FILL.format(rows=500))
    before = ask(office, SUM)
    target = tmp_path / "shop.backup"
    done = back_up(office, target)
    assert done["rows"] == 500 and done["bytes"] == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as tar:
        pieces = [name for name in tar.getnames() if name.startswith("store/events/")]
    assert len(pieces) > 5
    ask(office, "TRUNCATE TABLE events")
    assert restore(office, target)["rows"] == 500
    assert ask(office, SUM) == before


def test_the_policy_comes_back_beside_the_notices_that_came_from_it(
    new_office: Callable[..., Office], tmp_path: Path
) -> None:
    """And one that came back does not stand in the way of the next backup, under whatever name it has."""
    policy = tmp_path / "our policy (2026).toml"
    policy.write_text('[controller]\nname = "A shop"\n')
    office = new_office("a", POLICY=policy)
    ask(office, FILL.format(rows=5))
    back_up(office, tmp_path / "first")
    notices = {path.name for path in (tmp_path / "a" / "notices").iterdir()}
    other = new_office("b", POLICY=policy)
    restore(other, tmp_path / "first", replace=True)
    kept = tmp_path / "b" / "policy" / "ourpolicy2026.toml"
    assert kept.read_text() == policy.read_text()
    assert {path.name for path in (tmp_path / "b" / "notices").iterdir()} == notices and len(notices) == 4
    policy.write_text('[controller]\nname = "Another shop"\n')
    back_up(other, tmp_path / "second")
    restore(office, tmp_path / "second", replace=True)
    assert (tmp_path / "a" / "policy" / kept.name).read_text() == policy.read_text()


def test_it_overwrites_nothing_and_leaves_no_draft(new_office: Callable[[str], Office], tmp_path: Path) -> None:
    office, folder = new_office("a"), tmp_path / "backups"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(BackupError, match="overwrites nothing"):
        back_up(office, folder / "mine")
    with pytest.raises(BackupError, match="can't be written: No such file"):
        back_up(office, tmp_path / "nowhere" / "file")

    def cancel(words: str, done: int, total: int) -> None:
        raise BackupError("cancelled")

    with pytest.raises(BackupError, match="cancelled"):
        office.jobs._back_up(folder / "other", cancel)
    assert os.listdir(folder) == ["mine"] and (folder / "mine").read_text() == "mine"


def test_a_store_that_cuts_its_answer_short_gives_no_backup(
    new_office: Callable[[str], Office], double: ClickHouseDouble, tmp_path: Path
) -> None:
    office = new_office("a")
    ask(office, FILL.format(rows=50))
    double.fault("truncate", match="WHERE _partition_id", times=-1)
    with pytest.raises(BackupError, match="broke off its answer"):
        back_up(office, tmp_path / "b")
    assert not (tmp_path / "b").exists() and not list(tmp_path.glob(".b*"))


def test_only_into_an_empty_store_unless_told(new_office: Callable[[str], Office], tmp_path: Path) -> None:
    office = new_office("a")
    ask(office, FILL.format(rows=10))
    before = ask(office, SUM)
    back_up(office, tmp_path / "b")
    ask(office, FILL.format(rows=3))
    with pytest.raises(BackupError, match=r"not empty \(events has 13 rows\); --replace"):
        restore(office, tmp_path / "b")
    restore(office, tmp_path / "b", replace=True)
    assert ask(office, SUM) == before


@pytest.mark.parametrize("where", [0, 1, 50, 0.3, 0.6, 0.9, -9, -1])
def test_a_cut_backup_is_refused_before_anything_is_touched(
    new_office: Callable[[str], Office], tmp_path: Path, where: float
) -> None:
    office = new_office("a")
    ask(office, FILL.format(rows=20))
    back_up(office, tmp_path / "b")
    data = (tmp_path / "b").read_bytes()
    (tmp_path / "cut").write_bytes(data[: int(len(data) * where) if isinstance(where, float) else where])
    with pytest.raises(BackupError, match=r"/cut: it (is cut short|is damaged|has no manifest)"):
        restore(office, tmp_path / "cut", replace=True)
    assert ask(office, "SELECT count() FROM events") == [(20,)]


@pytest.mark.parametrize("where", [0.001, 0.01, 0.2, 0.4, 0.6, -6])
def test_a_flipped_bit_is_found(new_office: Callable[[str], Office], tmp_path: Path, where: float) -> None:
    office = new_office("a")
    ask(office, FILL.format(rows=20))
    back_up(office, tmp_path / "b")
    data = bytearray((tmp_path / "b").read_bytes())
    data[int(len(data) * where) if isinstance(where, float) else where] ^= 4
    (tmp_path / "flipped").write_bytes(data)
    with pytest.raises(BackupError, match=r"/flipped: it|/flipped: \S+ in it is not as it was"):
        restore(office, tmp_path / "flipped", replace=True)
    assert ask(office, "SELECT count() FROM events") == [(20,)]


def repacked(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A backup with other contents, packed well."""
    with tarfile.open(source) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    change(found)
    with tarfile.open(target, "w:gz") as tar:
        for name, data in found.items():
            (target.parent / "member").write_bytes(data)
            tar.add(target.parent / "member", name)
    return target


def newer(found: dict[str, bytes]) -> None:
    found["manifest.json"] = found["manifest.json"].replace(b'"format": 1', b'"format": 9')


def longer(found: dict[str, bytes]) -> None:
    found |= {"manifest.json": found.pop("manifest.json"), "more": b""}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found.update({"store/events/000001.tsv": b"x\n"}), "000001.tsv in it is not as it was written"),
        (lambda found: found.pop("ledger/stops.jsonl"), "stops.jsonl in it is not as it was written"),
        (lambda found: found.pop("manifest.json"), "no manifest"),
        (lambda found: found.update({"manifest.json": b"{}"}), "manifest is not as it was written"),
        (newer, "of format 9"),
        (longer, "where none should be"),
    ],
)  # fmt: skip
def test_a_changed_backup_is_refused(
    new_office: Callable[[str], Office], tmp_path: Path, change: Callable[[dict[str, bytes]], None], says: str
) -> None:
    office = new_office("a")
    ask(office, FILL.format(rows=2))
    back_up(office, tmp_path / "b")
    with pytest.raises(BackupError, match=says):
        restore(office, repacked(tmp_path / "b", tmp_path / "changed", change), replace=True)
    assert ask(office, "SELECT count() FROM events") == [(2,)]


def test_a_path_that_leads_elsewhere_is_refused(new_office: Callable[[str], Office], tmp_path: Path) -> None:
    def change(found: dict[str, bytes]) -> None:
        manifest = json.loads(found.pop("manifest.json"))
        found["ledger/../../evil"] = found.pop("ledger/stops.jsonl")
        manifest["files"]["ledger/../../evil"] = manifest["files"].pop("ledger/stops.jsonl")
        found["manifest.json"] = json.dumps(manifest).encode()

    office = new_office("a")
    back_up(office, tmp_path / "b")
    with pytest.raises(BackupError, match="does not know"):
        restore(office, repacked(tmp_path / "b", tmp_path / "changed", change))


def test_a_column_that_this_version_does_not_know_is_refused(
    new_office: Callable[[str], Office], tmp_path: Path
) -> None:
    def change(found: dict[str, bytes]) -> None:
        found["manifest.json"] = found.pop("manifest.json").replace(b'"server_ms"', b'"colour"')

    office = new_office("a")
    ask(office, FILL.format(rows=2))
    back_up(office, tmp_path / "b")
    with pytest.raises(BackupError, match="column 'colour' of events"):
        restore(office, repacked(tmp_path / "b", tmp_path / "changed", change), replace=True)
    assert ask(office, "SELECT count() FROM events") == [(2,)]


def test_what_ended_after_the_backup_ends_again(new_office: Callable[[str], Office], tmp_path: Path) -> None:
    office = new_office("a")
    ask(office, FILL.format(rows=10))
    stop(office, 1, Stop.WITHDRAWN)  # before the backup, and not scrubbed yet
    back_up(office, tmp_path / "b")
    stop(office, 2, Stop.WITHDRAWN)
    stop(office, 3, Stop.ERASED)
    client = office._connect()
    assert office.scrubber.scrub(client, now=True) == 3  # so the place in the file of stops is at its end
    client.close()
    done = restore(office, tmp_path / "b", replace=True)
    assert done["scrubbed"] == 3 and done["stops"] == 0
    rows = ask(office, "SELECT person, city, consent FROM events ORDER BY server_ms LIMIT 5")
    gone = (0, "", "withdrawn")
    assert rows == [(0, "Liège", "given"), gone, gone, (4, "Liège", "given"), (5, "Liège", "given")]


def test_a_lost_host_gets_ledger_and_stops_back(new_office: Callable[[str], Office], tmp_path: Path) -> None:
    lost, new = new_office("lost"), new_office("new")
    ask(lost, FILL.format(rows=5))
    ledger = Ledger(lost.settings.DATA_DIR)
    ledger.append({"id": "1"}, "2026-10")
    ledger.append({"id": "2"}, "2026-11")
    ledger.close()
    stop(lost, 1, Stop.ERASED)
    back_up(lost, tmp_path / "b")
    stop(new, 4, Stop.ERASED)
    done = restore(new, tmp_path / "b", replace=True)
    assert done["stops"] == 1 and done["beside"] == []
    stops = Stops(new.settings.DATA_DIR)
    assert stops.ended(1) and stops.ended(4)
    stops.close()
    walked = list(chain.walk(new.settings.DATA_DIR / "ledger", chain.START))
    assert [(line.file, (line.record or {})["id"]) for line, _ in walked] == [
        ("2026-10.jsonl", "1"), ("2026-11.jsonl", "2"),
    ]  # fmt: skip
    assert [fault for _, fault in walked if fault] == [], "the chain came back whole"
    assert ask(new, "SELECT person FROM events ORDER BY person") == [(0,), (2,), (3,)]
    notices = list((new.settings.DATA_DIR / "notices").iterdir())
    assert notices and all("version" in json.loads(path.read_text()) for path in notices)


def test_rights_outlive_a_backup(new_office: Callable[[str], Office], tmp_path: Path) -> None:
    """What was kept aside comes back aside, or erased if that was asked since; the register of requests comes back; and
    what was restricted since is taken aside again."""
    lost, new = new_office("lost"), new_office("new")
    ask(lost, FILL.format(rows=5))
    stop(lost, 1, Stop.RESTRICTED)
    stop(lost, 2, Stop.RESTRICTED)
    client = lost._connect()
    lost.forwarder.holder.move(client)
    client.close()
    lost.rights.rights.register.open(Right.ACCESS, datetime.now(UTC), site="site", by="An", source="mail")
    back_up(lost, tmp_path / "b")
    stop(new, 2, Stop.ERASED)
    stop(new, 3, Stop.RESTRICTED)
    restore(new, tmp_path / "b", replace=True)
    assert ask(new, "SELECT person FROM events ORDER BY person") == [(0,), (4,)]
    assert ask(new, "SELECT person FROM held FINAL ORDER BY person") == [(1,), (3,)]
    assert new.rights.rights.register.get(1).right is Right.ACCESS


def test_the_ledger_never_shrinks(new_office: Callable[[str], Office], tmp_path: Path) -> None:
    office = new_office("a")
    folder = office.settings.DATA_DIR / "ledger"
    for name in ("grown", "cut", "same", "other"):
        (folder / f"{name}.jsonl").write_text("1\n2\n")
    back_up(office, tmp_path / "b")
    (folder / "grown.jsonl").write_text("1\n2\n3\n")
    (folder / "cut.jsonl").write_text("1\n")
    (folder / "other.jsonl").write_text("1\n9\n")
    done = restore(office, tmp_path / "b")
    found = {name: (folder / f"{name}.jsonl").read_text() for name in ("grown", "cut", "same", "other")}
    assert found == {"grown": "1\n2\n3\n", "cut": "1\n2\n", "same": "1\n2\n", "other": "1\n9\n"}
    (beside,) = done["beside"]
    assert Path(beside).read_text() == "1\n2\n" and Path(beside).name.startswith("other.jsonl.restored-")


def test_a_segment_that_is_still_in_the_spool_is_not_doubled(
    new_office: Callable[[str], Office], tmp_path: Path
) -> None:
    """Sent, backed up, and back in the spool (a disk was put back): the restored table has its rows already."""
    office = new_office("a")
    at = time.strftime("%Y-%m-%d %H:%M:%S.000", time.gmtime(NOW / 1000))
    event = f'{{"site":"site","type":"page_view","at":"{at}","received_at":"{at}","consent":"unknown","person":0}}'
    writer = Writer(office.spool, 10**9)
    writer.append(at[:4] + at[5:7], [(event.encode(), "")] * 3)
    (segment,) = office.spool.segments(office.spool.open)
    data = segment.read_bytes()
    writer.let_go(everything=True)
    assert office.forwarder.forward_all() == 0
    back_up(office, tmp_path / "b")
    (office.spool.sealed / segment.name).write_bytes(data)
    restore(office, tmp_path / "b", replace=True)
    assert (office.spool.sealed / segment.name).exists()
    assert office.forwarder.forward_all() == 0
    assert ask(office, "SELECT count() FROM events") == [(3,)]


def test_neither_salts_nor_keys_are_in_it(new_office: Callable[[str], Office], tmp_path: Path) -> None:
    office = new_office("a")
    settings = office.settings
    salts = Salts(memory_dir(settings.DATA_DIR), settings.zone)
    salt = salts.of(int(time.time() * 1000)) or salts.of(int(time.time() * 1000))  # twice: midnight may lie between
    assert salt
    (settings.DATA_DIR / "salts").mkdir()  # where they lie when there is no memory file system
    (settings.DATA_DIR / "salts" / "salt-2026-11-22").write_bytes(salt)
    back_up(office, tmp_path / "b")
    with tarfile.open(tmp_path / "b") as tar:
        names = tar.getnames()
        everything = b"".join(tar.extractfile(name).read() for name in names)  # type: ignore[union-attr]
    secrets = [salt, *(path.read_bytes() for path in settings.KEYS_DIR.iterdir())]
    assert len(secrets) > 2
    for secret in secrets:
        assert secret not in everything and b64encode(secret) not in everything and secret.hex() not in str(everything)
    assert {name.split("/")[0] for name in names} == {"ledger", "notices", "manifest.json"}
