"""What a page view is: the design's sentence, case by case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.rule.page import PAGE_ERROR, PAGE_VIEW, looks_like_page, page_type

V, E, N = PAGE_VIEW, PAGE_ERROR, None


@pytest.mark.parametrize(
    ("method", "status", "path", "html", "kind"),
    [
        # in the middleware, the answer's type is known
        ("GET",  200, "/",           True,  V),
        ("GET",  200, "/a.pdf",      True,  V),
        ("GET",  206, "/",           True,  V),
        ("GET",  200, "/",           False, N),
        ("GET",  304, "/",           True,  V),
        ("GET",  301, "/",           True,  N),
        ("GET",  302, "/",           True,  N),
        ("GET",  404, "/",           True,  E),
        ("GET",  500, "/",           True,  E),
        ("GET",  404, "/",           False, N),
        ("POST", 200, "/",           True,  N),
        ("HEAD", 200, "/",           True,  N),
        ("PUT",  500, "/",           True,  N),
        ("GET",  101, "/",           True,  N),
        # in an access log it is not, nor with a 304
        ("GET",  200, "/",           None,  V),
        ("GET",  200, "/about",      None,  V),
        ("GET",  200, "/v1.2/about", None,  V),
        ("GET",  200, "/about.html", None,  V),
        ("GET",  200, "/ABOUT.HTM",  None,  V),
        ("GET",  200, "/index.php",  None,  V),
        ("GET",  200, "/a.asp",      None,  V),
        ("GET",  200, "/a.aspx",     None,  V),
        ("GET",  200, "/a.jsp",      None,  V),
        ("GET",  304, "/about",      None,  V),
        ("GET",  200, "/logo.png",   None,  N),
        ("GET",  304, "/site.js",    None,  N),
        ("GET",  200, "/robots.txt", None,  N),
        ("GET",  200, "/feed.xml",   None,  N),
        ("GET",  404, "/missing",    None,  E),
        ("GET",  404, "/logo.png",   None,  N),
    ],
)  # fmt: skip
def test_page_type(method: str, status: int, path: str, html: bool | None, kind: str | None) -> None:
    assert page_type(method, status, path, html) == kind


@given(st.text(), st.integers(100, 599), st.text(), st.sampled_from([True, False, None]))
def test_only_a_get_is_one(method: str, status: int, path: str, html: bool | None) -> None:
    kind = page_type(method, status, path, html)
    assert kind in (None, PAGE_VIEW, PAGE_ERROR)
    assert kind is None or (method == "GET" and html is not False)
    looks_like_page(path)
