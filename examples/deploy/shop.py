"""The site that the examples here deploy: put yours in its place."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from consent_gateway import ConsentGateway, script_tag


async def home(request: Request) -> HTMLResponse:
    head = f"<title>Shop</title>{script_tag()}"
    foot = '<p><a href="/_cg/privacy" data-cg-open>Privacy choices</a></p>'
    return HTMLResponse(f"<!doctype html><html lang=en><head>{head}</head><body><h1>Shop</h1>{foot}</body></html>")


app = ConsentGateway(Starlette(routes=[Route("/", home)]))  # settings from the environment
