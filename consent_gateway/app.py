"""The middleware, and its part in a site's life: it opens what a worker owns, and lets each request go its way."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .config.settings import Settings
from .edge.arrival import Desk
from .edge.endpoints import WELL_KNOWN, Authorize
from .edge.middleware import SeenConsent, serve_site, without_root
from .edge.wire import problem
from .record import process
from .rule.address import Networks
from .rule.consent import UNKNOWN
from .rule.errors import ConfigError
from .worker import Worker

log = logging.getLogger("consent_gateway")

_ENDS = {"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"}
_RETRY_SECONDS = 5.0


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
        self._prefix = f"{self.settings.PREFIX}/"
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
            ours = below.startswith(self._prefix) and scope["type"] == "http"
            if worker is None:
                await self._do_without(ours, scope, receive, send)
            elif ours:
                await worker.endpoints(below[len(self._prefix) - 1 :], scope, receive, send)
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
