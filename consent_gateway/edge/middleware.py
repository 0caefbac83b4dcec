"""The way of a request: read who sent it, scrub the scope, let the site answer, record the page view.

`Edge` is what a worker owns. It is made by `consent_gateway.worker`, which opens and closes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..config.notices import Notices
from ..config.policy import InForce, Policy
from ..config.settings import Settings
from ..enrich.path import scrub_path
from ..record import process
from ..record.cookie import Cookies, read_kept
from ..record.ledger import Ledger, SharedSync, Stops
from ..record.own import OwnBrowser
from ..rule.consent import UNKNOWN, Consent, Status
from ..rule.event import DropReason, Observation, Sender
from ..rule.page import PAGE_VIEW, page_type
from ..rule.pseudonym import person
from ..rule.purposes import BASES, LegalBasis
from .arrival import Arrival, Desk
from .caching import Answer
from .firewall import Firewall, permitted
from .limits import Limits
from .recorder import Recorder

_STRICTEST = Consent(objection=True)


class SeenConsent:
    """What the site sees as `scope["consent"]`. Asking it anything makes the response private to this visitor."""

    __slots__ = ("_bases", "_closed", "_consent", "was_read")

    def __init__(
        self, consent: Consent | Callable[[], Consent], bases: Mapping[str, LegalBasis] | Callable[[], Any] = BASES
    ) -> None:
        self._consent, self._bases = consent, bases
        self._closed = self.was_read = False

    @property
    def consent(self) -> Consent:
        """As it is, for ourselves: found when somebody asks for the first time, since most pages never do."""
        if not isinstance(self._consent, Consent):
            self._consent = self._consent()
        return self._consent

    def close(self) -> None:
        """The response has started, and may be kept for others: until it is out, the strictest answer for everybody."""
        self._closed = not self.was_read

    def reopen(self) -> None:
        """The response is out; a background task may ask again."""
        self._closed = False

    def _read(self) -> Consent:
        self.was_read = True
        return _STRICTEST if self._closed else self.consent

    def permits(self, purpose: str) -> bool:
        """May data of this visitor be used for this purpose of the policy, given its legal basis?"""
        bases = self._bases if isinstance(self._bases, Mapping) else self._bases()
        return permitted(bases, self._read(), purpose)

    @property
    def status(self) -> str:
        """`unknown`, `given`, `refused`, `withdrawn`, `expired` or `invalidated`."""
        return self._read().status.value

    @property
    def objection(self) -> bool:
        return self._read().objection

    @property
    def granted(self) -> frozenset[str]:
        return self._read().granted


@dataclass
class Edge:
    """What one worker of the site holds. `terms` says what of the policy is in force at a moment."""

    settings: Settings
    desk: Desk
    cookies: Cookies
    policy: Policy
    terms: InForce
    notices: Notices
    firewall: Firewall
    recorder: Recorder
    ledger: Ledger
    stops: Stops
    sync: SharedSync
    hosts: Mapping[str, str]
    own: OwnBrowser
    limits: Limits

    def site_of(self, host: str) -> str:
        """The site's name; empty for a host that is none of ours."""
        if not self.hosts:
            return self.settings.SITE
        host = host.lower()
        return self.hosts.get(host) or self.hosts.get(host.partition(":")[0], "")

    def declared(self, arrival: Arrival, site: str, *, now: int) -> Consent:
        """What the visitor declared, before signals: the cookie, unless its consent has ended since."""
        consent = self.cookies.read(arrival.cookie, site, secure=arrival.secure, now=now, terms=self.terms(now))
        if consent.granted:
            ended = self.stops.ended(person(self.recorder.rule.person_key, consent.consent_id))
            if ended:
                return Consent(
                    Status.WITHDRAWN, objection=consent.objection, month=time.strftime("%Y-%m", time.gmtime())
                )
        return consent

    def in_force(self, arrival: Arrival, site: str, *, now: int) -> Consent:
        """What counts for this request: what is declared, the browser's signal, and a refusal that waits to be sent."""
        consent = self.declared(arrival, site, now=now).under_signal(arrival.signal)
        kept = read_kept(arrival.cookie)
        return consent.until_sent(objects="%22object%22" in kept) if kept else consent

    def person(self, consent_id: str) -> int:
        """The durable pseudonym of a consent."""
        return person(self.recorder.rule.person_key, consent_id)

    def is_excluded(self, path: str) -> bool:
        """Is this path (without a root path) one that the owner wants unmeasured?"""
        return bool(self.settings.EXCLUDE_PATHS) and under(path, self.settings.EXCLUDE_PATHS)


def under(path: str, prefixes: tuple[str, ...]) -> bool:
    """Is the path one of these, or below one? `/api` covers `/api` and `/api/x`, not `/apiary`. `//a///b` is what a
    careless link makes of `/a/b`."""
    while "//" in path:
        path = path.replace("//", "/")
    return path in prefixes or path.startswith(_below(prefixes))


