"""What one process of the site owns, put together from the layers by the settings, and kept in time."""

from __future__ import annotations

import gc
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from .config.notices import Notices
from .config.policy import InForce, Policy
from .config.policy_file import load
from .config.settings import Settings
from .edge.arrival import Desk
from .edge.choices import Choices
from .edge.endpoints import Authorize, Endpoints
from .edge.firewall import Firewall
from .edge.limits import Limits
from .edge.middleware import Edge
from .edge.receipts import Receipts
from .edge.recorder import Faults, Recorder
from .edge.visitor import Visitor
from .enrich import agent, path, referrer
from .enrich.geo import Geo
from .office_process import ensure_office, make_data_dir
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
from .rule.privacy import Lookups, Rule
from .rule.purposes import MEASUREMENT

_BEAT_SECONDS = 0.25
_GEO_SECONDS = 30.0
_KEYS_SECONDS = 10.0
_LONGEST_PAUSE = 30.0  # between two starts of a back office that fails at once
_WRITE_SECONDS = 1.5  # of the shutdown: for what is queued, and for choices
_BEAT_END_SECONDS = 1.0


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
            self._writer.measure, self.edge.recorder.weigh, self._choices.record_late, self._take_up_places,
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
            self._geo.reload_if_changed()
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
        policy_version=InForce(policy).version,
        prefixes=settings.PREFIXES,
        keep_address=settings.ADDRESS_MODE == "truncate",
        script_needs_consent=policy.script_needs_consent,
        keep_ms=policy.retention_days(MEASUREMENT) * 86_400_000,
    )
