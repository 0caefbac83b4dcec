"""What the middleware makes of the site's own requests: page views, private responses, what the site may see."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.running import Row, Site

FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
PROXIED = {"arguments": ["--no-proxy-headers"], "TRUSTED_PROXIES": "127.0.0.1/32"}


def kinds(rows: list[Row]) -> list[tuple[str, str, str, str]]:
    return sorted((row["type"], row["path"], row["route"], row["http_status"]) for row in rows)


def test_what_counts_as_a_page_view(run_site: Callable[..., Site]) -> None:
    site = run_site(EXCLUDE_PATHS="/page/private")
    for path in (
        "/",
        "/page/x",
        "/any/a/b",
        "/nothing",
        "/json",
        "/style.css",
        "/cached",
        "/page/private",
        "/page/privateer",
    ):
        site.get(path, FIREFOX)
    assert site.get("/boom", FIREFOX).status == 500
    site.get("/page/fetched", FIREFOX | {"Sec-Fetch-Dest": "empty"})  # a part of a page, for its script
    site.get("/page/shown", FIREFOX | {"Sec-Fetch-Dest": "document"})
    site.request("HEAD", "/", FIREFOX)
    site.post("/echo", b"", FIREFOX)
    for name, value in (("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch"), ("X-Moz", "prefetch")):
        site.get("/page/prefetched", FIREFOX | {name: value})
    rows = site.stored()
    assert kinds(rows) == [
        ("page_error", "/boom", "/boom", "500"),
        ("page_error", "/nothing", "", "404"),
        ("page_view", "/", "/", "200"),
        ("page_view", "/any/a/b", "/any/{rest}", "200"),
        ("page_view", "/page/privateer", "/page/{slug}", "200"),
        ("page_view", "/page/shown", "/page/{slug}", "200"),
        ("page_view", "/page/x", "/page/{slug}", "200"),
    ]
    assert all(0 < float(row["server_ms"]) < 10_000 for row in rows)
    assert all(row["browser"] == "Firefox" and row["visitor"] != "0" for row in rows)
    assert len({row["view_id"] for row in rows if row["type"] == "page_view"}) == 5


def test_the_view_id_goes_to_the_script_only_where_no_shared_cache_keeps_it(run_site: Callable[..., Site]) -> None:
    site = run_site(BACK_OFFICE="external")
    page, cached = site.get("/", FIREFOX), site.get("/cached", FIREFOX)
    assert page.headers["Server-Timing"].startswith('cg;desc="') and page.headers["Cache-Control"] == "private"
    assert "Server-Timing" not in cached.headers and cached.headers["Cache-Control"] == "public, max-age=60"
    assert "Server-Timing" not in site.get("/json").headers and "Cache-Control" not in site.get("/json").headers


def test_a_page_that_is_no_view_says_so_to_the_script(run_site: Callable[..., Site]) -> None:
    """Or the script would send the view that the server didn't write."""
    site = run_site(EXCLUDE_PATHS="/page/private", BACK_OFFICE="external")
    assert site.get("/nothing", FIREFOX).headers["Server-Timing"] == 'cg;desc="404"'
    assert site.get("/page/private", FIREFOX).headers["Server-Timing"] == 'cg;desc="200"'
    assert site.request("HEAD", "/", FIREFOX).headers["Server-Timing"] == 'cg;desc="200"'
    for name, value in (("Sec-Purpose", "prefetch"), ("Sec-Fetch-Dest", "empty")):  # may be shown later
        answer = site.get("/", FIREFOX | {name: value})
        assert "Server-Timing" not in answer.headers and "Cache-Control" not in answer.headers


def test_a_page_that_asks_for_consent_is_private(run_site: Callable[..., Site]) -> None:
    site = run_site(BACK_OFFICE="external")
    members = site.get("/members", FIREFOX)
    assert members.headers["Cache-Control"] == "private, no-store"
    assert members.headers["Vary"] == "Cookie, Sec-GPC, DNT"
    assert "Vary" not in site.get("/", FIREFOX).headers


