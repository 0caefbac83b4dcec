"""The sign-in page and what belongs to it: links that open once, signing out, keeping one's own browser out.

All of it works without script. A failed sign-in says the same whatever was wrong, and takes as long.
"""

from __future__ import annotations

import secrets
from html import escape
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ..access.audit import Audit
from ..access.guard import Guard, is_secure, read_form
from ..access.people import People
from ..access.sessions import Person, Sessions
from ..access.throttle import Throttle
from ..record.own import OwnBrowser
from ..rule.errors import ConfigError
from .frame import PAGE_HEADERS, document
from .language import Words, choose

_LONGEST_NAME = 64


class SignIn:
    """The routes about people themselves. `prefix` is where the site has them."""

    def __init__(
        self, prefix: str, people: People, sessions: Sessions, throttle: Throttle, audit: Audit, own: OwnBrowser
    ) -> None:
        self._prefix, self._people, self._sessions = prefix, people, sessions
        self._throttle, self._audit, self._own = throttle, audit, own

    def routes(self, guard: Guard) -> list[Route]:
        self._guard = guard
        return [
            Route("/sign-in-link", self._link, methods=["POST"]),
            Route("/public/sign-in", self._sign_in, methods=["GET", "POST"]),
            Route("/public/sign-out", guard.guard(self._sign_out), methods=["POST"]),
            Route("/public/own", guard.guard(self._set_own), methods=["POST"]),
        ]

    def page(self, request: Request, *, status: int, wrong: str = "") -> Response:
        """The form, in the reader's language; `wrong` is a key of the words."""
        words = _words(request)
        form_cookie = _form_cookie(request) or secrets.token_urlsafe(16)
        target = self._target(request)
        language = request.query_params.get("language", "")
        here = f"{self._prefix}/sign-in?next={quote(target, safe='')}"
        here += f"&language={words.language}" if language[:2] == words.language else ""
        error = f'<p class="wrong" role="alert">{escape(words[wrong])}</p>' if wrong else ""
        body = f"""<main class="sign-in">
<h1>{escape(words["sign_in_title"])}</h1>
{error}
<form method="post" action="{escape(here)}">
<input type="hidden" name="form" value="{self._sessions.form_token(form_cookie)}">
<label>{escape(words["name"])}<input name="name" autocomplete="username" autocapitalize="none" spellcheck="false"
 required maxlength="{_LONGEST_NAME}"></label>
<label>{escape(words["password"])}<input name="password" type="password" autocomplete="current-password"
 required></label>
<button>{escape(words["sign_in"])}</button>
</form>
<p class="note">{escape(words["sign_in_note"])} <code>consent-gateway sign-in</code></p>
</main>"""
        page = HTMLResponse(document(words, words["sign_in_title"], body, self._prefix), status, headers=PAGE_HEADERS)
        if _form_cookie(request) != form_cookie:
            secure = "; Secure" if is_secure(request) else ""
            page.headers["Set-Cookie"] = (
                f"{_form_name(request)}={form_cookie}; Path=/; HttpOnly; SameSite=Strict{secure}"
            )
        return page

    async def _link(self, request: Request) -> Response:
        return JSONResponse({"path": f"{self._prefix}/sign-in?token={self._sessions.new_link()}"})

    async def _sign_in(self, request: Request) -> Response:
        if "x-person" in request.headers:
            raise ConfigError("this site itself decides who may read the reports; sign in there")
        if request.method == "POST":
            return await self._take(request)
        token = request.query_params.get("token")
        if token is None:
            return self.page(request, status=200)
        if request.method != "GET" or not self._sessions.use_link(token):
            return self.page(request, status=403, wrong="link_used")
        cookie = await run_in_threadpool(self._sessions.cookie, secure=is_secure(request))
        person = self._sessions.person(cookie.partition(";")[0], secure=is_secure(request))
        self._audit.note(person, "signed in by a link")
        return self._opened(request, cookie)

    async def _take(self, request: Request) -> Response:
        """A name and a password."""
        fields = await read_form(request)
        name, password = fields.get("name", "")[:_LONGEST_NAME], fields.get("password", "")
        secret = _form_cookie(request)
        if not secret or not self._sessions.is_form_of(secret, fields.get("form", "")):
            return self.page(request, status=403, wrong="form_old")
        network = request.headers.get("x-network", "")
        wait = self._throttle.begin(name, network)
        if wait > 0:
            page = self.page(request, status=429, wrong="sign_in_wait")
            page.headers["Retry-After"] = str(int(wait) + 1)
            return page
        if not await run_in_threadpool(self._people.knows, name, password):
            user = self._people.read().users.get(name)  # a name that nobody has may be somebody's password: not kept
            self._audit.note(Person(name, user.role, "password") if user else None, "was refused")
            return self.page(request, status=403, wrong="sign_in_wrong")
        self._throttle.succeeded(name, network)
        cookie = self._sessions.cookie(name, secure=is_secure(request))
        person = self._sessions.person(cookie.partition(";")[0], secure=is_secure(request))
        self._audit.note(person, "signed in")
        return self._opened(request, cookie)

    def _opened(self, request: Request, cookie: str) -> Response:
        response = RedirectResponse(self._target(request), 303, headers={"Cache-Control": "no-store"})
        response.headers["Set-Cookie"] = cookie
        return response

    async def _sign_out(self, request: Request) -> Response:
        await self._guard.form(request)
        self._audit.note(request.state.person, "signed out")
        response = RedirectResponse(f"{self._prefix}/sign-in", 303, headers={"Cache-Control": "no-store"})
        cookies = request.headers.get("cookie", "")
        response.headers["Set-Cookie"] = await run_in_threadpool(self._sessions.end, cookies, secure=is_secure(request))
        return response

    async def _set_own(self, request: Request) -> Response:
        """Keep this browser out of the figures, or count it again."""
        fields = await self._guard.form(request)
        response = RedirectResponse(self._target(request), 303, headers={"Cache-Control": "no-store"})
        response.headers["Set-Cookie"] = self._own.cookie(out=fields.get("out") == "yes", secure=is_secure(request))
        return response

    def _target(self, request: Request) -> str:
        """Where to go on: a page of the dashboard and nothing else, whatever the address says."""
        dashboard = f"{self._prefix}/dashboard"
        parts = urlsplit(request.query_params.get("next", ""))
        if request.url.path.startswith("/public/dashboard"):
            parts = urlsplit(f"{self._prefix}{request.url.path.removeprefix('/public')}?{request.url.query}")
        fine = not parts.scheme and not parts.netloc and parts.path == dashboard
        return f"{dashboard}?{parts.query}" if fine and parts.query else dashboard


def _words(request: Request) -> Words:
    return choose(request.query_params.get("language", ""), request.headers.get("accept-language", ""))


def _form_name(request: Request) -> str:
    return "__Host-cg-form" if is_secure(request) else "cg-form"


def _form_cookie(request: Request) -> str:
    return request.cookies.get(_form_name(request), "")
