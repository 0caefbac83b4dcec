"""The OpenAPI document names every route that is served, and its bodies are the wire's own models."""

from __future__ import annotations

import json
from typing import Any

from consent_gateway.answers.question import _NAMES
from consent_gateway.answers.reports import ALL
from consent_gateway.edge import endpoints
from consent_gateway.edge.visitor import VISITOR_ROUTES
from consent_gateway.edge.wire import WireChoice, WireEvent
from consent_gateway.openapi import document
from tests.running import ROOT


def test_the_file_is_what_the_command_prints() -> None:
    kept = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert kept == json.loads(json.dumps(document())), "consent-gateway openapi > docs/openapi.json"


def test_every_route_is_in_it() -> None:
    paths = document()["paths"]
    for route, method in endpoints._ROUTES.items():
        path = route if route.startswith("/.") else f"/_cg{route}"
        assert method.lower() in paths[path], path
    for route in VISITOR_ROUTES:
        assert f"/_cg{route}" in paths, route
    office = {
        path for path in paths if endpoints._OFFICE.fullmatch(path.removeprefix("/_cg").replace("{report}", "pages"))
    }
    assert office == {f"/_cg{path}" for path in ("/stats/{report}", "/dashboard", "/sign-in", "/sign-out", "/own",
                                               "/openapi.json")}  # fmt: skip


def test_its_bodies_are_the_models() -> None:
    schemas = document()["components"]["schemas"]
    for model in (WireEvent, WireChoice):
        assert set(schemas[model.__name__]["properties"]) == set(model.model_fields)
    text = json.dumps(document())
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in schemas, name


def test_it_names_every_report_and_every_part_of_a_question() -> None:
    parameters: list[dict[str, Any]] = document()["paths"]["/_cg/stats/{report}"]["get"]["parameters"]
    assert parameters[0]["schema"]["enum"] == list(ALL)
    assert {one["name"] for one in parameters[1:]} == {*_NAMES, "format"}


def test_another_prefix() -> None:
    paths = document("/x")["paths"]
    assert "/x/events" in paths and "/.well-known/gpc.json" in paths
