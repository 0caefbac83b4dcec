"""Peers to compare with, as their own documentation mounts them. Each runs as `peers.py NAME --fd N`, like `apps.py`.

Only what a peer needs is imported, so this runs in an environment that has the peer and not us.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

PAGE = (
    b"<!doctype html><html lang=en><title>A page</title><h1>A page</h1><p>" + b"Some text of a page. " * 60 + b"</html>"
)


async def page(scope: Any, receive: Any, send: Any) -> None:
    """The same bare page as in `apps.py`."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(PAGE)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})


def bare() -> Any:
    return page


def matomo() -> Any:
    """asgi-matomo around the bare page: one HTTP call to the sink for each page."""
    from asgi_matomo import MatomoMiddleware

    sink = f"http://127.0.0.1:{os.environ['SINK_PORT']}/matomo.php"
    return MatomoMiddleware(page, matomo_url=sink, idsite=1)


def django() -> Any:
    """A Django site with django-cookie-consent that writes a row for each hit into SQLite."""
    folder = Path(os.environ["PEER_DIR"])
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import django as package
    from django.conf import settings

    settings.configure(
        SECRET_KEY="only for a benchmark on loopback",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "cookie_consent"],
        MIDDLEWARE=["cookie_consent.middleware.CleanCookiesMiddleware"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "hits.sqlite3"),
                "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"},
            }
        },
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    package.setup()
    from django.core.asgi import get_asgi_application
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE hit (id INTEGER PRIMARY KEY, at TEXT, path TEXT, referrer TEXT, agent TEXT, language TEXT,"
            " network TEXT, consented INTEGER)"
        )
    connection.close()
    from cookie_consent.models import Cookie, CookieGroup

    group = CookieGroup.objects.create(varname="analytics", name="Analytics")
    Cookie.objects.create(cookiegroup=group, name="visitor")
    connection.close()
    return get_asgi_application()


def _urls() -> list[Any]:
    """Django asks for these when the first request comes."""
    from datetime import UTC, datetime
    from ipaddress import ip_network

    from cookie_consent.util import get_cookie_value_from_request
    from django.db import connection
    from django.http import HttpRequest, HttpResponse
    from django.urls import re_path

    def answer(request: HttpRequest) -> HttpResponse:
        address = request.headers.get("x-forwarded-for", "127.0.0.1").rpartition(",")[2].strip()
        network = ip_network(f"{address}/{48 if ':' in address else 24}", strict=False)
        consented = get_cookie_value_from_request(request, "analytics")
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO hit (at, path, referrer, agent, language, network, consented)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [
                    datetime.now(UTC).isoformat(),
                    request.path,
                    request.headers.get("referer", ""),
                    request.headers.get("user-agent", ""),
                    request.headers.get("accept-language", "")[:5],
                    str(network),
                    bool(consented),
                ],
            )
        return HttpResponse(PAGE)

    return [re_path("", answer)]


def __getattr__(name: str) -> Any:
    if name == "urlpatterns":
        return _urls()
    raise AttributeError(name)


async def _sink(fd: int) -> None:
    """Answers each of asgi-matomo's calls at once with 204."""

    class Call(asyncio.Protocol):
        data = b""

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.data += data
            while (end := self.data.find(b"\r\n\r\n")) >= 0:
                head = self.data[:end].lower()
                at = head.find(b"content-length:")
                body = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                if len(self.data) < end + 4 + body:
                    return
                self.data = self.data[end + 4 + body :]
                self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    server = await asyncio.get_running_loop().create_server(Call, sock=socket.socket(fileno=fd))
    await server.serve_forever()


APPS = {"bare": bare, "matomo": matomo, "django": django}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*APPS, "sink"])
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    if options.name == "sink":
        asyncio.run(_sink(options.fd))
        return
    import uvicorn

    config = uvicorn.Config(
        APPS[options.name](), loop="uvloop", http="httptools", ws="none", access_log=False, log_level="warning",
        proxy_headers=False, server_header=False, lifespan="auto", timeout_graceful_shutdown=2,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=options.fd)])


if __name__ == "__main__":
    sys.modules["peers"] = sys.modules[__name__]  # Django imports its URLs by this module's name
    main()