def test_several_sites_and_unknown_ones(run_site: Callable[..., Site]) -> None:
    site = run_site(SITES="https://shop.example=shop,https://blog.example=blog")
    for host in ("shop.example", "blog.example:443", "SHOP.example", "evil.example", ""):
        site.get("/", FIREFOX | {"Host": host})
    site.forwarded()
    counts = {(name, term): count for name, term, count in site.office("GET", "/books")}
    assert counts["-", "dropped.unknown_site"] == 2
    assert sorted(row["site"] for row in site.stored()) == ["blog", "shop", "shop"]


def test_the_site_sees_the_truncated_address_but_where_it_has_a_basis_of_its_own(run_site: Callable[..., Site]) -> None:
    site = run_site(**PROXIED, SCRUB_EXCEPT="/any", BACK_OFFICE="external")
    headers = {"X-Forwarded-For": "198.51.100.9, 203.0.113.77", "X-Real-IP": "203.0.113.77"}
    seen = site.get("/echo", headers).json()
    assert seen["client"] == ["203.0.113.0", 0]
    assert "203.0.113.77" not in str(seen) and "198.51.100.9" not in str(seen)
    assert ["x-forwarded-for", "203.0.113.0"] in seen["headers"]
    socket = site.websocket("/ws", headers)
    assert socket["client"] == ["203.0.113.0", 0] and "203.0.113.77" not in str(socket)
    site.get("/any/x", headers)
    assert "203.0.113.77" not in site.log(), "the server's log sees the truncated one there, too"


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "CF-Connecting-IP"])
def test_one_header_is_believed_and_only_of_a_trusted_proxy(run_site: Callable[..., Site], header: str) -> None:
    value = 'for="[2001:db8:85a3:1::7]:4711";proto=https' if header == "Forwarded" else "2001:db8:85a3:1::7"
    trusting = run_site(**PROXIED, PROXY_HEADER=header, BACK_OFFICE="external")
    assert trusting.get("/echo", {header: value}).json()["client"] == ["2001:db8:85a3::", 0]
    other = "X-Real-IP" if header != "X-Real-IP" else "Forwarded"
    assert trusting.get("/echo", {other: "2001:db8:85a3:1::7"}).json()["client"] == ["127.0.0.0", 0]
    doubting = run_site(PROXY_HEADER=header, BACK_OFFICE="external", arguments=["--no-proxy-headers"])
    assert doubting.get("/echo", {header: value}).json()["client"] == ["127.0.0.0", 0]


def test_without_lifespan_the_first_request_opens_it(run_site: Callable[..., Site]) -> None:
    site = run_site(arguments=["--lifespan", "off"])
    site.get("/", FIREFOX)
    assert kinds(site.stored()) == [("page_view", "/", "/", "200")]


def test_below_a_root_path(run_site: Callable[..., Site]) -> None:
    site = run_site(arguments=["--root-path", "/app"], BACK_OFFICE="external")
    assert site.get("/_cg/state").json()["status"] == "unknown"


def test_a_mounted_part_has_its_template(run_site: Callable[..., Site]) -> None:
    site = run_site()
    site.get("/mounted/acme/page", FIREFOX)
    (row,) = site.stored()
    assert row["path"] == "/mounted/acme/page" and row["route"].endswith("/page")


@pytest.mark.parametrize("app", ["site", "added"])
def test_a_wrong_setting_is_refused_at_start_in_one_sentence(run_site: Callable[..., Site], app: str) -> None:
    """Also where a framework makes its middleware inside the lifespan."""
    with pytest.raises(AssertionError) as refused:
        run_site(app, PREFIXES="24,99")
    said = str(refused.value)
    assert "CONSENT_GATEWAY_PREFIXES is '24,99'" in said and "allowed" in said and "Traceback" not in said
