"""Restriction and legal claims: rows leave `events` for `held`, wherever they are, and come back as they were."""

from __future__ import annotations

from typing import Any

import pytest

from consent_gateway.record.ledger import Stop
from consent_gateway.rights.register import Right, RightsError
from consent_gateway.store import held as module
from consent_gateway.store.held import Holder, move_in, move_out
from consent_gateway.store.layout import SINGLE
from tests.rights.conftest import RightsHost
from tests.store.host import event, until

ANN, BEN = 11, 12
EMPTY: dict[str, list[int]] = {"events": [], "held": []}


def ask(host: RightsHost, right: Right, person: int = ANN) -> int:
    number = host.rights.ask(right, site="shop", person=person, consent_id="c").number
    host.rights.work()
    return number


def everything(host: RightsHost, table: str = "events") -> list[tuple[Any, ...]]:
    """All that the rows of a table hold, but for which segment brought them."""
    names = "* EXCEPT (batch, held_hash, held_copy)" if table == "held" else "* EXCEPT batch"
    return sorted(host.query(f"SELECT {names} APPLY(toString) FROM {table} WHERE person = {ANN}"))


def test_restricted_rows_are_kept_aside_and_come_back_as_they_were(host: RightsHost) -> None:
    twins = [event(5, person=ANN, at=1_790_000_000_000)._replace(id="") for _ in range(2)]
    host.accept(event(1, person=ANN, timings={"ttfb_ms": 12.5}, props={"a": "b"}), event(2, person=BEN), event(3))
    host.accept(*twins)
    host.forward()
    before = everything(host)
    number = ask(host, Right.RESTRICTION)
    assert host.tables_of(ANN) == {"events": [], "held": [1, 5, 5]} and host.stored() == [2, 3]
    request = host.rights.register.get(number)
    assert request.state == "closed" and request.entries[1].proof | {"counted_at": ""} == {
        "counted_at": "", "events": 0, "held": 3, "spool": 0,
    }  # fmt: skip
    assert [one.number for one in host.rights.lift(ANN)] == [number]
    host.forwarder.holder.begin_anew()
    host.forward()
    assert everything(host) == before and host.tables_of(ANN)["held"] == []
    assert host.balance() == {}


def test_queued_events_are_kept_aside_too(host: RightsHost) -> None:
    """In the spool when the person asked, and those that come after; in no report at any moment."""
    host.accept(event(1, person=ANN), event(2))
    host.stop(ANN, Stop.RESTRICTED)
    host.forward()
    assert host.tables_of(ANN) == {"events": [], "held": [1]} and host.stored() == [2]
    host.accept(event(3, person=ANN))
    host.forward()
    assert host.tables_of(ANN) == {"events": [], "held": [1, 3]} and host.balance() == {}


def test_what_was_sealed_before_is_moved_when_it_has_gone_in(host: RightsHost) -> None:
    host.accept(event(1, person=ANN), event(2))
    for path in host.segments("open"):
        path.rename(host.spool.sealed / path.name)
    host.stop(ANN, Stop.RESTRICTED)
    host.forward()
    assert host.tables_of(ANN) == {"events": [], "held": [1]} and host.stored() == [2]


def test_held_rows_have_no_ttl(host: RightsHost) -> None:
    sql = "SELECT create_table_query FROM system.tables WHERE database = 'consent_gateway' AND name = "
    assert "TTL" not in host.query(sql + "'held'")[0][0] and "TTL" in host.query(sql + "'events'")[0][0]


