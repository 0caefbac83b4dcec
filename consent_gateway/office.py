"""The back office: the one process of a host that holds the engine, forwards the spool and answers questions.

Started as a child by the first gateway of the host, or by `consent-gateway serve`. It listens on a unix socket only;
what comes below `/public` was asked by a browser through a worker and needs the owner's session, the rest is this
host's user.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime
from html import escape
from typing import Any

import uvicorn
from clickhouse_connect.driver.client import Client
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from .access.sessions import Sessions
from .answers.dashboard import render
from .answers.reports import REPORTS, Question, ask, to_csv
from .config.settings import Settings
from .record import office as line
from .record.books import Tally
from .record.keys import Keys
from .record.ledger import Stops
from .record.spool import Spool
from .rule.errors import ConfigError, StoreError
from .store import client as store
from .store import schema
from .store.forwarder import Forwarder
from .store.scrub import Scrubber

log = logging.getLogger("consent_gateway.office")

Answer = Callable[[Request], Awaitable[Response]]

_WATCH_SECONDS = 0.5
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


class Office:
    """What the one back office owns. The caller holds the `office` lock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        store.prepare(settings.DATA_DIR)
        keys = Keys(settings.KEYS_DIR, tuple(secret.get_secret_value() for secret in settings.SECRET))
        self.sessions = Sessions(keys.secrets)
        self.spool = Spool(settings.DATA_DIR)
        self.tally = Tally(settings.DATA_DIR)
        stops = Stops(settings.DATA_DIR)
        scrubber = Scrubber(settings.DATA_DIR, stops)
        self.forwarder = Forwarder(self.spool, stops, self.tally, scrubber, self._connect)
        self._reader: Client | None = None
        self._reading = threading.Lock()

    def _connect(self) -> Client:
        client = store.connect(self.settings.dsn)
        schema.apply(client)
        return client

    def ask(self, name: str, question: Question) -> list[dict[str, Any]]:
        """The rows of a report. `StoreError` when the store is away."""
        with self._reading:
            try:
                if self._reader is None:
                    self._reader = self._connect()
                return ask(self._reader, REPORTS[name], question)
            except store.Failure as error:
                self._reader = None
                raise StoreError(f"the store did not answer: {store.first_line(error)}") from error

    def question(self, values: dict[str, str]) -> Question:
        today = datetime.now(self.settings.zone).date()
        return Question.parse(values, sites=self.settings.site_names, zone=self.settings.zone, today=today)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/forward", self._forward, methods=["POST"]),
                Route("/books", self._books),
                Route("/sign-in-link", self._sign_in_link, methods=["POST"]),
                Route("/stats/{report}", self._stats),
                Route("/public/stats/{report}", self._for_owner(self._stats)),
                Route("/public/dashboard", self._for_owner(self._dashboard)),
                Route("/public/sign-in", self._sign_in),
            ],
            exception_handlers={ConfigError: _wrong, StoreError: _away},
        )

    async def _health(self, request: Request) -> Response:
        progress = self.forwarder.progress
        return JSONResponse(
            {
                "pending": self.forwarder.pending(),
                "rows": progress.rows,
                "aside": progress.aside,
                "last_error": progress.last_error,
            }
        )

    async def _forward(self, request: Request) -> Response:
        """One round now: seal what is complete and send it."""
        return JSONResponse({"pending": await run_in_threadpool(self.forwarder.forward_all)})

    async def _books(self, request: Request) -> Response:
        return JSONResponse([[*key, count] for key, count in sorted(self.tally.total().items())])

    async def _sign_in_link(self, request: Request) -> Response:
        return JSONResponse({"path": f"{self.settings.PREFIX}/sign-in?token={self.sessions.new_link()}"})

    async def _sign_in(self, request: Request) -> Response:
        if not self.sessions.use_link(request.query_params.get("token", "")):
            return _page("This sign-in link was used or is too old. Ask for a new one: consent-gateway sign-in", 403)
        response = RedirectResponse(f"{self.settings.PREFIX}/dashboard", 303, headers={"Cache-Control": "no-store"})
        response.headers["Set-Cookie"] = self.sessions.cookie(secure=_secure(request))
        return response

    async def _stats(self, request: Request) -> Response:
        name = request.path_params["report"]
        if name not in REPORTS:
            raise ConfigError(f"there is no report {name!r}: allowed are {', '.join(REPORTS)}")
        values = dict(request.query_params)
        form = values.pop("format", "json")
        question = self.question(values)
        rows = await run_in_threadpool(self.ask, name, question)
        if form == "csv":
            return PlainTextResponse(
                to_csv(REPORTS[name], rows),
                media_type="text/csv",
                headers={"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}.csv"'},
            )
        if form != "json":
            raise ConfigError(f"format is {form!r}: allowed are json and csv")
        about = {"report": name, "site": question.site, "from": str(question.first), "to": str(question.last)}
        return JSONResponse(about | {"rows": rows}, headers={"Cache-Control": "no-store"})

    async def _dashboard(self, request: Request) -> Response:
        question = self.question(dict(request.query_params))
        answers = {name: await run_in_threadpool(self.ask, name, question) for name in REPORTS}
        page = render(question, answers, prefix=self.settings.PREFIX, sites=self.settings.site_names)
        return HTMLResponse(page, headers={"Cache-Control": "no-store", "Content-Security-Policy": _PAGE_POLICY})

    def _for_owner(self, answer: Answer) -> Answer:
        async def checked(request: Request) -> Response:
            if self.sessions.is_owner(request.headers.get("cookie", ""), secure=_secure(request)):
                return await answer(request)
            return _page("Sign in first: consent-gateway sign-in prints a link.", 401)

        return checked


def _secure(request: Request) -> bool:
    return request.headers.get("x-scheme") == "https"


def _page(text: str, status: int) -> Response:
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Consent Gateway</title>'
    body = f"{head}<p>{escape(text)}</p></html>"
    return HTMLResponse(body, status, headers={"Cache-Control": "no-store", "Content-Security-Policy": _PAGE_POLICY})


async def _wrong(request: Request, error: Exception) -> Response:
    return JSONResponse({"title": str(error), "status": 422}, 422, media_type="application/problem+json")


async def _away(request: Request, error: Exception) -> Response:
    return JSONResponse({"title": str(error), "status": 503}, 503, media_type="application/problem+json")


def run(settings: Settings, *, until_workers_end: bool = True) -> bool:
    """Be the back office until the last worker of the host has ended (or a signal comes). False when there is one."""
    lock = line.Lock(settings.DATA_DIR, "office")
    if not lock.take():
        return False
    office = Office(settings)
    listener = line.listen(settings.DATA_DIR)
    config = uvicorn.Config(
        office.app(), log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    forwarding = threading.Thread(target=office.forwarder.run, name="forwarder")
    forwarding.start()

    async def serve() -> None:
        watch = asyncio.create_task(_watch(settings, server)) if until_workers_end else None
        await server.serve(sockets=[listener])
        if watch is not None:
            watch.cancel()

    try:
        asyncio.run(serve())
    finally:
        office.forwarder.stop()
        forwarding.join()
        try:
            office.forwarder.forward_all()  # the last events of workers that have ended
        except StoreError as error:
            log.warning("ended with events in the spool, they are sent at the next start: %s", error)
        lock.free()
    return True


async def _watch(settings: Settings, server: uvicorn.Server) -> None:
    """End when no worker lives: its lock is free however it died."""
    workers = line.Lock(settings.DATA_DIR, "workers")
    while not workers.take():  # noqa: ASYNC110 the kernel tells nobody when a lock is freed
        await asyncio.sleep(_WATCH_SECONDS)
    workers.free()
    server.should_exit = True


def main() -> None:
    """Entry of the child process: settings come as JSON on standard input, so that no secret is in a command line."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:  %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    values = json.load(sys.stdin)
    try:
        run(Settings(**values))
    except ConfigError as error:
        log.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
