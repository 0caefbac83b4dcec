"""A withdrawal counts at once on every worker, whichever took it."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.servers import choose, cookie_of, only
from tests.running import Site


def test_a_withdrawn_id_is_refused_by_every_worker(run_site: Callable[..., Site]) -> None:
    site = run_site(workers=4, SITE="shop")
    granted = cookie_of(choose(site, "accept_all"))
    pids = site.worker_pids

    def seen() -> dict[int, str]:
        found = {}
        for pid in pids:
            with only(pid, pids):
                answer = site.get("/echo", cookies={"cg": granted}).json()
                found[answer["pid"]] = answer["status"]
        return found

    assert seen() == dict.fromkeys(pids, "given")
    assert choose(site, "withdraw", granted).status == 200
    assert seen() == dict.fromkeys(pids, "withdrawn")
