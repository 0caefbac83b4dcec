"""Beyond its limits the gateway gives way in this order: the dashboard, enrichment, events with 503. Never pages,
choices or withdrawals."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from consent_gateway.record.spool import Spool, read_lines
from tests.faults.servers import choose, cookie_of, event, hanging_store
from tests.faults.sites import SLOW_FILE
from tests.running import Answer, Site

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
BIG = {f"{index:02}": "word " * 50 for index in range(20)}  # about 5 kB a line


def rows(site: Site) -> dict[str, dict[str, Any]]:
    """What is in the spool, by name."""
    spool = Spool(site.data_dir)
    paths = [*spool.segments(spool.open), *spool.segments(spool.sealed)]
    found = [json.loads(line) for path in paths for line in read_lines(path)[0]]
    return {row.get("name", ""): row for row in found}


def post(site: Site, number: int, count: int = 1, **more: Any) -> Answer:
    agent = {"User-Agent": CHROME, "X-Forwarded-For": "8.8.8.8"}
    return site.post("/_cg/events", [event(number + one, **more) for one in range(count)], agent)


def fill(site: Site, number: int, count: int) -> None:
    for one in range(number, number + count, 20):
        assert post(site, one, 20, props=BIG).status == 204


def never_gives_way(site: Site) -> None:
    """Somebody comes, accepts, withdraws and objects; and somebody refuses."""
    assert site.get("/", {"User-Agent": CHROME}).status == 200
    granted = cookie_of(choose(site, "accept_all"))
    assert choose(site, "withdraw", granted).json()["status"] == "withdrawn"
    assert site.get("/_cg/state", cookies={"cg": granted}).json()["status"] == "withdrawn"
    assert choose(site, "object").json()["objection"] and choose(site, "reject_all").json()["status"] == "refused"
    assert site.get("/_cg/privacy").status == 200


def reports(site: Site) -> int:
    return site.get("/_cg/dashboard").status


def test_the_spool_fills_while_the_store_hangs(tmp_path: Path) -> None:
    with hanging_store() as dsn:
        settings: dict[str, Any] = {
            "SITE": "shop",
            "DSN": dsn,
            "SPOOL_LIMIT": "1MiB",
            "TRUSTED_PROXIES": "127.0.0.1/32",
        }
        with Site(tmp_path, "tests.faults.sites:site", arguments=["--no-proxy-headers"], **settings) as site:
            site.wait_for("the back office", site.office_answers)
            assert post(site, 1).status == 204
            assert reports(site) == 401, "nobody is signed in"
            fill(site, 1000, 100)
            site.wait_for("the dashboard to give way", lambda: reports(site) == 503)
            assert site.get("/_cg/stats/pages").headers["Retry-After"] == "30"
            assert post(site, 2).status == 204
            assert rows(site)["e2"]["browser"] == "Chrome" and rows(site)["e2"]["country"] == "US", "as yet"
            never_gives_way(site)
            fill(site, 2000, 60)

            def is_lean() -> bool:
                number = 3000 + len(rows(site))
                assert post(site, number).status == 204
                return "country" not in rows(site)[f"e{number}"]

            site.wait_for("enrichment to give way", is_lean)
            last = max(rows(site).items(), key=lambda pair: pair[1]["received_at"])[1]
            assert {"path", "network", "visitor"} <= last.keys() and "browser" not in last and "bot" not in last
            never_gives_way(site)
            numbers = itertools.count(9000, 10)
            while (answer := post(site, next(numbers), 10, props=BIG)).status == 204:
                pass
            assert answer.status == 503 and answer.headers["Retry-After"], "events, last of all"
            never_gives_way(site)
            assert reports(site) == 503
            ledger = "".join(path.read_text() for path in (site.data_dir / "ledger").glob("20*.jsonl"))
            assert ledger.count('"withdraw"') == 3 and (site.data_dir / "ledger" / "stops").stat().st_size == 3 * 32


def test_the_disk_is_slow(run_site: Callable[..., Site]) -> None:
    site = run_site("tests.faults.sites:slow_disk", SITE="shop", EVENTS_PER_NETWORK="0")
    site.wait_for("the back office", site.office_answers)
    assert reports(site) == 401
    (site.temporary / SLOW_FILE).write_text("2")
    with ThreadPoolExecutor(24) as pool:
        assert post(site, 0).status == 204
        waiting = [pool.submit(post, site, number * 100, 100) for number in range(1, 20)]
        site.wait_for("the dashboard to give way", lambda: reports(site) == 503)
        never_gives_way(site)
        (site.temporary / SLOW_FILE).unlink()
        assert {done.result().status for done in waiting} <= {204, 503}
    site.wait_for("the dashboard to come back", lambda: reports(site) == 401)
