"""Behind the real nginx with a shared cache: nobody gets what another was answered, and addresses come through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from consent_gateway.beside import where
from consent_gateway.rule.errors import ConfigError
from tests.beside.gateway import Beside, spooled
from tests.beside.nginx import Nginx
from tests.examples.servers import consent_of
from tests.running import Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BROWSER = {"User-Agent": FIREFOX, "Accept": "text/html,*/*"}
PAGE = "<!doctype html><html lang=en><title>Shop</title>{tag}<h1>A shop of files</h1></html>"


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nginx, Beside]]:
    """A site of files, and the gateway beside it."""
    home = tmp_path_factory.mktemp("beside")
    with ExitStack() as started:
        gateway = started.enter_context(
            Beside(home / "gateway", SITE="shop", TRUSTED_PROXIES="127.0.0.1/32", BACK_OFFICE="external")
        )
        root = home / "site"
        root.mkdir()
        (root / "index.html").write_text(PAGE.format(tag=gateway.snippet()))
        nginx = started.enter_context(Nginx(home / "nginx", gateway=gateway.port, root=root))
        yield nginx, gateway


def test_nobody_gets_what_another_was_answered(beside: tuple[Nginx, Beside]) -> None:
    nginx, _ = beside
    assert nginx.get("/", BROWSER).text.startswith("<!doctype html>")
    for path in ("/_cg/site.js", "/"):
        nginx.get(path)
        assert nginx.get(path).headers["X-Cache"] == "HIT", f"the cache is on, and keeps {path}"
    granted, refused = consent_of(nginx, "accept_all"), consent_of(nginx, "reject_all")
    for path in ("/_cg/state?language=en", "/_cg/privacy?language=en", "/_cg/receipt"):
        mine = [nginx.get(path, BROWSER, cookies) for cookies in (granted, granted, refused, None)]
        assert mine[0].status == 200 and "HIT" not in {answer.headers["X-Cache"] for answer in mine}, path
        assert mine[1].status == 200, path
        assert mine[0].body != mine[2].body and mine[0].body != mine[3].body, path
        assert "no-store" in mine[0].headers["Cache-Control"], path
    states = [nginx.get("/_cg/state?language=en", cookies=cookies).json() for cookies in (granted, refused, None)]
    assert [state["status"] for state in states] == ["given", "refused", "unknown"]
    assert len({state["nonce"] for state in states}) >= 1
    assert nginx.get("/_cg/receipt", cookies=None).status == 404
    assert nginx.get("/_cg/dashboard").headers["X-Cache"] != "HIT"


def test_addresses_come_through_and_what_a_client_types_does_not(beside: tuple[Nginx, Beside]) -> None:
    nginx, gateway = beside
    event = {"type": "custom", "url": "http://127.0.0.1/", "name": "through"}
    for source, typed in (("127.8.9.10", ""), ("127.3.2.1", "198.51.100.7, 127.0.0.1")):
        headers = BROWSER | ({"X-Forwarded-For": typed} if typed else {})
        assert nginx.request("POST", "/_cg/events", headers, event, source=source).status == 204
    direct = gateway.request("POST", "/_cg/events", {"X-Forwarded-For": "203.0.113.5"}, event, source="127.5.5.5")
    assert direct.status == 204
    networks = {row["network"] for row in spooled(gateway) if row.get("name") == "through"}
    assert networks == {"127.8.9.0/24", "127.3.2.0/24", "127.5.5.0/24"}
    nginx.request("GET", "/logged", BROWSER, source="127.8.9.10")
    nginx.wait_for("the log", lambda: "/logged" in nginx.access_log.read_text())
    log = nginx.access_log.read_text()
    assert "127.8.9.0 - - [" in log and "127.8.9.10" not in log and "/_cg/" not in log


def test_who_objected_is_not_in_the_log_that_is_counted(beside: tuple[Nginx, Beside]) -> None:
    nginx, _ = beside
    agree, refuse, objects = (consent_of(nginx, action) for action in ("accept_all", "reject_all", "object"))
    strangers = {"session": "cg=1~~~~~~o", "x": "1"}
    for path, headers, cookies in (
        ("/seen-nobody", {}, None), ("/seen-agreed", {"Sec-GPC": "0"}, agree), ("/seen-refused", {}, refuse),
        ("/not-objected", {}, objects), ("/not-objected-too", {}, {"a": "b"} | objects | {"c": "d"}),
        ("/not-gpc", {"Sec-GPC": "1"}, agree), ("/not-dnt", {"DNT": "1"}, None), ("/seen-last", {}, strangers),
    ):  # fmt: skip
        nginx.get(path, BROWSER | headers, cookies)
    nginx.wait_for("the log", lambda: "/seen-last" in nginx.access_log.read_text())
    log = nginx.access_log.read_text()
    assert "/not-" not in log
    assert all(f"/seen-{who} " in log for who in ("nobody", "agreed", "refused"))


def test_only_the_gateways_routes_are_beside(beside: tuple[Nginx, Beside]) -> None:
    _, gateway = beside
    before = len(spooled(gateway))
    for path in ("/", "/page", "/_cgx/state"):
        answer = gateway.get(path, BROWSER)
        assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert gateway.get("/.well-known/gpc.json").json()["gpc"] is True
    gateway.recorded()
    assert len(spooled(gateway)) == before, "none of it is a page"
    assert "TRUSTED_PROXIES is empty" not in gateway.log()


def test_a_mounted_site_behind_the_same_cache(run_site: Callable[..., Site], tmp_path: Path) -> None:
    """A page that asked for the consent is never another's, and one that may be kept is counted by the script alone."""
    site = run_site(BACK_OFFICE="external", TRUSTED_PROXIES="127.0.0.1/32")
    with Nginx(tmp_path / "nginx", gateway=site.port, site=site.port) as nginx:
        granted = consent_of(nginx, "accept_all")
        for cookies, word in ((granted, "Yes"), (None, "No"), (granted, "Yes"), (None, "No")):
            answer = nginx.get("/members", BROWSER, cookies)
            assert f"<h1>{word}</h1>" in answer.text
            assert answer.headers["X-Cache"] == "MISS"
        views = set()
        for _ in range(2):
            page = nginx.get("/", BROWSER)
            assert page.headers["X-Cache"] == "MISS", "it carries its own view's id"
            views.add(page.headers["Server-Timing"])
        assert len(views) == 2
        first, second = nginx.get("/cached", BROWSER, granted), nginx.get("/cached", BROWSER)
        assert second.headers["X-Cache"] == "HIT" and first.body == second.body
        assert not {"Server-Timing", "Set-Cookie"} & set(second.headers)
        assert nginx.get("/echo", BROWSER).json()["client"][0] == "127.0.0.0"
        site.recorded()
        paths = [row["path"] for row in spooled(site)]
        assert paths.count("/members") == 4 and paths.count("/") == 2 and "/cached" not in paths


def test_where_it_may_listen() -> None:
    assert where("127.0.0.1:8700") == {"host": "127.0.0.1", "port": 8700}
    assert where("[::1]:8700") == {"host": "::1", "port": 8700}
    assert where("unix:/run/cg.sock") == {"uds": "/run/cg.sock"}
    for wrong in ("8700", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "unix:", "a:b"):
        with pytest.raises(ConfigError, match="HOST:PORT"):
            where(wrong)