def test_rows_that_come_back_too_old_expire_then(host: RightsHost) -> None:
    """Retention counts from `received_at` again."""
    old = event(1, person=ANN, at=1_600_000_000_000)
    host.accept(event(2, person=ANN))
    host.stop(ANN, Stop.RESTRICTED)
    host.accept(old)
    host.forward()
    host.query("OPTIMIZE TABLE held FINAL")
    assert host.tables_of(ANN)["held"] == [1, 2]
    host.rights.lift(ANN)
    host.forwarder.holder.begin_anew()
    host.forward()
    host.query("OPTIMIZE TABLE events FINAL")
    assert host.tables_of(ANN) == {"events": [2], "held": []}


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_move_that_is_broken_off_is_done_again_and_doubles_nothing(
    host: RightsHost, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between copy and deletion."""
    host.accept(*(event(number, person=ANN) for number in (1, 2)))
    host.forward()
    client = host.connect()
    if way == "out":
        move_in(client, SINGLE, [ANN])
    with monkeypatch.context() as patch:
        patch.setattr(module, "_delete", lambda *_: None)
        (move_in if way == "in" else move_out)(client, SINGLE, [ANN])
    assert host.tables_of(ANN) == {"events": [1, 2], "held": [1, 2]}
    (move_in if way == "in" else move_out)(client, SINGLE, [ANN])
    expected = {"events": [], "held": [1, 2]} if way == "in" else {"events": [1, 2], "held": []}
    assert host.tables_of(ANN) == expected
    client.close()


def test_moves_are_gathered(host: RightsHost) -> None:
    """Each is a heavy mutation: a visitor who restricts and lifts all day costs one a minute."""
    holder = Holder(host.stops, SINGLE, host.scrubber.expect)
    host.stop(ANN, Stop.RESTRICTED)
    client = host.connect()
    assert holder.due()
    holder.move(client)
    host.stop(ANN, Stop.LIFTED)
    assert not holder.due() and holder._work()[0] == {ANN}
    client.close()


def test_a_withdrawal_reaches_restricted_rows_when_they_come_back(host: RightsHost) -> None:
    """Until then they are only stored (Art. 18(2)); then they are treated at once."""
    host.accept(event(1, person=ANN))
    host.forward()
    ask(host, Right.RESTRICTION)
    host.stop(ANN, Stop.WITHDRAWN)
    host.forward()
    assert host.query("SELECT person, city FROM held") == [(ANN, "Gent")]
    host.rights.lift(ANN)
    host.forwarder.holder.begin_anew()
    host.forward()
    treated = [(0, "", "withdrawn")]
    until("the scrub", lambda: host.query("SELECT person, city, consent FROM events") == treated)


def test_a_claim_keeps_the_rows_from_erasure_and_says_so(host: RightsHost) -> None:
    host.accept(event(1, person=ANN))
    host.forward()
    asked = host.rights.ask(Right.ACCESS, site="shop", person=ANN, consent_id="c").number
    host.rights.hold(asked, by="An", words="the court of Ghent has asked for it")
    host.forward()
    assert host.tables_of(ANN) == {"events": [], "held": [1]}
    assert host.rights.claim_on(ANN) == "the court of Ghent has asked for it"
    number = ask(host, Right.ERASURE)
    refused = host.rights.register.get(number)
    assert refused.state == "refused" and "legal claim" in refused.entries[-1].words
    assert host.tables_of(ANN)["held"] == [1] and not host.stops.ended(ANN)

    host.rights.release(asked, by="An")
    host.rights.work()
    assert host.tables_of(ANN) == EMPTY, "what was refused because of the claim is carried out"
    again = host.rights.register.get(number + 1)
    assert again.state == "closed" and again.source == f"request {number}" and host.rights.claim_on(ANN) == ""


def test_a_claim_outlasts_a_restriction(host: RightsHost) -> None:
    host.accept(event(1, person=ANN))
    host.forward()
    number = ask(host, Right.RESTRICTION)
    host.rights.hold(number, by="An", words="a claim")
    host.rights.lift(ANN)
    host.forwarder.holder.begin_anew()
    host.forward()
    assert host.tables_of(ANN) == {"events": [], "held": [1]}


def test_only_a_person_can_be_held(host: RightsHost) -> None:
    number = host.rights.register.open(Right.COMPLAINT, host.clock(), site="shop", by="An", source="mail").number
    with pytest.raises(RightsError, match="names no person"):
        host.rights.hold(number, by="An", words="a claim")
