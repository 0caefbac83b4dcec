"""The bakery's pages."""

from __future__ import annotations

import json

from bakery import BREADS, ORDERS, STATIC, bake, oven, recipe
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.static import serve


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html", {"breads": BREADS})


def bread(request: HttpRequest, slug: str) -> HttpResponse:
    if slug not in BREADS:
        raise Http404
    return render(request, "bread.html", {"bread": BREADS[slug]})


def prices(request: HttpRequest) -> HttpResponse:
    rows = [(pieces, one["name"], pieces * one["price"]) for pieces in range(1, 13) for one in BREADS.values()]
    return render(request, "prices.html", {"rows": rows})


def cater(request: HttpRequest, city: str) -> HttpResponse:
    return render(request, "catering.html", {"city": city})


async def orders(request: HttpRequest) -> HttpResponse:
    """Django has no background tasks before 6.0; the order is baked while its baker waits."""
    if request.method == "GET":
        return JsonResponse({"baked": len(ORDERS), "seen": request.META.get("REMOTE_ADDR", "")})
    wish = json.loads(request.body)
    await bake(wish["bread"])
    return JsonResponse({"ordered": wish["bread"]}, status=202)


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(recipe(), content_type="text/plain")


async def temperature(request: HttpRequest) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-store", "Content-Encoding": "identity"}  # else its gzip would hold events back
    return StreamingHttpResponse(oven(), content_type="text/event-stream", headers=headers)


async def burnt(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the bread is burnt")


urlpatterns = [
    path("", home, name="home"),
    path("breads/<slug:slug>", bread, name="bread"),
    path("prices", prices, name="prices"),
    path("catering/", include([path("<str:city>", cater, name="catering")])),
    path("orders", orders),
    path("recipe", stream),
    path("oven", temperature),
    path("burnt", burnt),
    path("static/<path:path>", serve, {"document_root": STATIC}, name="static"),
]
