"""`stats/{report}`: a report as JSON or CSV, for people, their programs with a token, and the command line."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..access.audit import Audit
from ..access.guard import Guard
from ..access.people import Scope
from ..rule.errors import ConfigError
from .desk import Desk
from .export import to_csv
from .reports import ALL


class Stats:
    """The routes of one desk."""

    def __init__(self, desk: Desk, audit: Audit) -> None:
        self._desk, self._audit = desk, audit

    def routes(self, guard: Guard) -> list[Route]:
        return [
            Route("/stats/{report}", self._stats),
            Route("/public/stats/{report}", guard.guard(self._stats, scope=Scope.STATS)),
        ]

    async def _stats(self, request: Request) -> Response:
        name = request.path_params["report"]
        if name not in ALL:
            raise ConfigError(f"there is no report {name!r}: allowed are {', '.join(ALL)}")
        form = request.query_params.get("format", "json")
        question = self._desk.question([pair for pair in request.query_params.multi_items() if pair[0] != "format"])
        person = getattr(request.state, "person", None)
        if person is not None:
            what = f"{name} of {question.said()}"
            self._audit.note(person, "exported" if "format" in request.query_params else "read", f"{what}, {form}")
        rows = await run_in_threadpool(self._desk.ask, name, question)
        if form == "csv":
            return PlainTextResponse(
                to_csv(ALL[name], rows),
                media_type="text/csv",
                headers={"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}.csv"'},
            )
        if form != "json":
            raise ConfigError(f"format is {form!r}: allowed are json and csv")
        about: dict[str, Any] = {"report": name, "site": question.site}
        about |= {"from": str(question.first), "to": str(question.last)}
        total = await run_in_threadpool(self._desk.total, name, question)
        columns = [{"name": key, "label": one.label, "kind": one.kind} for key, one in ALL[name].columns.items()]
        about |= {"columns": columns, "rows": rows, "total": total}
        return JSONResponse(about, headers={"Cache-Control": "no-store"})
