"""The salts of several hosts: one a day for all of them, in a Redis that writes nothing to a disk.

A visitor that two hosts see in one day is one visitor, and the salt still ends with the day: its key in Redis expires
then, and no process gives it out any more. No request waits for the network: a thread fetches the salt ahead, and an
event that comes while there is none has no visitor. While a process has the day's salt it needs Redis no longer, and
should Redis lose it (it is made to), it is put back.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ..config.settings import ENV_PREFIX, Settings
from ..rule.errors import ConfigError, ConsentGatewayError
from .salts import SALT_BYTES, Salts, bounds

log = logging.getLogger("consent_gateway")

AHEAD_SECONDS = 300  # so long before midnight the next day's salt is made
_LOOK_SECONDS = 15.0  # how soon a Redis that lost the salt gets it back
_RETRY_SECONDS = 1.0
_SAY_SECONDS = 60.0
_NETWORK_SECONDS = 2.0
_AFTER_MIDNIGHT_SECONDS = 60  # a key's life past its day: the hosts' clocks differ a little

_Day = tuple[int, int, bytes]


class SaltsAway(ConsentGatewayError):
    """Redis does not answer, or not as it must."""


class _Refused(SaltsAway):
    """It answers, but not to this."""


class SharedSalts:
    """Today's salt, and shortly before midnight tomorrow's, as all hosts have them.

    `now` is the clock, in seconds. Looks once when it is made: `ConfigError` when that Redis may write to a disk; when
    it is away the site goes on without visitors.
    """

    def __init__(self, url: str, zone: ZoneInfo, *, now: Callable[[], float] = time.time) -> None:
        self._url, self._zone, self._now = url, zone, now
        self._days: tuple[_Day, ...] = ()  # replaced whole: a request never sees half a midnight
        self._next_look = self._next_word = 0.0
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None
        self._look()

    def of(self, at: int) -> bytes | None:
        """The salt for what happened `at` (milliseconds), which has to be today. From memory, never from Redis."""
        now = int(self._now() * 1000)
        for start, end, salt in self._days:
            if start <= now < end:
                return salt if start <= at < end else None
        return None

    def keep(self) -> None:
        """Have the salts looked after, in a thread of its own when it is time: the caller does not wait."""
        now = self._now()
        self._days = tuple(day for day in self._days if now * 1000 < day[1])
        if time.monotonic() >= self._next_look and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._look_again, name="consent-gateway-salts", daemon=True)
            self._thread.start()

    def _look_again(self) -> None:
        try:
            self._look()
        except ConfigError as error:  # it was made persistent since
            self._days = ()
            self._say(str(error))

    def _look(self) -> None:
        """Agree with the others on every salt that is needed now. Those that we have stay when Redis is away."""
        with self._looking:
            self._next_look = time.monotonic() + _RETRY_SECONDS
            try:
                client = _connect(self._url)
                try:
                    refuse_persistence(client)
                    self._days = tuple(self._agree(client, day) for day in self._wanted())
                finally:
                    client.close()
            except (SaltsAway, OSError) as error:
                without = "" if self.of(int(self._now() * 1000)) else ": events have no visitor until it answers"
                self._say(f"the Redis of the salts is away ({error}){without}")
                return
            self._next_look = time.monotonic() + _LOOK_SECONDS
            self._next_word = 0.0

    def _wanted(self) -> list[tuple[str, int, int]]:
        """The days whose salts are needed now, as (day, first millisecond, end)."""
        now = self._now()
        moments = [now, now + AHEAD_SECONDS]
        days = sorted({datetime.fromtimestamp(moment, self._zone).date() for moment in moments})
        return [(str(day), *bounds(day, self._zone)) for day in days]

    def _agree(self, client: Any, wanted: tuple[str, int, int]) -> _Day:
        """`SET NX`: the first to come decides. Who has the day's salt already offers it again, in case it was lost."""
        day, start, end = wanted
        key = f"consent-gateway:salt:{self._zone.key}:{day}"
        own = next((salt for first, _, salt in self._days if first == start), b"")
        seconds = max(1, int(end / 1000 - self._now())) + _AFTER_MIDNIGHT_SECONDS
        _ask(lambda: client.set(key, own or os.urandom(SALT_BYTES), nx=True, ex=seconds))
        salt = _ask(lambda: client.get(key))
        if not isinstance(salt, bytes) or len(salt) != SALT_BYTES:
            raise SaltsAway("what it keeps as the day's salt is none")
        return start, end, salt

    def _say(self, text: str) -> None:
        if time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + _SAY_SECONDS
            log.error("%s", text)


def make_salts(settings: Settings, memory: Path) -> Salts | SharedSalts:
    """Where `SALTS` says that they are."""
    if settings.several_hosts:
        return SharedSalts(settings.SALTS, settings.zone)
    return Salts(memory, settings.zone)


def refuse_persistence(client: Any) -> None:
    """`ConfigError` unless this Redis shows that it keeps nothing on a disk: neither snapshots, nor a log, nor through
    a replica, whose first copy goes over its disk and whose own settings can't be seen from here."""
    allowed = "allowed is one started with: redis-server --save '' --appendonly no"
    try:
        found = _ask(lambda: client.config_get("save", "appendonly"))
        copies = _ask(lambda: client.info("replication"))
    except _Refused:
        raise ConfigError(
            f"{ENV_PREFIX}SALTS names a Redis that does not let us see whether it writes to a disk; allow its user "
            "that: ACL SETUSER <user> +config|get +info"
        ) from None
    if found.get("save", "?") or found.get("appendonly") != "no":
        raise ConfigError(f"{ENV_PREFIX}SALTS names a Redis that writes to a disk; {allowed}")
    if copies.get("role") != "master" or copies.get("connected_slaves"):
        raise ConfigError(f"{ENV_PREFIX}SALTS names a Redis with replicas, which copy over a disk; {allowed}")


def _connect(url: str) -> Any:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ModuleNotFoundError:
        raise ConfigError(
            f"{ENV_PREFIX}SALTS names a Redis, whose client is not installed: pip install 'consent-gateway[redis]'"
        ) from None
    return Redis.from_url(
        url,
        socket_connect_timeout=_NETWORK_SECONDS,
        socket_timeout=_NETWORK_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _ask(question: Callable[[], Any]) -> Any:
    """Redis's answer; being away, or refusing us, as our own error without what it was asked."""
    from redis.exceptions import AuthenticationError, RedisError, ResponseError

    try:
        return question()
    except AuthenticationError:
        raise SaltsAway("it refuses our user or password") from None
    except ResponseError as error:
        raise _Refused(f"it answers {str(error)[:80]!r}") from None
    except RedisError as error:
        raise SaltsAway(type(error).__name__) from None
