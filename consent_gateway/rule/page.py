"""What counts as a page view, everywhere in the product: in the middleware and in an access log alike."""

from __future__ import annotations

PAGE_VIEW = "page_view"
PAGE_ERROR = "page_error"

_PAGE_EXTENSIONS = {"", "html", "htm", "php", "asp", "aspx", "jsp"}


def page_type(method: str, status: int, path: str, html: bool | None = None) -> str | None:
    """`page_view` for a GET answered with 2xx or 304 and HTML, `page_error` for 4xx and 5xx of that kind, else `None`.

    `html` says whether the answer was HTML; `None` when that is not known (an access log, a 304): then a path counts
    whose last segment has no file extension, or a page's.
    """
    if method != "GET":
        return None
    if 200 <= status < 300 or status == 304:
        kind = PAGE_VIEW
    elif 400 <= status < 600:
        kind = PAGE_ERROR
    else:
        return None
    return kind if (looks_like_page(path) if html is None else html) else None


def looks_like_page(path: str) -> bool:
    """Judged by the extension of the last segment, without query and matrix parameters (`;jsessionid=…`)."""
    _, dot, extension = path.rpartition("/")[2].partition(";")[0].rpartition(".")
    return not dot or extension.lower() in _PAGE_EXTENSIONS
