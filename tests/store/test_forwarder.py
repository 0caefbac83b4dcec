"""Every accepted event is in the store once, whichever way the store runs, and the books say so."""

from __future__ import annotations

import threading

from consent_gateway.record.spool import Writer
from tests.store.conftest import NewHost
from tests.store.host import event

DAY = 86_400_000
NOW = 1_795_000_000_000  # November 2026


def test_thousands_of_rows_of_several_months_and_sites(new_host: NewHost) -> None:
    host = new_host()
    for month in range(4):
        for part in range(3):
            start = month * 3000 + part * 1000
            numbers = range(start, start + 1000)
            host.accept(
                *(event(n, site="blog" if n % 3 else "shop", at=NOW - month * 31 * DAY + n % 1000) for n in numbers)
            )
    assert host.forward() == 0
    assert host.stored() == list(range(12_000))
    assert host.query(
        "SELECT uniq(_partition_id), max(rows) FROM (SELECT _partition_id, count() AS rows FROM events GROUP BY 1)"
    ) == [(4, 3000)]
    assert host.tally.counts["shop", "confirmed"] == 4000 and host.tally.counts["blog", "confirmed"] == 8000
    assert host.balance() == {}
    assert not host.segments() and not host.segments("open") and not host.segments("aside")


def test_what_a_worker_is_still_writing_is_waited_for_and_never_said_to_be_in_the_store(new_host: NewHost) -> None:
    host = new_host()
    writer = Writer(host.spool, 1 << 30)
    made = event(1)
    writer.append(made.month, [(made.row, made.id)])
    host.books.count(made.site, "accepted")
    assert host.forwarder.forward_now(within=0.2) == 1 and host.stored() == []
    letting_go = threading.Timer(0.3, lambda: writer.let_go(everything=True))
    letting_go.start()
    assert host.forwarder.forward_now() == 0 and host.stored() == [1]
    letting_go.join()
    assert host.balance() == {}
