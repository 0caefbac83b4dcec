"""A bakery with Starlette. In this folder: uvicorn app:app"""

from __future__ import annotations

import sys
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.websockets import WebSocket

from consent_gateway import ConsentGateway
from consent_gateway.jinja import add_to

sys.path.insert(0, str(Path(__file__).parent.parent / "bakery"))
from bakery import BREADS, ORDERS, STATIC, TEMPLATES, bake, oven, recipe

templates = Jinja2Templates(directory=TEMPLATES)
add_to(templates.env)


def page(request: Request, name: str, **context: object) -> Response:
    root = request.scope.get("app_root_path", request.scope["root_path"])
    return templates.TemplateResponse(request, name, {"root": root, "breads": BREADS, **context})


async def home(request: Request) -> Response:
    return page(request, "home.html")


async def bread(request: Request) -> Response:
    found = BREADS.get(request.path_params["slug"])
    if found is None:
        raise HTTPException(404)
    return page(request, "bread.html", bread=found)


async def prices(request: Request) -> Response:
    return page(request, "prices.html")


async def catering(request: Request) -> Response:
    return page(request, "catering.html", city=request.path_params["city"])


async def order(request: Request) -> Response:
    if request.method == "GET":
        return JSONResponse({"baked": len(ORDERS), "seen": request.client.host if request.client else ""})
    wish = await request.json()
    return JSONResponse({"ordered": wish["bread"]}, 202, background=BackgroundTask(bake, wish["bread"]))


async def stream(request: Request) -> Response:
    return StreamingResponse(recipe(), media_type="text/plain")


async def temperature(request: Request) -> Response:
    return StreamingResponse(oven(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def bell(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({"rings": "at seven", "analytics": "consent" in socket.scope})
    await socket.close()


async def burnt(request: Request) -> Response:
    raise RuntimeError("the bread is burnt")


site = Starlette(
    routes=[
        Route("/", home),
        Route("/breads/{slug}", bread),
        Route("/prices", prices),
        Route("/orders", order, methods=["GET", "POST"]),
        Route("/recipe", stream),
        Route("/oven", temperature),
        WebSocketRoute("/bell", bell),
        Route("/burnt", burnt),
        Mount("/catering", Starlette(routes=[Route("/{city}", catering)])),
        Mount("/static", StaticFiles(directory=STATIC)),
    ],
    middleware=[Middleware(GZipMiddleware, minimum_size=1000)],
)
app = ConsentGateway(site)  # outermost: nothing sees the address before it
