"""The composition root: puts the layers together, and starts and stops what a worker owns."""

from __future__ import annotations

import asyncio
import atexit
import gc
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .config.notices import Notices
from .config.policy import InForce, Policy
from .config.policy_file import load
from .config.settings import Settings
from .edge.arrival import Desk
from .edge.choices import Choices
from .edge.endpoints import WELL_KNOWN, Authorize, Endpoints
from .edge.firewall import Firewall
from .edge.limits import Limits
from .edge.middleware import Edge, SeenConsent, serve_site, without_root
from .edge.receipts import Receipts
from .edge.recorder import Faults, Recorder
from .edge.visitor import Visitor
from .edge.wire import problem
from .enrich import agent, path, referrer
from .enrich.geo import Geo
from .record import office, process
from .record.books import Books
from .record.cookie import Cookies
from .record.keys import Keys
from .record.ledger import Ledger, SharedSync, Stops
from .record.own import OwnBrowser
from .record.salts import memory_dir
from .record.shared_salts import make_salts
from .record.spool import Spool, Writer
from .rule.address import Networks
from .rule.consent import UNKNOWN
from .rule.errors import ConfigError, OfficeError
from .rule.privacy import Lookups, Rule
from .rule.purposes import MEASUREMENT

log = logging.getLogger("consent_gateway")

_ENDS = {"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"}
_BEAT_SECONDS = 0.25
_GEO_SECONDS = 30.0
_KEYS_SECONDS = 10.0
_OFFICE_START_SECONDS = 30.0
_LONGEST_PAUSE = 30.0  # between two starts of a back office that fails at once
_RETRY_SECONDS = 5.0
_WRITE_SECONDS = 1.5  # of the shutdown: for what is queued, and for choices
_BEAT_END_SECONDS = 1.0