@lru_cache(16)
def _below(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(prefix.rstrip("/") + "/" for prefix in prefixes)


async def serve_site(edge: Edge, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the site answer one `http` or `websocket` request, and record what it was."""
    try:
        visit = _Visit(edge, scope)
    except Exception as error:
        edge.recorder.faults.say(error)
        edge.desk.scrub_blind(scope)
        scope["consent"] = SeenConsent(UNKNOWN)
        await app(scope, receive, send)
        return

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = Answer(message.get("headers", ()))
            visit.answering(answer, message["status"])
            message = {**message, "headers": answer.headers}
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            visit.seen.reopen()
            visit.record()  # now, and not after the site's background tasks

    try:
        await app(visit.shown, receive, sending if scope["type"] == "http" else send)
    except Exception:
        visit.failed()
        raise
    finally:
        visit.record()


class _Visit:
    """One request to the site, from its arrival to its page view."""

    __slots__ = ("_arrival", "_at", "_edge", "_kind", "_path", "_root", "_server_ms", "_site", "_start", "_status",
                 "_view_id", "seen", "shown")  # fmt: skip

    def __init__(self, edge: Edge, scope: Scope) -> None:
        self._start = time.perf_counter()
        self._edge = edge
        self._arrival = arrival = edge.desk.read(scope)
        self._site = edge.site_of(arrival.host)
        self._at = int(time.time() * 1000)
        # as it came: a mount writes its own into the scope
        self._path, self._root = scope["path"], scope.get("root_path", "")
        self._kind: str | None = None
        self._status = self._view_id = 0
        self._server_ms = 0.0
        self.seen = SeenConsent(self._find_consent, self._find_bases)
        settings = edge.settings
        self.shown: Scope = scope
        if settings.SCRUB_SCOPE:
            if settings.SCRUB_EXCEPT and under(without_root(scope), settings.SCRUB_EXCEPT):
                self.shown = dict(scope)  # the site's own basis; the server's log still sees the truncated address
            edge.desk.scrub(scope, arrival)
        scope["consent"] = self.shown["consent"] = self.seen

    def _find_consent(self) -> Consent:
        try:
            return self._edge.in_force(self._arrival, self._site, now=self._at)
        except Exception as error:
            self._edge.recorder.faults.say(error)
            return _STRICTEST

    def _find_bases(self) -> Mapping[str, LegalBasis]:
        return self._edge.terms.policy(self._at).bases

    def answering(self, answer: Answer, status: int) -> None:
        """The response starts: is it a page view, and is it this visitor's alone?"""
        try:
            seen, edge = self.seen, self._edge
            if (answer.sets_cookies and edge.firewall.look(answer.headers, self._site, seen.consent)) or seen.was_read:
                answer.keep_for_this_visitor()
            self._status = status
            self._server_ms = (time.perf_counter() - self._start) * 1000
            html = answer.is_html(status)
            kind = self._page_type(html)
            if kind == PAGE_VIEW and not answer.shared_may_keep:
                answer.make_private()  # it carries this view's id
                self._view_id = int.from_bytes(process.random_bytes(8), "big") or 1
                answer.headers.append((b"server-timing", b'cg;desc="%016x"' % self._view_id))
            elif kind == PAGE_VIEW:
                kind = None  # the script counts it: a shared cache will answer without us
            elif html and self._arrival.is_visit:  # no view: nor is it one to the script
                answer.headers.append((b"server-timing", b'cg;desc="%d"' % status))
            if answer.is_shared:
                seen.close()  # too late to ask: what follows may go to everybody
            self._kind = kind
        except Exception as error:
            self._edge.recorder.faults.say(error)

    def failed(self) -> None:
        """The site raised before it answered: its server will say 500."""
        if not self._status:
            self._status = 500
            self._server_ms = (time.perf_counter() - self._start) * 1000
            self._kind = self._page_type(None)

    def _page_type(self, html: bool | None) -> str | None:
        scope = self.shown
        if scope["type"] != "http" or not self._arrival.is_visit:
            return None
        if self._edge.is_excluded(below(self._path, self._root)):
            return None
        return page_type(scope["method"], self._status, self._path, html)

    def record(self) -> None:
        """Once, when the answer is out."""
        kind, self._kind = self._kind, None
        if kind is None:
            return
        edge, arrival, scope = self._edge, self._arrival, self.shown
        try:
            if not self._site:
                edge.recorder.count_dropped("", DropReason.UNKNOWN_SITE)
                return
            if edge.own.is_out(arrival.cookie, secure=arrival.secure):
                edge.recorder.count_dropped(self._site, DropReason.OWN_BROWSER)
                return
            if edge.limits.events.take(arrival.address, self._site):
                edge.recorder.count_dropped(self._site, DropReason.RATE)
                return
            query = scope["query_string"]
            sender = Sender(
                self._site, self._at, arrival.host.partition(":")[0], arrival.address, arrival.user_agent,
                arrival.language, self.seen.consent,
            )  # fmt: skip
            seen = Observation(
                sender,
                kind,
                self._at,
                f"http://{arrival.host}{self._path}" + (f"?{query.decode('latin-1')}" if query else ""),
                arrival.referrer,
                view_id=self._view_id,
                route=route_template(scope, self._root),
                http_status=self._status,
                server_ms=round(self._server_ms, 3),
            )
            edge.recorder.record_view(seen)
        except Exception as error:
            edge.recorder.faults.say(error)


def route_template(scope: Scope, root: str) -> str:
    """The route's template where the framework leaves one in the scope (Starlette, FastAPI, Litestar), or a helper or
    the site itself does (`scope["cg.route"]`: Django, Quart); else empty."""
    path = scope.get("cg.route") or scope.get("path_template")
    if path is None:
        route = scope.get("route")
        path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if not isinstance(path, str):
        return ""
    mounted = scope.get("root_path", "").removeprefix(root)
    return f"{scrub_path(mounted)}{path}" if mounted else path


def without_root(scope: Scope) -> str:
    """The path below the `root_path` that the server or a mount set."""
    root = scope.get("root_path", "")
    return below(scope["path"], root) if root else scope["path"]


def below(path: str, root: str) -> str:
    """A path without the root path before it."""
    if root and path.startswith(root):
        rest = path[len(root) :]
        if not rest or rest[0] == "/" or root[-1] == "/":
            return rest or "/"
    return path
