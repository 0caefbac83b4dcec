"""Erasure reaches everything, counts what is left, and writes that down."""

from __future__ import annotations

import pytest

from consent_gateway.record.ledger import Stop
from consent_gateway.record.spool import write_segment
from consent_gateway.rights.register import Right, RightsError
from consent_gateway.rights.service import _MOST_OPEN
from consent_gateway.rule.errors import StoreError
from tests.rights.conftest import RightsHost
from tests.running import files_with
from tests.store.host import event, until

ANN, BEN = 11, 12
CANARY = "canary-Zwijnaarde-7Q4X"
EMPTY: dict[str, list[int]] = {"events": [], "held": []}


def ask(host: RightsHost, person: int = ANN) -> int:
    return host.rights.ask(Right.ERASURE, site="shop", person=person, consent_id="c").number


def seal(host: RightsHost) -> None:
    for path in host.segments("open"):
        path.rename(host.spool.sealed / path.name)


def test_it_takes_the_rows_away_wherever_they_are_and_counts(host: RightsHost) -> None:
    """In the store, sealed, and in the open spool; of others nothing is touched."""
    host.accept(event(1, person=ANN), event(2, person=BEN), event(3))
    host.forward()
    host.accept(event(4, person=ANN), event(5, person=BEN))
    seal(host)
    host.accept(event(6, person=ANN))
    number = ask(host)
    host.rights.work()
    assert host.tables_of(ANN) == EMPTY and host.stored() == [2, 3, 5] and host.balance() == {}
    request = host.rights.register.get(number)
    assert request.state == "closed"
    proof = next(entry.proof for entry in request.entries if entry.proof)
    assert proof.pop("counted_at")
    assert proof == {
        "events_before": 1, "held_before": 0, "spool_before": 2, "events": 0, "held": 0, "spool": 0,
    }  # fmt: skip
    assert host.query("SELECT state, proof != '' FROM rights_requests FINAL") == [("closed", 1)]


def test_held_rows_go_too(host: RightsHost) -> None:
    host.accept(event(1, person=ANN))
    host.forward()
    host.rights.ask(Right.RESTRICTION, site="shop", person=ANN, consent_id="c")
    host.rights.work()
    assert host.tables_of(ANN) == {"events": [], "held": [1]}
    host.accept(event(2, person=ANN))
    ask(host)
    host.rights.work()
    assert host.tables_of(ANN) == EMPTY and host.balance() == {}


def test_no_byte_of_it_stays_in_spool_or_store(host: RightsHost) -> None:
    """A canary in the rows of a person is in no file once the engine has let go of the old parts."""
    client = host.connect()
    for table in ("events", "held"):
        client.command(f"ALTER TABLE {table} MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1")
    host.accept(*(event(number, person=ANN, name=CANARY) for number in range(1, 6)), event(9, name="kept-by-all"))
    host.forward()
    assert files_with(host.data_dir / "store", CANARY), "the scan can find it"
    host.accept(event(6, person=ANN, name=CANARY))
    seal(host)
    aside = host.segments()[0]
    write_segment(host.spool.aside / aside.name, [*aside.read_bytes().splitlines(keepends=True), b"another's\n"])
    assert len(files_with(host.spool.root, CANARY)) == 2
    ask(host)
    host.rights.work()
    assert files_with(host.spool.root, CANARY) == [] and files_with(host.spool.root, "another's")
    until("the old parts to go", lambda: not files_with(host.data_dir, CANARY), 60)
    assert files_with(host.data_dir / "store", "kept-by-all")
    client.close()


def test_while_the_store_is_away_the_spool_is_cleaned_and_the_rest_waits(
    host: RightsHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.accept(event(1, person=ANN))
    host.forward()
    number = ask(host)

    def away() -> None:
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(host.rights, "_connect", away)
        with pytest.raises(StoreError):
            host.rights.work()
    assert host.rights.register.get(number).state == "open" and host.stops.ended(ANN), "it counts already"
    again = host.start_rights()
    again.work()
    assert host.tables_of(ANN) == EMPTY and again.register.get(number).state == "closed"


def test_what_comes_back_is_erased_again(host: RightsHost) -> None:
    """A segment from a backup of the disk, with a name that the store has forgotten."""
    host.accept(event(1, person=ANN), event(2))
    seal(host)
    kept = {path: path.read_bytes() for path in host.segments()}
    host.forward()
    ask(host)
    host.rights.work()
    for path, data in kept.items():
        host.query(f"ALTER TABLE events DELETE WHERE batch = '{path.name}' SETTINGS mutations_sync = 2")
        path.write_bytes(data)
    host.forward()
    until("the scrub", lambda: host.forward() == 0 and host.tables_of(ANN) == EMPTY)
    assert host.stored() == [2]


def test_asking_twice_is_asking_once(host: RightsHost) -> None:
    assert ask(host) == ask(host)
    assert len(host.rights.register.all()) == 1


def test_a_flood_of_requests_is_refused_and_a_withdrawal_never(host: RightsHost) -> None:
    for number in range(_MOST_OPEN):
        host.rights.ask(Right.RECTIFICATION, site="shop", person=ANN, consent_id="c", note=f"note {number}")
    with pytest.raises(RightsError, match="five requests of yours are open"):
        host.rights.ask(Right.RECTIFICATION, site="shop", person=ANN, consent_id="c", note="one more")
    host.rights.withdraw(ANN)
    assert host.stops.ended(ANN)


def test_it_begins_again_where_a_kill_left_it(host: RightsHost) -> None:
    host.accept(event(1, person=ANN))
    host.forward()
    number = ask(host)
    again = host.start_rights()
    assert again.register.get(number).state == "open"
    again.work()
    assert host.tables_of(ANN) == EMPTY and again.register.get(number).state == "closed"


def test_a_kill_between_entry_and_stop_loses_no_request(host: RightsHost) -> None:
    host.accept(event(1, person=ANN))
    host.forward()
    number = host.rights.register.open(
        Right.ERASURE, host.clock(), site="shop", by="the person", source="page", person=ANN, consent_id="c"
    ).number
    again = host.start_rights()
    again.resume()
    again.work()
    assert host.tables_of(ANN) == EMPTY and again.register.get(number).state == "closed"


def test_an_objection_by_mail_counts_until_it_is_taken_back(host: RightsHost) -> None:
    """The browser's cookie does not know of it, so the sealer sees to it."""
    host.rights.object(ANN)
    at = host.stops.of(ANN)[0][0]
    host.accept(event(1, person=ANN, at=at - 1000), event(2, person=ANN, at=at + 90_000))
    host.forward()
    assert host.query("SELECT path FROM events ORDER BY at") == [("/cart",), ("",)]
    host.rights.object(ANN, back=True)
    assert [why for _, why in host.stops.of(ANN)] == [Stop.OBJECTS, Stop.UNOBJECTED]
    host.accept(event(3, person=ANN, at=host.stops.of(ANN)[1][0] + 1))
    host.forward()
    assert host.query("SELECT path FROM events WHERE view_id = 3") == [("/cart",)]
