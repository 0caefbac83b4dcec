"""Who may ask: the site's own pages, and those of ALLOWED_ORIGINS while they are the same site (registrable domain).

A page of another site is refused also when it is listed, and is told why: no browser would send it the cookie, so no
choice made there could be kept. What is the same site the browser says (`Sec-Fetch-Site`); for one that doesn't, the
last two labels of the names decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.responses import Response

from .arrival import Arrival

_METHODS = "GET, POST"
_HEADERS = "Content-Type"
_DAY = "86400"


class Origins:
    """What ALLOWED_ORIGINS permits."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)
        self.any = bool(self._allowed)

    def refusal(self, arrival: Arrival) -> str:
        """Why this request can't be taken; empty when it can. A client that says nothing of itself is no browser."""
        if arrival.fetch_site in ("same-origin", "none"):
            return ""
        if not arrival.origin:
            return _OTHER if arrival.fetch_site else ""
        if not arrival.fetch_site and _host(arrival.origin) == arrival.host.lower():
            return ""
        if arrival.origin.lower() not in self._allowed:
            return _OTHER
        if arrival.fetch_site == "cross-site" or (not arrival.fetch_site and not _alike(arrival)):
            return (
                f"{arrival.origin} is in ALLOWED_ORIGINS, but is another site than {arrival.host}: browsers send it no "
                "cookie, so no choice could be kept. Only origins of the same registrable domain can be allowed."
            )
        return ""

    def headers(self, arrival: Arrival) -> dict[str, str]:
        """What lets a page of an allowed origin read the answer (the Fetch standard's CORS protocol)."""
        if not self._allowed:
            return {}
        if not arrival.origin or self.refusal(arrival):
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": arrival.origin,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }

    def preflight(self) -> Response:
        """The answer to a browser that asks before it sends JSON."""
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _HEADERS,
                "Access-Control-Max-Age": _DAY,
            },
        )


_OTHER = "This is taken only from this site's own pages, and from those of ALLOWED_ORIGINS."


def _host(origin: str) -> str:
    return urlsplit(origin).netloc.lower()


def _alike(arrival: Arrival) -> bool:
    one, other = (host.partition(":")[0].split(".")[-2:] for host in (_host(arrival.origin), arrival.host.lower()))
    return one == other
