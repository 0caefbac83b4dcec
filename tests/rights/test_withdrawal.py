"""A withdrawal empties what was kept under `analytics`, in the store within the hour and on the disk soon after."""

from __future__ import annotations

import time
from typing import Any

from consent_gateway.record.ledger import Stop
from consent_gateway.store.scrub import GATHER_SECONDS
from tests.rights.conftest import RightsHost
from tests.rights.test_erasure import ANN, BEN
from tests.running import files_with
from tests.store.host import event, until

CITY, ADDRESS, PATH = "canary-Zwijnaarde-7Q4X", "2026-11.canaryciphertextthatisfound", "/canary-page-that-stays"


def test_what_was_kept_under_analytics_is_gone_and_its_bytes_too(host: RightsHost) -> None:
    client = host.connect()
    client.command("ALTER TABLE events MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1")
    kept: dict[str, Any] = {"city": CITY, "address": ADDRESS, "path": PATH}
    host.accept(*(event(number, person=ANN, **kept) for number in range(1, 6)), event(9, person=BEN))
    host.forward()
    assert files_with(host.data_dir / "store", CITY) and files_with(host.data_dir / "store", ADDRESS), (
        "a scan finds them"
    )
    host.accept(event(6, person=ANN, **kept))  # still in the spool
    host.stop(ANN, Stop.WITHDRAWN, at=int((time.time() - GATHER_SECONDS - 1) * 1000))
    until("the scrub", lambda: host.forward() == 0 and not host.scrubber.due())
    rows = host.query("SELECT city, address, person, consent, path FROM events WHERE view_id < 9")
    assert rows == [("", "", 0, "withdrawn", PATH)] * 6
    assert host.query("SELECT city, person FROM events WHERE view_id = 9") == [("Gent", BEN)], "others keep theirs"
    until("the old parts to go", lambda: not files_with(host.data_dir, CITY, ADDRESS), 60)
    assert files_with(host.data_dir / "store", PATH)
    client.close()


def test_withdrawals_are_gathered_for_less_than_a_day() -> None:
    assert GATHER_SECONDS <= 24 * 3600
