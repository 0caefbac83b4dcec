"""The privacy page, what is held about its visitor, and the visitor's rights.

Who asks is proved here, by the cookie of a grant or by a receipt; the back office answers about that one consent. A
withdrawal and an objection need no back office: they are written down here, and are never refused for want of one.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from ..config.notices import words
from ..record import office
from ..record.keys import Keys
from ..rule.consent import Action
from ..rule.errors import OfficeError
from .arrival import Arrival
from .choices import Choices, TooLarge, private, read_body, same_origin
from .html import POLICY, STYLE_PATH, style
from .me_page import me
from .middleware import Edge
from .pages import Shown, privacy
from .proof import consent_of_receipt
from .wire import MAX_FORM, WireRight, faults, problem

VISITOR_ROUTES = {"/privacy": "GET", "/me": "GET", "/rights": "POST", STYLE_PATH: "GET"}
_SECONDS = 30.0
_MOST_ASKING = 4  # of one worker, at once
_CHOICES = {"object": Action.OBJECT, "unobject": Action.UNOBJECT, "withdrawal": Action.WITHDRAW}
_READS = {"access": "json", "json": "json", "csv": "csv", "portability": "json"}
_STORE_RIGHTS = {"erasure", "restriction", "rectification", "complaint", "lift"}


class Visitor:
    """These routes of one edge."""

    def __init__(self, edge: Edge, choices: Choices, keys: Keys) -> None:
        self._edge, self._choices = edge, choices
        self._keys = keys
        self._done = choices.done
        self._asking = 0

    async def answer(self, path: str, request: Request, arrival: Arrival, site: str) -> Response:
        """One of the routes; its method was looked at."""
        if path == STYLE_PATH:
            return _style(request)
        if not site:
            return problem(404, "This host is none of the sites that are served here.")
        if path == "/privacy":
            return await self._privacy(request, arrival, site)
        if path == "/me":
            return private(await self._me(request, arrival, site))
        return private(await self._rights(request, arrival, site))

    # the page

    async def _privacy(self, request: Request, arrival: Arrival, site: str) -> Response:
        state = self._choices.described(arrival, site, request.query_params.get("language", ""))
        language = state["language"]
        say = words("privacy", language)
        told, well = self._done.words(request.query_params.get("done", ""), say, language)
        consent_id = self._consent_of(arrival, site)
        who = self._edge.person(consent_id) if consent_id else 0
        shown = Shown(
            language,
            self._edge.notices.document(language),
            say,
            state,
            self._base(request),
            known=bool(consent_id) and not self._edge.stops.ended(who),
            restricted=bool(who) and self._edge.stops.restricted(who),
            told=told,
            well=well,
        )
        return private(_page(privacy(shown)))

    def _base(self, request: Request) -> str:
        return str(request.scope.get("root_path", "")) + self._edge.settings.PREFIX

    def _language(self, arrival: Arrival, wanted: str) -> str:
        return self._edge.notices.choose([wanted, *arrival.language.split(",")])[0]

    def _consent_of(self, arrival: Arrival, site: str) -> str:
        """The consent that the browser carries, the newest of several, also one that does not count any more."""
        held = self._edge.cookies.given(arrival.cookie, site, secure=arrival.secure)
        return max(held, key=lambda consent: consent.given_at).consent_id if held else ""

    # what is held

    async def _me(self, request: Request, arrival: Arrival, site: str) -> Response:
        """About the bearer of the cookie. Another's id is not found, whether it exists or not."""
        values = request.query_params
        language = self._language(arrival, values.get("language", ""))
        consent_id = self._consent_of(arrival, site)
        if values.get("id", consent_id) != consent_id:
            return problem(404, "There is nothing here.")
        form = values.get("format") or ("html" if "text/html" in request.headers.get("accept", "") else "json")
        if form not in ("html", "json", "csv"):
            return problem(422, "format is html, json or csv.")
        if not consent_id:
            if form == "html":
                return RedirectResponse(f"{self._base(request)}/privacy?language={language}#rights", 303)
            return JSONResponse(_unknown(language))
        return await self._show(request, consent_id, site, language, form)

    async def _show(
        self, request: Request, consent_id: str, site: str, language: str, form: str, receipt: str = ""
    ) -> Response:
        params = {"consent": consent_id, "site": site, "language": language, "format": "csv" if form == "csv" else ""}
        status, body = await self._ask("GET", "/visitor/me", params)
        if status != 200:
            return problem(status, _title(body), Retry_After="5" if status == 503 else "")
        if form == "html":
            page = me(json.loads(body), language, words("privacy", language), self._base(request), receipt=receipt)
            return _page(page)
        kind = "text/csv; charset=utf-8" if form == "csv" else "application/json"
        name = f'attachment; filename="{site}-data.{form}"'
        return Response(body, media_type=kind, headers={"Content-Disposition": name})

    # the rights

    async def _rights(self, request: Request, arrival: Arrival, site: str) -> Response:
        """Exercise one, as JSON or as a form (answered with 303 to the privacy page, which says what was done)."""
        if not same_origin(arrival):
            return problem(403, "A right is exercised only from this site's own pages.")
        form = arrival.content_type.startswith("application/x-www-form-urlencoded")
        try:
            body = await read_body(request, MAX_FORM)
            if form:
                wish = WireRight.model_validate(dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=16)))
            else:
                wish = WireRight.model_validate_json(body)
        except TooLarge:
            return problem(413, f"This takes at most {MAX_FORM} bytes.")
        except ValidationError as error:
            return problem(422, "The request is not of the agreed form.", faults(error))
        except ValueError as error:
            return problem(422, "The form can't be read.", [{"field": "body", "why": str(error)}])
        consent_id, receipt = self._consent_of(arrival, site), ""
        if wish.receipt:
            receipt = wish.receipt if isinstance(wish.receipt, str) else json.dumps(wish.receipt)
            consent_id, of_site = consent_of_receipt(receipt, self._keys.public_keys)
            if of_site != site:
                consent_id = ""
        if wish.id and wish.id != consent_id:
            consent_id = ""
        language = self._language(arrival, wish.language)
        if not consent_id and (wish.right not in _CHOICES or wish.receipt or wish.id):
            if form:
                return self._back(request, language, "unproved")
            return problem(404, words("privacy", language)["unknown"])
        if wish.right in _READS:
            shown = "html" if form and wish.right == "access" else _READS[wish.right]
            return await self._show(request, consent_id, site, language, shown, receipt)
        return await self._do(wish, consent_id, request, arrival, site, language, form=form)

    async def _do(
        self, wish: WireRight, consent_id: str, request: Request, arrival: Arrival, site: str, language: str, *,
        form: bool,
    ) -> Response:  # fmt: skip
        """Carry out what is no mere reading."""
        answer, number, due = {"done": True}, 0, ""
        cookies: list[str] = []
        done: str = wish.right
        if wish.right in _STORE_RIGHTS:
            params = {"right": wish.right, "consent": consent_id, "site": site, "note": wish.note}
            status, body = await self._ask("POST", "/visitor/rights", params)
            if status != 200:
                failed = {422: "empty", 409: "many"}.get(status, "away")
                return self._back(request, language, failed) if form else problem(status, _title(body))
            answer = json.loads(body)
            number, due = answer.get("number", 0), answer.get("due", "")
            if wish.right == "erasure":
                done += {"refused": "_refused", "open": "_soon"}.get(answer["state"], "")
        if wish.right in _CHOICES or wish.right == "erasure":
            action = _CHOICES.get(wish.right, Action.WITHDRAW)
            cookies = await self._choices.act(action, consent_id if wish.receipt else "", arrival, site)
        if wish.right in ("object", "unobject") and wish.receipt:
            params = {"right": wish.right, "consent": consent_id, "site": site}
            status, body = await self._ask("POST", "/visitor/rights", params)
            if status != 200:
                return self._back(request, language, "away") if form else problem(status, _title(body))
        response = self._back(request, language, done, number, due) if form else JSONResponse(answer)
        for line in cookies:
            response.headers.append("Set-Cookie", line)
        return response

    def _back(self, request: Request, language: str, done: str, number: int = 0, due: str = "") -> Response:
        """To the privacy page, with what it shall say."""
        query = urlencode({"language": language, "done": self._done.mark(done, number, due)})
        return RedirectResponse(f"{self._base(request)}/privacy?{query}", 303)

    async def _ask(self, method: str, path: str, params: dict[str, str]) -> tuple[int, bytes]:
        """The back office's answer; 503 when it is away or when too many ask."""
        if self._asking >= _MOST_ASKING:
            return 503, b'{"title": "Too many ask at once; try again in a moment."}'
        self._asking += 1
        try:
            status, _, body = await run_in_threadpool(
                office.call, self._edge.settings.DATA_DIR, method, path, params, timeout=_SECONDS
            )
            return status, body
        except (OfficeError, OSError):
            return 503, b'{"title": "The back office is starting or away; try again in a moment."}'
        finally:
            self._asking -= 1


def _unknown(language: str) -> dict[str, Any]:
    """GDPR Art. 11(2), said honestly, and what works all the same."""
    why = words("privacy", language)["unknown"]
    return {"identified": False, "article": "GDPR Art. 11", "why": why, "offers": ["object", "unobject"]}


def _title(body: bytes) -> str:
    try:
        return str(json.loads(body)["title"])
    except (ValueError, KeyError, TypeError):
        return "The back office could not do this."


def _page(content: str) -> Response:
    return HTMLResponse(content, headers={"Content-Security-Policy": POLICY})


def _style(request: Request) -> Response:
    data, digest = style()
    headers = {"Cache-Control": "public, max-age=3600", "ETag": f'"{digest[:32]}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="text/css", headers=headers)
