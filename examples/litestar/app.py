"""A bakery with Litestar. In this folder: uvicorn app:app"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from litestar import Litestar, MediaType, Request, Router, WebSocket, asgi, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.config.compression import CompressionConfig
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.exceptions import NotFoundException
from litestar.response import Response, Stream, Template
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig
from starlette.responses import HTMLResponse

from consent_gateway import ConsentGateway
from consent_gateway.jinja import add_to

sys.path.insert(0, str(Path(__file__).parent.parent / "bakery"))
from bakery import BREADS, ORDERS, STATIC, TEMPLATES, bake, oven, recipe


def page(request: Request[Any, Any, Any], name: str, **context: object) -> Template:
    return Template(name, context={"root": request.scope.get("root_path", ""), "breads": BREADS, **context})


@get("/")
async def home(request: Request[Any, Any, Any]) -> Template:
    return page(request, "home.html")


@get("/breads/{slug:str}")
async def bread(request: Request[Any, Any, Any], slug: str) -> Template:
    if slug not in BREADS:
        raise NotFoundException
    return page(request, "bread.html", bread=BREADS[slug])


@get("/prices")
async def prices(request: Request[Any, Any, Any]) -> Template:
    return page(request, "prices.html")


@get("/{city:str}")
async def cater(request: Request[Any, Any, Any], city: str) -> Template:
    return page(request, "catering.html", city=city)


@get("/orders")
async def orders(request: Request[Any, Any, Any]) -> dict[str, object]:
    return {"baked": len(ORDERS), "seen": request.client.host if request.client else ""}


@post("/orders", status_code=202)
async def order(data: dict[str, str]) -> Response[dict[str, str]]:
    return Response({"ordered": data["bread"]}, background=BackgroundTask(bake, data["bread"]))


@get("/recipe")
async def stream() -> Stream:
    return Stream(recipe(), media_type=MediaType.TEXT)


@get("/oven")
async def temperature() -> Stream:
    return Stream(oven(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@websocket("/bell")
async def bell(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_json({"rings": "at seven", "analytics": "consent" in socket.scope})
    await socket.close()


@get("/burnt")
async def burnt() -> None:
    raise RuntimeError("the bread is burnt")


@asgi("/hours", is_mount=True)
async def hours(scope: Any, receive: Any, send: Any) -> None:
    """Any ASGI app can be mounted, here one answer of Starlette's."""
    await HTMLResponse("<!doctype html><title>Hours</title><p>Tuesday to Sunday, 7 to 18")(scope, receive, send)


engine = JinjaTemplateEngine(directory=TEMPLATES)
add_to(engine.engine)
site = Litestar(
    route_handlers=[
        home, bread, prices, orders, order, stream, temperature, bell, burnt, hours,
        Router("/catering", route_handlers=[cater]),
        create_static_files_router("/static", directories=[STATIC]),
    ],
    template_config=TemplateConfig(instance=engine),
    compression_config=CompressionConfig("gzip", minimum_size=1000),
)  # fmt: skip
app = ConsentGateway(site)  # around it, not among its middleware: those run only for routes that it knows
