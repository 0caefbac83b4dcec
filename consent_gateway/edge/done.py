"""What a form has just done, carried to the page that says it: signed, so that a link can't make the page say what
never happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer

from .html import day

_SECONDS = 600
_FAILED = {"erasure_refused", "unproved", "empty", "many", "away"}


class Done:
    """Makes and reads what stands in `?done=`."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._signer = URLSafeTimedSerializer(
            list(secrets), salt="consent-gateway.done", signer_kwargs={"digest_method": sha256}
        )

    def mark(self, what: str, number: int = 0, due: str = "") -> str:
        return str(self._signer.dumps([what, number, due]))

    def words(self, mark: str, say: Mapping[str, Any], language: str) -> tuple[str, bool]:
        """The sentence that the page shows, and whether it went well; empty for a mark that is not ours or is old."""
        try:
            what, number, due = self._signer.loads(mark, max_age=_SECONDS)
            sentence: str = say["done"][what]
        except (BadSignature, ValueError, KeyError):
            return "", True
        return sentence.format(number=number, due=day(due, language) if due else ""), what not in _FAILED
