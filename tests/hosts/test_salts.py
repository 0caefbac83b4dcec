"""The shared salts against a real redis-server."""

from __future__ import annotations

import logging
import socket
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from consent_gateway.record import shared_salts
from consent_gateway.record.shared_salts import _NETWORK_SECONDS, AHEAD_SECONDS, SharedSalts
from consent_gateway.rule.errors import ConfigError
from tests.hosts.redis_server import RedisServer
from tests.running import wait_for

ZONE = ZoneInfo("Europe/Brussels")
DAY = 86_400


def ms() -> int:
    return int(time.time() * 1000)


class Clock:
    """Noon in Brussels, until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=ZONE).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_salts, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(shared_salts, "_RETRY_SECONDS", 0.05)


def test_all_hosts_have_the_day_s_salt_and_only_for_the_day(redis: RedisServer) -> None:
    clock = Clock()
    one, two = (SharedSalts(redis.url, ZONE, now=clock) for _ in range(2))
    at = int(clock.now * 1000)
    salt = one.of(at)
    assert salt is not None and len(salt) == 32 and two.of(at) == salt
    assert one.of(at - DAY * 1000) is None and one.of(at + DAY * 1000) is None
    clock.now += DAY
    assert one.of(at) is None and one.of(at + DAY * 1000) is None  # tomorrow has one of its own, or none


def test_a_salt_is_gone_from_redis_soon_after_its_day(redis: RedisServer) -> None:
    clock = Clock()
    SharedSalts(redis.url, ZONE, now=clock)
    (key,) = redis.ask("KEYS", "*")
    assert key == b"consent-gateway:salt:Europe/Brussels:2026-11-22"
    assert DAY / 2 < redis.ask("TTL", key) <= DAY / 2 + 60


def test_tomorrow_s_salt_is_there_before_midnight(redis: RedisServer) -> None:
    clock = Clock()
    salts = SharedSalts(redis.url, ZONE, now=clock)
    today = salts.of(int(clock.now * 1000))
    midnight = datetime(2026, 11, 23, tzinfo=ZONE).timestamp()
    clock.now = midnight - AHEAD_SECONDS - 60
    assert len(redis.ask("KEYS", "*")) == 1
    clock.now = midnight - 60
    wait_for("tomorrow's salt", lambda: salts.keep() or len(salts._days) == 2, 30)  # type: ignore[func-returns-value]
    assert len(redis.ask("KEYS", "*")) == 2
    assert salts.of(int(clock.now * 1000)) == today
    assert salts.of(int(midnight * 1000)) is None  # nothing has happened tomorrow yet
    redis.kill()
    clock.now = midnight
    tomorrow = salts.of(int(midnight * 1000))
    assert tomorrow is not None and tomorrow != today
    assert salts.of(int(midnight * 1000) - 1) is None
    salts.keep()
    assert today not in [salt for _, _, salt in salts._days]


def test_away_means_no_visitor_and_back_means_visitors_again(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis.kill()
    salts = SharedSalts(redis.url, ZONE)
    assert salts.of(ms()) is None
    for _ in range(5):
        salts.keep()
        time.sleep(0.06)
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1 and "no visitor until it answers" in told[0].getMessage()  # once a minute
    redis.start()
    wait_for("a salt", lambda: salts.keep() or salts.of(ms()), 30)  # type: ignore[func-returns-value]


def test_a_redis_that_lost_the_salt_gets_it_back(redis: RedisServer) -> None:
    salts = SharedSalts(redis.url, ZONE)
    before = salts.of(ms())
    redis.kill()
    salts.keep()
    assert salts.of(ms()) == before is not None  # it is in memory: the day goes on
    redis.start()
    assert redis.ask("KEYS", "*") == []
    wait_for("the salt in redis", lambda: salts.keep() or redis.ask("KEYS", "*"), 30)  # type: ignore[func-returns-value]
    assert SharedSalts(redis.url, ZONE).of(ms()) == before


def test_a_redis_that_hangs_holds_up_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        salts = SharedSalts(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0", ZONE)
        time.sleep(0.06)
        began = time.monotonic()
        salts.keep()
        assert salts.of(ms()) is None
        assert time.monotonic() - began < _NETWORK_SECONDS, "they ask in a thread of their own"


@pytest.mark.parametrize("setting", [("save", "900 1"), ("appendonly", "yes")])
def test_a_redis_that_writes_to_a_disk_is_refused(redis: RedisServer, setting: tuple[str, str]) -> None:
    salts = SharedSalts(redis.url, ZONE)
    redis.ask("CONFIG", "SET", *setting)
    with pytest.raises(ConfigError, match="writes to a disk; allowed is one started with"):
        SharedSalts(redis.url, ZONE)
    # one that was made so later gives no salts any more, and the site goes on
    wait_for("no salt", lambda: salts.keep() or salts.of(ms()) is None, 30)  # type: ignore[func-returns-value]


def test_a_redis_with_a_replica_is_refused(redis: RedisServer, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", str(redis.port)) as replica:
        wait_for("the replica", lambda: b"connected_slaves:1" in redis.ask_raw("INFO", "replication"), 10)
        for server in (redis, replica):
            with pytest.raises(ConfigError, match="replicas"):
                SharedSalts(server.url, ZONE)


def test_a_redis_that_does_not_show_it_is_refused(redis: RedisServer) -> None:
    redis.ask("ACL", "SETUSER", "site", "on", ">word", "~*", "+set", "+get")
    url = redis.url.replace("://", "://site:word@")
    with pytest.raises(ConfigError, match=r"ACL SETUSER <user> \+config\|get \+info"):
        SharedSalts(url, ZONE)
    redis.ask("ACL", "SETUSER", "site", "+config|get", "+info")
    assert SharedSalts(url, ZONE).of(ms())


def test_what_is_no_salt_is_not_used(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    SharedSalts(redis.url, ZONE)
    (key,) = redis.ask("KEYS", "*")
    redis.ask("SET", key, "guessed")
    assert SharedSalts(redis.url, ZONE).of(ms()) is None
    assert "guessed" not in caplog.text
