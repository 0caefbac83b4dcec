"""What counts as a page view, everywhere in the product: in the middleware and in an access log alike."""

from __future__ import annotations

PAGE_VIEW = "page_view"
PAGE_ERROR = "page_error"

_PAGE_ENDINGS = (".html", ".htm", ".php", ".asp", ".aspx", ".jsp")


def page_type(method: str, status: int, path: str, html: bool | None = None) -> str | None:
    """`page_view` for a GET answered with 2xx or 304 and HTML, `page_error` for 4xx and 5xx of that kind, else `None`.

    `html` says whether the answer was HTML; `None` when that is not known (an access log, a 304): then a path counts
    whose last segment has no file extension, or a page's.
    """
    if method != "GET":
        return None
    if 200 <= status < 300 or status == 304:
        kind = PAGE_VIEW
    elif status >= 400:
        kind = PAGE_ERROR
    else:
        return None
    return kind if (looks_like_page(path) if html is None else html) else None


def looks_like_page(path: str) -> bool:
    """Judged by the last segment of a path without query."""
    last = path.rpartition("/")[2].lower()
    return "." not in last or last.endswith(_PAGE_ENDINGS)
