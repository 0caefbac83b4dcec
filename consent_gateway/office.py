"""The back office: the one process of a host that holds the engine, forwards the spool and answers questions.

Started as a child by the first gateway of the host, or by `consent-gateway serve`. It listens on a unix socket only;
what comes below `/public` was asked through a worker, by a browser or a program, and passes the guard; the rest is this
host's user.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from clickhouse_connect.driver.client import Client
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .access.audit import Audit
from .access.guard import Guard
from .access.people import People, Scope
from .access.sessions import Sessions
from .access.throttle import Throttle
from .answers import frame, metrics
from .answers.closing import Closer
from .answers.dashboard import Dashboard
from .answers.desk import Desk
from .answers.privacy import PrivacyTab
from .answers.serve import Stats
from .answers.sign_in import SignIn
from .answers.whole import Whole
from .config.policy_file import load
from .config.settings import Settings
from .jobs import Jobs
from .openapi import document
from .privacy_parts import privacy_parts
from .record import office as line
from .record.books import Tally, is_event
from .record.keys import Keys
from .record.ledger import Stops
from .record.own import OwnBrowser
from .record.spool import Spool
from .rights.routes import RightsRoutes
from .rule.errors import ConfigError, StoreError
from .store import client as store
from .store import schema
from .store.days import Days
from .store.disk import engine_config
from .store.forwarder import Forwarder
from .store.hosts import Hosts, host_name
from .store.layout import Layout
from .store.ledger_keeper import LedgerKeeper
from .store.retention import Retention
from .store.scrub import Scrubber

log = logging.getLogger("consent_gateway.office")

_WATCH_SECONDS = 0.5
_END_SECONDS = 6.0  # from the end of the last worker, or a signal, to ours


class Office:
    """What the one back office owns. The caller holds the `office` lock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        store.prepare(settings.DATA_DIR)
        secrets = tuple(secret.get_secret_value() for secret in settings.SECRET)
        keys = Keys(settings.KEYS_DIR, secrets, settings.person_key)
        people = People(settings.KEYS_DIR)
        sessions = Sessions(keys.secrets, people)
        audit = Audit(settings.DATA_DIR)
        throttle = Throttle(settings.DATA_DIR, keys.secrets[-1])
        own = OwnBrowser(keys.secrets)
        self.sign_in = SignIn(settings.PREFIX, people, sessions, throttle, audit, own)
        self.guard = Guard(people, sessions, audit, self.sign_in.page)
        self.spool = Spool(settings.DATA_DIR)
        self.tally = Tally(settings.DATA_DIR)
        stops = Stops(settings.DATA_DIR)
        self._engine: Path | None = None
        if settings.embedded:
            self._engine = engine_config(Path(urlsplit(settings.dsn).path), keys, encrypt=settings.ENCRYPT_STORE)
        self.layout = Layout(settings.CLUSTER, encrypted=settings.ENCRYPT_STORE)
        self.retention = Retention(load(settings.POLICY), self.layout, lambda: int(time.time() * 1000))
        self.hosts = Hosts(settings.DATA_DIR, stops, self._connect, self.layout) if settings.several_hosts else None
        self.days = Days(settings.zone, self.layout)
        self.scrubber = Scrubber(settings.DATA_DIR, stops, layout=self.layout, days=self.days)
        self.forwarder = Forwarder(
            self.spool,
            stops,
            self.tally,
            self.scrubber,
            self._connect,
            layout=self.layout,
            hear_others=self.hosts.exchange if self.hosts else lambda: None,
            keep_time=self.retention.keep,
            days=self.days,
        )
        tell_others = self.hosts.exchange if self.hosts else lambda: None
        self.rights = RightsRoutes.made(
            settings, keys, stops, self.forwarder, self.scrubber, self.tally, self._connect, tell_others
        )
        policy = load(settings.POLICY)
        self.public_keys = keys.public_keys
        self.keeper = LedgerKeeper(
            settings.DATA_DIR,
            keys.receipt,
            host_name(settings.DATA_DIR),
            self._connect,
            days=policy.ledger_days,
            layout=self.layout,
        )
        self.jobs = Jobs(settings, self.layout, self._connect, self.forwarder.paused, self._stop_all)
        self.closer = Closer(self.days, self._connect)
        minimum = load(settings.POLICY).minimum_group
        self.desk = Desk(settings, self.tally, self._connect, self.days, minimum=minimum, copy_ledger=self.keeper.keep)
        register = self.rights.rights.register
        parts = privacy_parts(settings, self.tally, audit, register, self._look_at_store, self._look_at_ledger)
        self.dashboard = Dashboard(settings, self.desk, self.guard, own, PrivacyTab(parts))

    def _connect(self) -> Client:
        client = store.connect(
            self.settings.dsn,
            on_cluster=self.layout.on_cluster,
            settings=self.layout.client_settings,
            config=self._engine,
        )
        several, zone = self.settings.several_hosts, self.settings.zone.key
        schema.apply(client, self.layout, several_hosts=several, zone=zone)
        self.retention.keep(client)
        return client

    def _stop_all(self, client: Client) -> int:
        """After rows came back: every withdrawal and erasure that any host knows of, in the store."""
        self.days.forget(client)
        if self.hosts is not None:
            self.hosts.exchange(anew=True)
        self.rights.rights.register.load()
        self.forwarder.holder.begin_anew()
        self.forwarder.holder.move(client)
        self.keeper.copy_again()
        return self.scrubber.scrub_all(client)

    def app(self) -> Starlette:
        guard = self.guard.guard
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/forward", self._forward, methods=["POST"]),
                Route("/books", self._books),
                Route("/metrics", self._metrics),
                Route("/store", self._store),
                Route("/ledger", self._ledger),
                Route("/ledger/seals", self._stored_seals),
                *self.jobs.routes,
                *self.rights.routes,
                Route("/public/metrics", guard(self._metrics, scope=Scope.METRICS)),
                Route("/public/health", guard(self._health, scope=Scope.METRICS)),
                Route("/public/sender", guard(_known, scope=Scope.EVENTS)),
                *self.sign_in.routes(self.guard),
                *Stats(self.desk, self.guard.audit).routes(self.guard),
                *Whole(self.desk, self.guard.audit).routes,
                *frame.ROUTES,
                Route("/public/openapi.json", self._openapi),
                *self.dashboard.routes,
            ],
            exception_handlers={ConfigError: _wrong, StoreError: _away},
        )

    async def _health(self, request: Request) -> Response:
        progress = self.forwarder.progress
        return JSONResponse(
            {
                "sites": sorted(self.settings.site_names),
                "pending": self.forwarder.pending(),
                "rows": progress.rows,
                "aside": progress.aside,
                "last_error": progress.last_error,
                "oldest_seconds": round(metrics.oldest_seconds(self.spool), 1),
                "trouble": sorted(progress.trouble | {f"aside/{path.name}" for path in self.spool.aside.iterdir()}),
            }
        )

    async def _forward(self, request: Request) -> Response:
        """What is in the spool goes into the store, now."""
        return JSONResponse({"pending": await run_in_threadpool(self.forwarder.forward_now)})

    async def _books(self, request: Request) -> Response:
        counts = sorted(self.tally.total().items())
        return JSONResponse([[*key, count] for key, count in counts if is_event(*key)])

    async def _store(self, request: Request) -> Response:
        """Is the store there, and are its tables as the register says?"""
        return JSONResponse(await run_in_threadpool(self._look_at_store))

    async def _openapi(self, request: Request) -> Response:
        """What the routes are, for everybody: it says nothing of anyone."""
        return JSONResponse(document(self.settings.PREFIX), headers={"Cache-Control": "public, max-age=3600"})

    async def _ledger(self, request: Request) -> Response:
        """Is the ledger as it was written? Reads all of it."""
        return JSONResponse(await run_in_threadpool(self._look_at_ledger))

    async def _stored_seals(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self.keeper.stored_seals))

    def _look_at_ledger(self) -> dict[str, Any]:
        return self.keeper.state(self.public_keys)

    def _look_at_store(self) -> dict[str, Any]:
        try:
            client = self._connect()
            try:
                found = schema.inspect(client, self.layout)
                return found | {"drift": found["drift"] + self.retention.drift(client), "error": ""}
            finally:
                client.close()
        except (StoreError, *store.Failure) as error:
            return {"error": store.first_line(error)}

    async def _metrics(self, request: Request) -> Response:
        text = await run_in_threadpool(
            metrics.expose, self.tally.total(), self.spool, self.forwarder.progress, self.rights.counts()
        )
        return Response(text, media_type=metrics.CONTENT_TYPE, headers={"Cache-Control": "no-store"})


