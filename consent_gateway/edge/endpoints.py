"""The routes under the prefix: state, choice, events, notices, and what the back office answers (reports).

Each answer is the same for every kind of caller and says in words what was refused and why.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from ..record import office
from ..rule.address import Networks
from ..rule.errors import OfficeError
from .arrival import Arrival
from .choices import Choices, TooLarge, read_body, same_origin
from .events import PageEvents
from .middleware import Edge
from .origins import Origins
from .receipts import Receipts, gpc_support
from .script import answer as script_answer
from .script import is_script
from .server_events import ServerEvents
from .visitor import VISITOR_ROUTES, Visitor
from .wire import MAX_FORM, problem

GPC, KEYS = "/.well-known/gpc.json", "/.well-known/cg-keys.json"  # at the site's root
log = logging.getLogger("consent_gateway")

WELL_KNOWN = frozenset({GPC, KEYS})
_EVENT_TYPES = ("application/json", "text/plain")
_ROUTES = {
    "/state": "GET",
    "/choice": "POST",
    "/events": "POST",
    "/receipt": "GET",
    "/receipt/verify": "POST",
    GPC: "GET",
    KEYS: "GET",
    "/health": "GET",
    "/metrics": "GET",
}
# answered by the back office, below its /public
_OFFICE = re.compile(r"/stats/[a-z_]{1,40}|/dashboard(/[0-9a-f]{16}\.(css|js))?|/sign-(in|out)|/own|/openapi\.json")
_OF_PEOPLE = {"/sign-in": "GET, POST", "/sign-out": "POST", "/own": "POST"}
_ROLES = ("owner", "viewer")
Authorize = Callable[[Scope], Awaitable[str | None]]
"""Who asks, by the site's own sign-in: `"owner"`, `"viewer"`, either with a name for the audit log (`"owner:ann"`), or
None for nobody."""

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}


_MOST_ASKING = 4  # threads of the site that may wait for the back office
_MOST_WAITING = 16  # and how many questions wait for one of those
_OFFICE_SECONDS = 30.0
_KEPT_HEADERS = [
    (name.lower().encode(), value.encode()) for name, value in ({"Cache-Control": "no-store"} | _SECURITY).items()
]


class Endpoints:
    """Everything that hangs under the prefix, for one edge."""

    def __init__(
        self, edge: Edge, choices: Choices, receipts: Receipts, visitor: Visitor, authorize: Authorize | None = None
    ) -> None:
        self._edge, self._choices, self._receipts, self._visitor = edge, choices, receipts, visitor
        self._authorize = authorize
        self._page_events, self._server_events = PageEvents(edge), ServerEvents(edge)
        self._asking = asyncio.Semaphore(_MOST_ASKING)
        self._waiting = 0
        self._origins = Origins(edge.settings.ALLOWED_ORIGINS)
        self._watchers = Networks(edge.settings.METRICS_NETWORKS)

    async def __call__(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to `path`, which is the part behind the prefix."""
        edge, began = self._edge, time.perf_counter()
        of_events = path == "/events" and scope["method"] == "POST"
        try:
            arrival = edge.desk.read(scope)
            edge.desk.scrub(scope, arrival)
            shared = self._origins.headers(arrival) if self._origins.any and _is_for_pages(path) else {}
            said = arrival.others
            if of_events and said.fetch_site == b"same-origin" and not said.authorization:  # nearly all
                response = await self._page_events.take(arrival, receive)
            else:
                response = await self._answer(path, Request(scope, receive), arrival)
        except ClientDisconnect:
            return
        except Exception as error:
            edge.desk.scrub_blind(scope)
            edge.recorder.faults.say(error)
            response, shared = problem(500, "Something failed here; it has been logged."), {}
        if of_events:
            edge.recorder.books.time("event", time.perf_counter() - began)
        if response is None:
            headers = list(_KEPT_HEADERS)
            if shared:
                headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in shared.items()]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body"})
            return
        response.headers.setdefault("Cache-Control", "no-store")
        for name, value in _SECURITY.items():
            response.headers.setdefault(name, value)
        for name, value in shared.items():
            response.headers.add_vary_header(value) if name == "Vary" else response.headers.setdefault(name, value)
        await response(scope, receive, send)

    async def _answer(self, path: str, request: Request, arrival: Arrival) -> Response | None:
        """`None` when all events were kept: that answer has nothing to say, and is the one that must be cheap."""
        method = "GET" if request.method == "HEAD" else request.method
        if _OFFICE.fullmatch(path):
            takes = _OF_PEOPLE.get(path, "GET")
            if method not in takes.split(", "):
                return problem(405, f"This takes {takes} only.", Allow=takes)
            if self._edge.recorder.pressure and path.startswith(("/dashboard", "/stats")):
                title = "More comes in than can be stored: reports wait until that is done."
                return problem(503, title, Retry_After="30")
            return await self._ask_office(f"/public{path}", request, arrival)
        if path in VISITOR_ROUTES:
            if method != VISITOR_ROUTES[path]:
                return problem(405, f"This takes {VISITOR_ROUTES[path]} only.", Allow=VISITOR_ROUTES[path])
            return await self._visitor.answer(path, request, arrival, self._edge.site_of(arrival.host))
        allowed = "GET" if path.startswith("/notices/") or is_script(path) else _ROUTES.get(path)
        if allowed is None:
            return problem(404, "There is nothing here.")
        if path == "/events" and method == "POST" and ServerEvents.is_one(arrival):
            return await self._server_events.take(request, arrival)
        if _is_for_pages(path) and (method != "GET" or arrival.origin):
            if why := self._origins.refusal(arrival):
                return problem(403, why)
            if method == "OPTIONS" and arrival.origin:
                return self._origins.preflight()
        if method != allowed:
            return problem(405, f"This takes {allowed} only.", Allow=allowed)
        if path in ("/health", "/metrics"):
            return await self._watch(path, request, arrival)
        if is_script(path):
            return script_answer(path, request)
        if path.startswith("/notices/"):
            return self._notice(path.removeprefix("/notices/"))
        if path == KEYS:
            return self._receipts.published_keys()
        if path == "/receipt/verify":
            return await self._receipts.verify(request)
        if path == GPC:
            return gpc_support(self._edge.policy.in_force(int(time.time() * 1000)).effective_ms)
        if path == "/events":
            return await self._page_events.take(arrival, request.receive)
        site = self._edge.site_of(arrival.host)
        if not site:
            return problem(404, "This host is none of the sites that are served here.")
        if path == "/state":
            return self._choices.state(request.scope, arrival, site)
        if path == "/receipt":
            consent = self._edge.declared(arrival, site, now=int(time.time() * 1000))
            return await self._receipts.show(consent.consent_id)
        return await self._choices.choose(request, arrival, site)

    def _notice(self, digest: str) -> Response:
        text = self._edge.notices.text(digest)
        if text is None:
            return problem(404, "There is no notice with this hash.")
        return Response(
            text, media_type="application/json", headers={"Cache-Control": "public, max-age=31536000, immutable"}
        )

    async def _watch(self, path: str, request: Request, arrival: Arrival) -> Response:
        """Details for METRICS_NETWORKS and for METRICS_TOKEN; to everybody else, that we are up."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        token = self._edge.settings.METRICS_TOKEN.get_secret_value().encode()
        if arrival.address in self._watchers or (token and compare_digest(sent, token)):
            return await self._ask_office(path, request, arrival)
        if sent.startswith(b"cg_"):  # a token that the back office knows
            answer = await self._ask_office(f"/public{path}", request, arrival)
            if path == "/metrics" or answer.status_code == 200:
                return answer
        if path == "/health":
            return PlainTextResponse("ok", headers={"Cache-Control": "no-store"})
        return problem(403, "Metrics are for METRICS_NETWORKS, or with METRICS_TOKEN or a token of scope metrics.")

    async def _ask_office(self, path: str, request: Request, arrival: Arrival) -> Response:
        """Hand a question to the back office, which knows the owners and the store."""
        if request.method == "POST" and not same_origin(arrival):
            return problem(403, "This is taken only from this site's own pages.")
        if self._waiting >= _MOST_WAITING:  # a back office that hangs must not take the threads that the site needs
            return problem(503, "Too many ask the back office at once; try again in a moment.", Retry_After="2")
        sent: bytes | None = None
        if request.method == "POST":
            try:
                sent = await read_body(request, MAX_FORM)
            except TooLarge:
                return problem(413, f"This takes at most {MAX_FORM} bytes.")
        headers = await self._about(request, arrival)
        self._waiting += 1
        try:
            async with self._asking:
                status, passed, body = await run_in_threadpool(
                    office.call,
                    self._edge.settings.DATA_DIR,
                    request.method,
                    path,
                    request.query_params.multi_items(),
                    body=sent,
                    headers=headers,
                    timeout=_OFFICE_SECONDS,
                )
        except (OfficeError, OSError):
            return problem(503, "The back office is starting or away; try again in a moment.", Retry_After="2")
        finally:
            self._waiting -= 1
        return Response(body, status, passed)

    async def _about(self, request: Request, arrival: Arrival) -> dict[str, str]:
        """What the back office is told of who asks. The request's own headers of these names never get there."""
        headers = {
            "Cookie": arrival.cookie,
            "X-Scheme": "https" if arrival.secure else "http",
            "X-Network": request.client.host if request.client else "",  # scrubbed: the network, no address
            "Accept-Language": arrival.language,
            "Content-Type": arrival.content_type,
            "Authorization": request.headers.get("authorization", ""),
        }
        if self._authorize is not None:
            headers["X-Person"] = await _named(self._authorize, request.scope)
        return {name: value for name, value in headers.items() if value}


async def _named(authorize: Authorize, scope: Scope) -> str:
    """Whom the site's own function names. A fault of it opens nothing, and is the site's to see in its log."""
    try:
        told = await authorize(scope)
    except Exception:
        log.exception("authorize failed, so nobody is let in")
        return "none"
    return quote(told, safe=":") if isinstance(told, str) and told.partition(":")[0] in _ROLES else "none"


def _is_for_pages(path: str) -> bool:
    """Is this asked by the script of a page, which may be of another origin?"""
    return path in ("/state", "/choice", "/events") or path.startswith("/notices/")
