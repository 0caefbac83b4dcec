"""`export/…`: whole ranges for the command line of this host, a slice at a time. Every export is in the audit log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..access.audit import Audit
from ..access.people import Role
from ..access.sessions import Person
from ..rule.errors import ConfigError
from .desk import Desk
from .question import Question
from .ranges import RANGES, Form, Range, rows, slices
from .reports import ALL

MOST_REPORT_ROWS = 100_000  # what one query may answer
_OWN = ("format", "consented", "by", "start", "end")


class Whole:
    """The routes of one desk. They are the host's own: nothing of them is below `/public`."""

    def __init__(self, desk: Desk, audit: Audit) -> None:
        self._desk, self._audit = desk, audit

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/export/{what}", self._begin, methods=["POST"]),
            Route("/export/{what}", self._report),
            Route("/export/{what}/slices", self._slices),
            Route("/export/{what}/rows", self._rows),
        ]

    async def _begin(self, request: Request) -> Response:
        """May this be had? If so it is noted, whatever becomes of it."""
        what, question, own = request.path_params["what"], self._question(request), request.query_params
        if what in RANGES and self._desk.minimum:
            raise ConfigError(
                f"the policy shows no group of fewer than {self._desk.minimum} daily visitors (minimum_group), "
                f"so single {what} are not exported: export a report"
            )
        if what not in RANGES and what not in ALL:
            raise ConfigError(f"{what!r} can't be exported: allowed are {', '.join([*RANGES, *ALL])}")
        more = ", with the columns that need consent" if own.get("consented") == "yes" else ""
        noted = f"{what} of {question.said()}{more}"
        self._audit.note(Person(own.get("by", ""), Role.OWNER, "terminal"), "exported", f"{noted}, {own['format']}")
        return JSONResponse({"site": question.site, "from": str(question.first), "to": str(question.last)})

    async def _report(self, request: Request) -> Response:
        """A report's rows, also those beyond the limit of a question."""
        question = replace(self._question(request), limit=MOST_REPORT_ROWS)
        return JSONResponse({"rows": await run_in_threadpool(self._desk.ask, request.path_params["what"], question)})

    async def _slices(self, request: Request) -> Response:
        one, question = self._range(request), self._question(request)
        found = await run_in_threadpool(self._desk.read, lambda client: slices(client, one, question))
        return JSONResponse({"slices": found})

    async def _rows(self, request: Request) -> Response:
        one, question, own = self._range(request), self._question(request), request.query_params
        span = int(own["start"]), int(own["end"])
        form, consented = cast(Form, own["format"]), own.get("consented") == "yes"
        data = await run_in_threadpool(
            self._desk.read, lambda client: rows(client, one, question, span, form, consented=consented)
        )
        return Response(data, media_type="application/octet-stream")

    def _range(self, request: Request) -> Range:
        if self._desk.minimum:
            raise ConfigError("single rows are not exported where the policy has a minimum_group")
        return RANGES[request.path_params["what"]]

    def _question(self, request: Request) -> Question:
        asked: list[tuple[str, Any]] = [pair for pair in request.query_params.multi_items() if pair[0] not in _OWN]
        return self._desk.question(asked)
