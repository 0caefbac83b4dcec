"""The composition root: puts the layers together, and starts and stops what a worker owns."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .config.notices import Notices
from .config.settings import Settings
from .edge.arrival import Desk
from .edge.choices import Choices
from .edge.endpoints import Endpoints
from .edge.middleware import Edge, serve_site, without_root
from .edge.recorder import Faults, Recorder
from .enrich import agent, path, referrer
from .enrich.geo import Geo
from .record import office
from .record.books import Books
from .record.cookie import Cookies
from .record.keys import Keys
from .record.ledger import Ledger, SharedSync, Stops
from .record.salts import Salts, memory_dir
from .record.spool import Spool, Writer
from .rule.address import Networks
from .rule.columns import RETENTION_DAYS
from .rule.errors import ConfigError, OfficeError
from .rule.privacy import Lookups, Rule
from .rule.purposes import MEASUREMENT

log = logging.getLogger("consent_gateway")

CONSENT_MONTHS = 6
_BEAT_SECONDS = 0.5
_GEO_SECONDS = 30.0
_OFFICE_START_SECONDS = 30.0


class ConsentGateway:
    """The middleware. Mount it outermost: `app = ConsentGateway(app)` or `app.add_middleware(ConsentGateway)`.

    Settings come from the environment unless given. `ConfigError` says at once what is wrong with them.
    """

    def __init__(self, app: ASGIApp, settings: Settings | None = None) -> None:
        self.app = app
        self.settings = settings or Settings()
        self._worker: Worker | None = None
        self._opening = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] in ("http", "websocket"):
            worker = self._worker if self._worker is not None and self._worker.pid == os.getpid() else self.open()
            below = without_root(scope)
            prefix = self.settings.PREFIX
            if scope["type"] == "http" and below.startswith(prefix) and below[len(prefix) : len(prefix) + 1] == "/":
                await worker.endpoints(below[len(prefix) :], scope, receive, send)
            else:
                await serve_site(worker.edge, self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def open(self) -> Worker:
        """Start what this worker owns, once. Called by the lifespan, or by the first request where there is none."""
        with self._opening:
            if self._worker is None or self._worker.pid != os.getpid():
                self._worker = Worker(self.settings)
            return self._worker

    def close(self) -> None:
        with self._opening:
            if self._worker is not None:
                self._worker.close()
                self._worker = None

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.open()
            return message

        async def sending(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                self.close()
            await send(message)

        try:
            await self.app(scope, receiving, sending)
        except ConfigError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})


class Worker:
    """What one process of the site owns: the edge, its files, and the thread that keeps time."""

    def __init__(self, settings: Settings) -> None:
        self.pid = os.getpid()
        self.settings = settings
        keys = make_keys(settings)
        memory = memory_dir(make_data_dir(settings))
        self._lock = office.Lock(settings.DATA_DIR, "workers")
        self._lock.take(shared=True, wait=True)
        self._salts = Salts(memory, settings.zone)
        self._geo = Geo(settings.GEO_DB)
        self._writer = Writer(Spool(settings.DATA_DIR), settings.SPOOL_LIMIT)
        self._books = Books(settings.DATA_DIR)
        self._stops = Stops(settings.DATA_DIR)
        rule = make_rule(settings, keys, self._salts.of, self._geo)
        faults = Faults()
        self.edge = Edge(
            settings=settings,
            desk=Desk(
                Networks(settings.TRUSTED_PROXIES),
                settings.PROXY_HEADER,
                settings.PREFIXES,
                keep_address=rule.keep_address,
            ),
            cookies=Cookies(keys.secrets, months=CONSENT_MONTHS, domain=settings.COOKIE_DOMAIN),
            notices=Notices(),
            recorder=Recorder(rule, self._writer, self._books, memory, faults),
            ledger=Ledger(settings.DATA_DIR),
            stops=self._stops,
            sync=SharedSync(),
            hosts=settings.hosts,
        )
        self._choices = Choices(self.edge, keys, CONSENT_MONTHS)
        self.endpoints = Endpoints(self.edge, self._choices)
        self._end = threading.Event()
        self._beat = threading.Thread(target=self._keep_time, name="consent-gateway", daemon=True)
        self._beat.start()

    def _keep_time(self) -> None:
        """Let old segments go, see that there is a back office, turn the salts at midnight, take up a new GEO_DB."""
        geo_at = time.monotonic() + _GEO_SECONDS
        while True:
            ended = self._end.wait(_BEAT_SECONDS)
            try:
                self._writer.let_go(everything=ended)
                if ended:
                    return
                if self.settings.BACK_OFFICE == "auto":
                    ensure_office(self.settings)
                self._salts.of(0)
                self._choices.record_late()
                if time.monotonic() >= geo_at:
                    self._geo.reload_if_changed()
                    geo_at = time.monotonic() + _GEO_SECONDS
            except Exception as error:
                self.edge.recorder.faults.say(error)

    def close(self) -> None:
        """Give up what we hold; the back office seals and forwards it."""
        self._end.set()
        self._beat.join(5)
        self._books.close()
        self._stops.close()
        self._lock.free()


def make_data_dir(settings: Settings) -> Path:
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"CONSENT_GATEWAY_DATA_DIR is {str(settings.DATA_DIR)!r}: {error.strerror}; allowed is a writable folder"
        ) from None
    return settings.DATA_DIR


def make_keys(settings: Settings) -> Keys:
    return Keys(settings.KEYS_DIR, tuple(secret.get_secret_value() for secret in settings.SECRET))


def make_rule(settings: Settings, keys: Keys, salt: Callable[[int], bytes | None], geo: Geo | None = None) -> Rule:
    """The privacy rule as the settings decide it, for one source of salts."""
    own: dict[str, set[str]] = {name: set() for name in settings.site_names}
    for host, name in settings.hosts.items():
        own[name].add(host.partition(":")[0])
    return Rule(
        look=Lookups(
            place=geo or Geo(settings.GEO_DB),
            agent=agent.describe,
            page=path.read_page,
            origin=referrer.trace,
            text=path.scrub_text,
        ),
        person_key=keys.person,
        salt=salt,
        encrypt=keys.encrypt_address,
        own_hosts={name: frozenset(hosts) for name, hosts in own.items()},
        policy_version=Notices().version,
        prefixes=settings.PREFIXES,
        keep_address=settings.ADDRESS_MODE == "truncate",
        keep_ms=RETENTION_DAYS[MEASUREMENT] * 86_400_000,
    )


def ensure_office(settings: Settings) -> None:
    """Start the back office unless this host has one. Of several workers that see it gone, one starts it."""
    held = office.Lock(settings.DATA_DIR, "office")
    if not held.take():
        return
    held.free()
    starting = office.Lock(settings.DATA_DIR, "starting")
    if not starting.take():
        return
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "consent_gateway.office"], stdin=subprocess.PIPE, start_new_session=True
        )
        assert child.stdin is not None
        child.stdin.write(_as_json(settings))
        child.stdin.close()
        threading.Thread(target=child.wait, daemon=True).start()  # reap it
        until = time.monotonic() + _OFFICE_START_SECONDS
        while time.monotonic() < until and child.poll() is None:
            if not held.take():
                return
            held.free()
            time.sleep(0.02)
    finally:
        starting.free()


def _as_json(settings: Settings) -> bytes:
    values = settings.model_dump(mode="json")
    values["SECRET"] = [secret.get_secret_value() for secret in settings.SECRET]
    values["PREFIXES"] = [settings.PREFIXES.v4, settings.PREFIXES.v6]
    for name in ("DATA_DIR", "KEYS_DIR", "GEO_DB"):
        path_value = getattr(settings, name)
        values[name] = str(path_value.absolute()) if path_value else None
    return json.dumps(values).encode()


@contextmanager
def running_office(settings: Settings) -> Iterator[None]:
    """See that a back office runs and answers while the block does; it ends with the last that needs it."""
    make_data_dir(settings)
    lock = office.Lock(settings.DATA_DIR, "workers")
    lock.take(shared=True, wait=True)
    try:
        until = time.monotonic() + _OFFICE_START_SECONDS
        while True:
            if settings.BACK_OFFICE == "auto":
                ensure_office(settings)
            try:
                office.call(settings.DATA_DIR, "GET", "/health")
                break
            except (OfficeError, FileNotFoundError):
                if time.monotonic() > until:
                    raise OfficeError("the back office did not start; its messages stand above") from None
                time.sleep(0.05)
        yield
    finally:
        lock.free()