async def _known(request: Request) -> Response:
    """Whoever gets here may: the guard has looked at the token."""
    return Response(status_code=204)


async def _wrong(request: Request, error: Exception) -> Response:
    return JSONResponse({"title": str(error), "status": 422}, 422, media_type="application/problem+json")


async def _away(request: Request, error: Exception) -> Response:
    return JSONResponse({"title": str(error), "status": 503}, 503, media_type="application/problem+json")


def run(settings: Settings, *, until_workers_end: bool = True) -> bool:
    """Be the back office until the last worker of the host has ended (or a signal comes). False when there is one.

    The lock stays ours until the process has ended, and with it the embedded engine: who gets it finds the store free.
    """
    lock = line.Lock(settings.DATA_DIR, "office")
    if not lock.take():
        return False
    office = Office(settings)
    listener = line.listen(settings.DATA_DIR)
    config = uvicorn.Config(
        office.app(), log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=2
    )
    server = _Server(config)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises what it got again when it has ended: not yet
            signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    forwarding = threading.Thread(target=office.forwarder.run, name="forwarder")
    forwarding.start()
    threading.Thread(target=office.closer.run, name="days", daemon=True).start()
    threading.Thread(target=office.rights.rights.run, name="rights", daemon=True).start()
    threading.Thread(target=office.keeper.run, name="ledger", daemon=True).start()
    if office.hosts is not None:
        threading.Thread(target=office.hosts.run, name="hosts", daemon=True).start()

    workers = line.Lock(settings.DATA_DIR, "workers")

    async def serve() -> None:
        watch = asyncio.create_task(_watch(workers, server)) if until_workers_end else None
        await server.serve(sockets=[listener])
        if watch is not None:
            watch.cancel()
        workers.free()

    try:
        asyncio.run(serve())
    finally:
        office.jobs.cancel()
        office.closer.stop()
        office.rights.rights.stop()
        office.keeper.stop()
        office.forwarder.stop()
        forwarding.join()
        try:
            if office.hosts is not None:
                office.hosts.stop()
                office.hosts.exchange()  # what ended here is told before we are gone
            office.forwarder.forward_all()  # the last events of workers that have ended
            office.keeper.keep()
        except StoreError as error:
            log.warning("ended with events in the spool, they are sent at the next start: %s", error)
    return True


class _Server(uvicorn.Server):
    """From the beginning of its end on there is a deadline: a store that hangs must not hold the host's shutdown."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        end = threading.Timer(_END_SECONDS, _end_at_once)
        end.daemon = True
        end.start()
        await super().shutdown(sockets)


def _end_at_once() -> None:
    """As `kill -9` does, and as safe: what was not confirmed is still in the spool."""
    log.warning("ended before everything was forwarded; what is in the spool is sent at the next start")
    os._exit(0)


async def _watch(workers: line.Lock, server: uvicorn.Server) -> None:
    """End when no worker lives: its lock is free however it died.

    We keep it until nothing is answered any more. Who begins meanwhile waits for it, and then starts the next one,
    instead of counting on us.
    """
    while not workers.take():  # noqa: ASYNC110 the kernel tells nobody when a lock is freed
        await asyncio.sleep(_WATCH_SECONDS)
    server.should_exit = True


def main() -> None:
    """Entry of the child process: settings come as JSON on standard input, so that no secret is in a command line."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:  %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    told = sys.stdin.read()
    if not told:  # whoever started us was killed before it could say how
        return
    values = json.loads(told)
    try:
        run(Settings(**values))
    except (ConfigError, OSError) as error:
        log.error("the back office can't start: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
