"""Receipts: what a visitor gets as proof of a choice, shown again to its bearer, and checked for anyone.

The bearer of a granted cookie, or of a genuine receipt, sees the history of that consent's choices and nothing else. A
receipt of a refusal holds no identifier, so it proves itself alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..config.notices import Notices
from ..record.keys import Keys
from ..record.ledger import Ledger
from ..record.receipt import consent_id, document
from ..record.signature import is_genuine, published, signed
from .choices import TooLarge, read_body
from .wire import MAX_FORM, problem

Record = Mapping[str, Any]

_PUBLISHED_SECONDS = 3600
_MOST_READING = 4  # of one worker, at once


def _busy() -> Response:
    return problem(503, "Too many ask for receipts at once; try again in a moment.", Retry_After="2")


class Receipts:
    """Makes, shows and checks the receipts of one edge."""

    def __init__(self, keys: Keys, ledger: Ledger, notices: Notices, prefix: str) -> None:
        self._keys, self._ledger, self._notices, self._prefix = keys, ledger, notices, prefix
        self._key = keys.receipt
        self._reading = 0

    def take_up(self, keys: Keys) -> None:
        """Sign with what is there now."""
        self._keys, self._key = keys, keys.receipt

    def make(self, record: Record) -> dict[str, Any]:
        """The signed receipt of a record."""
        text = self._notices.text(str(record.get("notice", "")))
        notice = json.loads(text) if text else {}
        return signed(document(record, notice, self._prefix, receipt=True), self._key)

    async def show(self, consent: str) -> Response:
        """The receipts of a consent's choices, the newest first, as a file to keep. `consent` is that of a cookie."""
        if not consent:
            return problem(
                404,
                "No receipt can be found for this browser: a refusal is kept without anything that stands for you. "
                "The receipt that you were given when you chose can be checked with receipt/verify.",
            )
        found = await self._history(consent)
        if found is None:
            return _busy()
        if not found:
            return problem(404, "The ledger has no record of this consent.")
        return JSONResponse(
            found[0] | {"history": found[1:]},
            media_type="application/ld+json",
            headers={"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="receipt.jsonld"'},
        )

    async def verify(self, request: Request) -> Response:
        """Is this receipt genuine? Its bearer is also shown the other choices of the same consent."""
        try:
            sent = msgspec.json.decode(await read_body(request, MAX_FORM))
        except TooLarge:
            return problem(413, f"A receipt has at most {MAX_FORM} bytes.")
        except (msgspec.DecodeError, ValueError, RecursionError):
            return problem(422, "This is no receipt: it is not JSON.")
        if not isinstance(sent, dict):
            return problem(422, "This is no receipt: it is no JSON object.")
        alone = {name: value for name, value in sent.items() if name != "history"}
        answer: dict[str, Any] = {"genuine": is_genuine(alone, self._keys.public_keys)}
        if answer["genuine"]:
            found = await self._history(consent_id(alone))
            if found is None:
                return _busy()
            answer["history"] = [other for other in found if other["record_id"] != alone.get("record_id")]
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def _history(self, consent: str) -> list[dict[str, Any]] | None:
        """Reads all of the ledger, so few may at once: its threads are the site's, too. `None` when too many do."""
        if self._reading >= _MOST_READING:
            return None
        self._reading += 1
        try:
            return await run_in_threadpool(self._made, consent)
        finally:
            self._reading -= 1

    def _made(self, consent: str) -> list[dict[str, Any]]:
        return [self.make(record) for record in reversed(self._ledger.history(consent))]

    def published_keys(self) -> Response:
        """`/.well-known/cg-keys.json`: what verifies receipts and seals, earlier keys too."""
        return JSONResponse(
            published(self._keys.public_keys), headers={"Cache-Control": f"public, max-age={_PUBLISHED_SECONDS}"}
        )


def gpc_support(since: int) -> Response:
    """`/.well-known/gpc.json` (GPC specification, 5): that we honour the signal, and since when (milliseconds, UTC)."""
    day = f"{datetime.fromtimestamp(since / 1000, UTC):%Y-%m-%d}"
    return JSONResponse(
        {"gpc": True, "lastUpdate": day}, headers={"Cache-Control": f"public, max-age={_PUBLISHED_SECONDS}"}
    )