class ConsentGateway:
    """The middleware. Mount it outermost: `app = ConsentGateway(app)` or `app.add_middleware(ConsentGateway)`.

    Settings come from the environment unless given. Wrong ones are refused at start, in one sentence: as the lifespan's
    failed startup, because a framework makes its middleware where an exception would be taken for "no lifespan".

    With `authorize` the site itself decides who may read the answers: an async function of the ASGI scope that returns
    `"owner"`, `"viewer"`, either with a name for the audit log (`"owner:ann"`), or None.
    """

    def __init__(self, app: ASGIApp, settings: Settings | None = None, *, authorize: Authorize | None = None) -> None:
        self.app = app
        self._authorize = authorize
        self._wrong: ConfigError | None = None
        try:
            self.settings = settings or Settings()
        except ConfigError as error:
            self._wrong, self.settings = error, Settings.model_construct()
        self._worker: Worker | None = None
        self._retry_at = 0.0
        self._opening = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] in ("http", "websocket"):
            worker = self._worker
            if worker is None or worker.pid != process.pid:
                worker = self._open_late()
            below = without_root(scope)
            prefix = self.settings.PREFIX
            ours = scope["type"] == "http" and below.startswith(prefix) and below[len(prefix) : len(prefix) + 1] == "/"
            if worker is None:
                await self._do_without(ours, scope, receive, send)
            elif ours:
                await worker.endpoints(below[len(prefix) :], scope, receive, send)
            elif below in WELL_KNOWN and scope["type"] == "http":
                await worker.endpoints(below, scope, receive, send)
            else:
                await serve_site(worker.edge, self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def open(self) -> Worker:
        """Start what this worker owns, once. Called by the lifespan, or by the first request where there is none."""
        if self._wrong is not None:
            raise self._wrong
        with self._opening:
            if self._worker is None or self._worker.pid != process.pid or self._worker.has_ended:
                self._worker = Worker(self.settings, self._authorize)
                atexit.register(self._worker.close)
            return self._worker

    def close(self) -> None:
        """End it. What comes after that is still served, but not recorded."""
        with self._opening:
            if self._worker is not None:
                self._worker.close()
                atexit.unregister(self._worker.close)

    def _open_late(self) -> Worker | None:
        """As `open`, but what is wrong is logged, and tried again a little later: the site goes on."""
        if time.monotonic() < self._retry_at:
            return None
        try:
            return self.open()
        except Exception as error:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            log.error("the gateway can't start, the site goes on without it: %s", error)
            return None

    async def _do_without(self, ours: bool, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the site while there is no gateway: nothing is measured, and nobody's address is seen."""
        desk = Desk(Networks(()), self.settings.PROXY_HEADER, self.settings.PREFIXES, keep_address=False)
        desk.scrub_blind(scope)
        scope["consent"] = SeenConsent(UNKNOWN)
        refusal = problem(503, "The gateway can't start; its log says why.", Retry_After="5")
        await (refusal if ours else self.app)(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages = [await receive()]
        try:
            self.open()
        except ConfigError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        except Exception as error:
            log.error("the gateway can't start now, the site goes on without it: %s", error)

        async def receiving() -> Message:
            return messages.pop() if messages else await receive()

        async def sending(message: Message) -> None:
            if message["type"] in _ENDS:
                await asyncio.to_thread(self.close)
            await send(message)

        await self.app(scope, receiving, sending)


class Worker:
    """What one process of the site owns: the edge, its files, and the thread that keeps time."""

    def __init__(self, settings: Settings, authorize: Authorize | None = None) -> None:
        self.pid = process.pid
        self.settings = settings
        policy = load(settings.POLICY)
        keys = make_keys(settings)
        memory = memory_dir(make_data_dir(settings))
        self.has_ended = False
        self._lock = office.Lock(settings.DATA_DIR, "workers")
        self._is_known = False
        self._office: subprocess.Popen[bytes] | None = None
        self._office_pause = self._office_at = 0.0
        self._salts = make_salts(settings, memory)
        self._geo = Geo(settings.GEO_DB)
        self._writer = Writer(Spool(settings.DATA_DIR), settings.SPOOL_LIMIT)
        self._books = Books(settings.DATA_DIR)
        self._stops = Stops(settings.DATA_DIR)
        agent.describe("Mozilla/5.0")  # loads its registers, 0.3 s, now and not at the first request
        rule = make_rule(settings, keys, self._salts.of, policy, self._geo)
        faults = Faults()
        self.edge = Edge(
            settings=settings,
            desk=Desk(
                Networks(settings.TRUSTED_PROXIES),
                settings.PROXY_HEADER,
                settings.PREFIXES,
                keep_address=rule.keep_address,
            ),
            policy=policy,
            terms=InForce(policy),
            cookies=make_cookies(settings, keys, policy),
            notices=Notices(policy, settings.DATA_DIR, now_ms),
            firewall=Firewall(policy, self._books, settings.COOKIE_FIREWALL, now_ms),
            recorder=Recorder(rule, self._writer, self._books, memory, faults, sync=settings.EVENT_SYNC),
            ledger=Ledger(settings.DATA_DIR),
            stops=self._stops,
            sync=SharedSync(),
            hosts=settings.hosts,
            own=OwnBrowser(keys.secrets),
            limits=Limits(settings),
        )
        self._receipts = Receipts(keys, self.edge.ledger, self.edge.notices, settings.PREFIX)
        self._choices = Choices(self.edge, keys, self._receipts.make)
        visitor = Visitor(self.edge, self._choices, keys)
        self.endpoints = Endpoints(self.edge, self._choices, self._receipts, visitor, authorize)
        self._secrets, self._keys_at = keys.secrets, time.monotonic() + _KEYS_SECONDS
        with suppress(OSError):
            self._be_known()
        self._geo_at = time.monotonic() + _GEO_SECONDS
        self._end = threading.Event()
        self._beat = threading.Thread(target=self._keep_time, name="consent-gateway", daemon=True)
        self._beat.start()
        gc.collect()
        gc.freeze()  # registers, models and modules stay; to look through them time and again took 10 % of an event

    def _keep_time(self) -> None:
        """What is done now and then, off the event loop. One that fails, as on a full disk, does not keep the others
        from being done, and is done again."""
        duties: list[Callable[[], object]] = [
            self._writer.let_go, self._be_known, self._keep_office, self._salts.keep, self._books.keep,
            self._writer.measure, self._choices.record_late, self._take_up_places,
            self.edge.notices.keep, self._take_up_keys,
        ]  # fmt: skip
        while not self._end.wait(_BEAT_SECONDS):
            for duty in duties:
                try:
                    duty()
                except Exception as error:
                    self.edge.recorder.faults.say(error)

    def _be_known(self) -> None:
        """Hold the lock by which the back office sees that a worker lives."""
        self._is_known = self._is_known or self._lock.take(shared=True, wait=True)

    def _keep_office(self) -> None:
        """See that there is a back office; one that fails at its start is tried again with growing pauses."""
        if self.settings.BACK_OFFICE != "auto" or time.monotonic() < self._office_at:
            return
        if self._office is not None and self._office.returncode:
            failed = self._office.returncode > 0  # and was not killed
            self._office = None
            self._office_pause = min(max(1.0, self._office_pause * 2), _LONGEST_PAUSE) if failed else 0.0
            self._office_at = time.monotonic() + self._office_pause
            if failed:
                return
        self._office = ensure_office(self.settings) or self._office

    def _take_up_places(self) -> None:
        if time.monotonic() >= self._geo_at:
            if self._geo.reload_if_changed():
                self.edge.recorder.rule.forget()
            self._geo_at = time.monotonic() + _GEO_SECONDS

    def _take_up_keys(self) -> None:
        """Keys that were rotated: what the old ones signed still counts."""
        if time.monotonic() < self._keys_at:
            return
        self._keys_at = time.monotonic() + _KEYS_SECONDS
        keys = make_keys(self.settings)
        if keys.secrets != self._secrets:
            self._secrets = keys.secrets
            self.edge.cookies = make_cookies(self.settings, keys, self.edge.policy)
            self.edge.own = OwnBrowser(keys.secrets)
            self._choices.take_up(keys)
        self._receipts.take_up(keys)

    def close(self) -> None:
        """In order: take no more events, write what is queued, let go of it; the back office seals and forwards.

        Takes a few seconds at most. What a hanging disk keeps from being done the kernel does when the process ends.
        """
        if self.has_ended or self.pid != process.pid:
            return
        self.has_ended = True
        written = self.edge.recorder.close(_WRITE_SECONDS)
        self._choices.record_late(_WRITE_SECONDS)
        synced = self.edge.sync.close(_WRITE_SECONDS)
        self._end.set()
        self._beat.join(_BEAT_END_SECONDS)
        if written:
            self._writer.let_go(everything=True)
        if synced:
            self._stops.close()
            self.edge.ledger.close()
        self._books.close()
        self._lock.free()


def now_ms() -> int:
    """The wall clock, milliseconds since 1970, UTC."""
    return int(time.time() * 1000)


def make_data_dir(settings: Settings) -> Path:
    """`DATA_DIR`, for this user only, made when it is not there."""
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _wrong_data_dir(settings, str(error.strerror)) from None
    may_write = os.access(settings.DATA_DIR, os.W_OK | os.X_OK)
    if not may_write and not os.statvfs(settings.DATA_DIR).f_flag & os.ST_RDONLY:  # that may be a passing fault
        raise _wrong_data_dir(settings, "Permission denied")
    return settings.DATA_DIR


def _wrong_data_dir(settings: Settings, why: str) -> ConfigError:
    return ConfigError(f"CONSENT_GATEWAY_DATA_DIR is {str(settings.DATA_DIR)!r}: {why}; allowed is a writable folder")


def make_cookies(settings: Settings, keys: Keys, policy: Policy) -> Cookies:
    """What signs and reads the consent cookie."""
    return Cookies(keys.secrets, months=policy.consent_months, domain=settings.COOKIE_DOMAIN)


def make_keys(settings: Settings) -> Keys:
    """The keys in `KEYS_DIR`, with the secrets and the person key that are set."""
    secrets = tuple(secret.get_secret_value() for secret in settings.SECRET)
    return Keys(settings.KEYS_DIR, secrets, settings.person_key)


def make_rule(
    settings: Settings, keys: Keys, salt: Callable[[int], bytes | None], policy: Policy, geo: Geo | None = None
) -> Rule:
    """The privacy rule as settings and policy decide it, for one source of salts."""
    in_force = InForce(policy)
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
        encrypt=lru_cache(1)(keys.encrypt_address),  # the events of one request are of one address
        own_hosts={name: frozenset(hosts) for name, hosts in own.items()},
        policy_version=lambda at: in_force(at).version,
        prefixes=settings.PREFIXES,
        keep_address=settings.ADDRESS_MODE == "truncate",
        script_needs_consent=policy.script_needs_consent,
        keep_ms=policy.retention_days(MEASUREMENT) * 86_400_000,
    )


def ensure_office(settings: Settings) -> subprocess.Popen[bytes] | None:
    """Start the back office unless this host has one. Of several workers that see it gone, one starts it."""
    held = office.Lock(settings.DATA_DIR, "office")
    if not held.take():
        return None
    held.free()
    starting = office.Lock(settings.DATA_DIR, "starting")
    if not starting.take():
        return None
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "consent_gateway.office"],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl+C in a terminal is for the workers: it ends after the last of them
            pass_fds=[starting.fileno()],  # until it is dead, nobody starts another
        )
    finally:
        starting.free()
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin:
        child.stdin.write(_as_json(settings))
    threading.Thread(target=child.wait, daemon=True).start()  # reap it
    return child


def _as_json(settings: Settings) -> bytes:
    values = settings.model_dump(mode="json")
    values["SECRET"] = [secret.get_secret_value() for secret in settings.SECRET]
    for name in ("PERSON_KEY", "METRICS_TOKEN"):
        values[name] = getattr(settings, name).get_secret_value()
    values["PREFIXES"] = [settings.PREFIXES.v4, settings.PREFIXES.v6]
    for name in ("DATA_DIR", "KEYS_DIR", "GEO_DB", "POLICY"):
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
        child: subprocess.Popen[bytes] | None = None
        while True:
            if settings.BACK_OFFICE == "auto":
                child = ensure_office(settings) or child
            try:
                office.call(settings.DATA_DIR, "GET", "/health")
                break
            except (OfficeError, FileNotFoundError):
                if time.monotonic() > until or (child is not None and child.returncode):
                    raise OfficeError("the back office did not start; its messages stand above") from None
                time.sleep(0.05)
        yield
    finally:
        lock.free()
