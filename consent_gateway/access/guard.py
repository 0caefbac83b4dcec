"""What stands before every route that people or their programs ask: who is it, and may they.

The edge hands on, over the socket that only this host's user can open: the cookies, `Authorization`, the truncated
network, and `X-Person` when the site's own function decides (then no session counts).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..rule.errors import ConfigError
from .audit import Audit
from .people import People, Role, Scope
from .sessions import Person, Sessions

Answer = Callable[[Request], Awaitable[Response]]


class SignInPage(Protocol):
    """What a person without a session is shown instead of what they asked for."""

    def __call__(self, request: Request, *, status: int) -> Response: ...


class Guard:
    """Recognises who asks. `page` is the sign-in page."""

    def __init__(self, people: People, sessions: Sessions, audit: Audit, page: SignInPage) -> None:
        self.people, self.sessions, self.audit, self._page = people, sessions, audit, page

    def guard(self, answer: Answer, *, scope: Scope | None = None, owner: bool = False) -> Answer:
        """The same route, for people (owners only, if so said) and, where a scope is named, for tokens that have it.

        `request.state.person` says who it is.
        """

        async def guarded(request: Request) -> Response:
            bearer = request.headers.get("authorization", "")
            person = self._of_token(bearer, scope) if bearer else self.person(request)
            if person is None:
                if bearer or scope in (Scope.METRICS, Scope.EVENTS):
                    return _refuse(401, "This token is none, has expired, or lacks the scope that this needs.")
                if request.url.path.startswith("/public/stats/") or "x-person" in request.headers:
                    return _refuse(401, "Sign in first, or send a token: consent-gateway tokens create.")
                return self._page(request, status=401)
            if owner and person.role is not Role.OWNER:
                return _refuse(403, "This is for owners.")
            request.state.person = person
            return await answer(request)

        return guarded

    def person(self, request: Request) -> Person | None:
        """Who has this session, or whom the site's own function named."""
        told = request.headers.get("x-person")
        if told is not None:
            role, _, name = unquote(told).partition(":")
            return Person(name, Role(role), "site", f"{role}:{name}") if role in set(Role) else None
        return self.sessions.person(request.headers.get("cookie", ""), secure=is_secure(request))

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form that this person's own page sent; `ConfigError` for any other."""
        fields = await read_form(request)
        person: Person = request.state.person
        if not self.sessions.is_form_of(person.secret, fields.pop("form", "")):
            raise ConfigError("this form is too old or from elsewhere: load the page again")
        return fields

    def _of_token(self, bearer: str, scope: Scope | None) -> Person | None:
        kind, _, text = bearer.partition(" ")
        token = self.people.token(text.strip()) if kind.lower() == "bearer" and scope else None
        if token is None or scope not in token.scopes:
            return None
        return Person(token.name, Role.VIEWER, "token")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an HTML form; of one that comes twice the last counts."""
    body = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=100))


def is_secure(request: Request) -> bool:
    """Did the request come over https?"""
    return request.headers.get("x-scheme") == "https"


def _refuse(status: int, title: str) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    content = {"type": "about:blank", "title": title, "status": status}
    return JSONResponse(content, status, headers=headers, media_type="application/problem+json")
