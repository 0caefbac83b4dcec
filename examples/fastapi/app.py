"""A bakery with FastAPI. In this folder: uvicorn app:app"""

from __future__ import annotations

import sys
from pathlib import Path

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from starlette.responses import Response

from consent_gateway import ConsentGateway
from consent_gateway.jinja import add_to

sys.path.insert(0, str(Path(__file__).parent.parent / "bakery"))
from bakery import BREADS, ORDERS, STATIC, TEMPLATES, bake, oven, recipe

templates = Jinja2Templates(directory=TEMPLATES)
add_to(templates.env)
site = FastAPI(title="Bakery")
site.add_middleware(GZipMiddleware, minimum_size=1000)
catering = FastAPI()


class Order(BaseModel):
    bread: str


def page(request: Request, name: str, **context: object) -> Response:
    root = request.scope.get("app_root_path", request.scope["root_path"])
    return templates.TemplateResponse(request, name, {"root": root, "breads": BREADS, **context})


@site.get("/", response_class=HTMLResponse)
def home(request: Request) -> Response:  # a plain function runs in a thread; the consent is there too
    return page(request, "home.html")


@site.get("/breads/{slug}", response_class=HTMLResponse)
def bread(request: Request, slug: str) -> Response:
    if slug not in BREADS:
        raise HTTPException(404)
    return page(request, "bread.html", bread=BREADS[slug])


@site.get("/prices", response_class=HTMLResponse)
async def prices(request: Request) -> Response:
    return page(request, "prices.html")


@catering.get("/{city}", response_class=HTMLResponse)
async def cater(request: Request, city: str) -> Response:
    return page(request, "catering.html", city=city)


@site.get("/orders")
async def orders(request: Request) -> dict[str, object]:
    return {"baked": len(ORDERS), "seen": request.client.host if request.client else ""}


@site.post("/orders", status_code=202)
async def order(wish: Order, tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(bake, wish.bread)
    return {"ordered": wish.bread}


@site.get("/recipe")
async def stream() -> StreamingResponse:
    return StreamingResponse(recipe(), media_type="text/plain")


@site.get("/oven")
async def temperature() -> StreamingResponse:
    return StreamingResponse(oven(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@site.websocket("/bell")
async def bell(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({"rings": "at seven", "analytics": "consent" in socket.scope})
    await socket.close()


@site.get("/burnt")
async def burnt() -> None:
    raise RuntimeError("the bread is burnt")


site.mount("/catering", catering)
site.mount("/static", StaticFiles(directory=STATIC))
app = ConsentGateway(site)  # outermost; `site.add_middleware(ConsentGateway)` as the last call is the same
