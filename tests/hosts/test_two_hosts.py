"""Two hosts as they run: two sites with back offices and data of their own, one store, one Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clickhouse_double import ClickHouseDouble
from tests.hosts.redis_server import RedisServer
from tests.hosts.test_settings import PERSON_KEY, SECRET
from tests.running import Site

VISITOR = {"X-Forwarded-For": "203.0.113.77", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Firefox/120.0"}


def shared(double: ClickHouseDouble, redis: RedisServer, **more: str) -> dict[str, str]:
    return {
        "DSN": double.dsn, "SALTS": redis.url, "SECRET": SECRET, "PERSON_KEY": PERSON_KEY, "SITE": "shop",
        "TRUSTED_PROXIES": "127.0.0.1/32",
    } | more  # fmt: skip


def choose(site: Site, action: str, cookie: str = "") -> str:
    """Make a choice, and return the cookie's value."""
    cookies = {"cg": cookie} if cookie else None
    state = site.get("/_cg/state", VISITOR, cookies).json()
    body = {"action": action, "notice": state["notice"], "language": "en", "nonce": state["nonce"]}
    answer = site.post("/_cg/choice", body, VISITOR, cookies)
    assert answer.status == 200, answer.text
    return str(answer.headers["Set-Cookie"]).partition("=")[2].partition(";")[0]


def rows_of(double: ClickHouseDouble, tmp_path: Path) -> list[dict[str, str]]:
    return Site(tmp_path / "reader", DSN=double.dsn).tables()["events"]


def test_two_hosts_are_one_gateway(tmp_path: Path, redis: RedisServer, run_site: Callable[..., Site]) -> None:
    """One visitor has one pseudonym on both, and a withdrawal on A empties what B still has in its spool."""
    with ClickHouseDouble(tmp_path / "double") as double:
        a = run_site(**shared(double, redis))
        b = run_site(BACK_OFFICE="external", **shared(double, redis))  # its events wait in the spool
        a.get("/page/without-consent", VISITOR)
        b.get("/page/without-consent", VISITOR)
        cookie = choose(a, "accept_all")
        b.get("/page/with-consent", VISITOR, {"cg": cookie})
        a.get("/page/with-consent", VISITOR, {"cg": cookie})
        a.forwarded()
        before = {row["path"]: row for row in rows_of(double, tmp_path)}
        assert before["/page/with-consent"]["person"] != "0"
        choose(a, "withdraw", cookie)
        a.get("/page/later", VISITOR)
        a.forwarded()  # before it seals, it tells
        assert double.requests("INSERT INTO stops")
        b.start_office()
        b.forwarded()
        rows = rows_of(double, tmp_path)
        of_a = {row["batch"] for row in [*before.values(), *rows] if row["path"] == "/page/later"}
        of_b = [row for row in rows if row["batch"] not in of_a | {row["batch"] for row in before.values()}]
        assert sorted(row["path"] for row in of_b) == ["/page/with-consent", "/page/without-consent"]
        assert {(row["person"], row["address"], row["city"]) for row in of_b} == {("0", "", "")}
        assert {row["consent"] for row in of_b if row["path"] == "/page/with-consent"} == {"withdrawn"}
        assert len({row["visitor"] for row in rows}) == 1 and rows[0]["visitor"] != "0"
        # B's workers know of it too: the old cookie counts no more
        assert b.get("/_cg/state", VISITOR, {"cg": cookie}).json()["purposes"]["analytics"] is False


def test_without_redis_the_site_goes_on_and_nobody_is_a_visitor(
    tmp_path: Path, redis: RedisServer, run_site: Callable[..., Site]
) -> None:
    with ClickHouseDouble(tmp_path / "double") as double:
        redis.kill()
        site = run_site(**shared(double, redis))
        assert site.get("/page/away", VISITOR).status == 200
        redis.start()

        visitors: dict[str, str] = {}

        def is_known() -> bool:
            assert site.get("/page/known", VISITOR).status == 200
            site.forwarded()
            rows = sorted(rows_of(double, tmp_path), key=lambda row: row["at"])
            visitors.update((row["path"], row["visitor"]) for row in rows)
            return visitors["/page/known"] != "0"

        site.wait_for("a visitor again", is_known)
        assert visitors["/page/away"] == "0" and redis.ask("KEYS", "*")
        assert "events have no visitor until it answers" in site.log()


def test_a_redis_that_writes_to_a_disk_keeps_the_site_from_starting(
    tmp_path: Path, redis: RedisServer, run_site: Callable[..., Site]
) -> None:
    redis.ask("CONFIG", "SET", "appendonly", "yes")
    with ClickHouseDouble(tmp_path / "double") as double, pytest.raises(AssertionError, match="writes to a disk"):
        run_site(**shared(double, redis))
