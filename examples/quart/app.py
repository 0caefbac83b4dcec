"""A bakery with Quart. In this folder: hypercorn app:app"""

from __future__ import annotations

import sys
from pathlib import Path

from quart import Blueprint, Quart, Response, abort, jsonify, render_template, request, websocket
from starlette.middleware.gzip import GZipMiddleware

from consent_gateway import ConsentGateway
from consent_gateway.quart import add_to

sys.path.insert(0, str(Path(__file__).parent.parent / "bakery"))
from bakery import BREADS, ORDERS, STATIC, TEMPLATES, bake, oven, recipe

site = Quart(__name__, template_folder=str(TEMPLATES), static_folder=str(STATIC))
add_to(site)
catering = Blueprint("catering", __name__, url_prefix="/catering")


async def page(name: str, **context: object) -> str:
    return await render_template(name, root=request.root_path, breads=BREADS, **context)


@site.get("/")
async def home() -> str:
    return await page("home.html")


@site.get("/breads/<slug>")
async def bread(slug: str) -> str:
    if slug not in BREADS:
        abort(404)
    return await page("bread.html", bread=BREADS[slug])


@site.get("/prices")
async def prices() -> str:
    return await page("prices.html")


@catering.get("/<city>")
async def cater(city: str) -> str:
    return await page("catering.html", city=city)


@site.get("/orders")
async def orders() -> Response:
    return jsonify(baked=len(ORDERS), seen=request.remote_addr)


@site.post("/orders")
async def order() -> tuple[Response, int]:
    wish = await request.get_json()
    site.add_background_task(bake, wish["bread"])
    return jsonify(ordered=wish["bread"]), 202


@site.get("/recipe")
async def stream() -> Response:
    return Response(recipe(), mimetype="text/plain")


@site.get("/oven")
async def temperature() -> Response:
    response = Response(oven(), mimetype="text/event-stream", headers={"Cache-Control": "no-store"})
    response.timeout = None
    return response


@site.websocket("/bell")
async def bell() -> None:
    await websocket.accept()
    await websocket.send_json({"rings": "at seven", "analytics": "consent" in websocket.scope})


@site.get("/burnt")
async def burnt() -> str:
    raise RuntimeError("the bread is burnt")


site.register_blueprint(catering)
site.asgi_app = GZipMiddleware(site.asgi_app, minimum_size=1000)  # type: ignore[method-assign, assignment]
app = ConsentGateway(site)  # or `site.asgi_app = ConsentGateway(site.asgi_app)`, where `site` itself must be served
