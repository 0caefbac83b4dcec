"""The HTTP routes as an OpenAPI 3.1 document: bodies from the wire's own models, reports from their register.

`consent-gateway openapi` prints it; `docs/openapi.json` is its output, and a test keeps the two and the routes alike.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, get_args

from .answers.figures import Kind
from .answers.question import COMPARISONS, INTERVALS
from .answers.reports import ALL
from .edge.wire import MAX_EVENTS, WireChoice, WireEvent, WireRight, WireServerEvent

_JSON, _HTML, _PROBLEM = "application/json", "text/html", "application/problem+json"
_FORM = "application/x-www-form-urlencoded"
_PROBLEMS = {
    400: "The request is not of the agreed form.",
    401: "Nobody who may read is signed in, or the token is none.",
    403: "From another site's page, or not permitted.",
    404: "There is nothing here.",
    405: "Another method.",
    409: "So many requests of one person are open already.",
    413: "Too large.",
    415: "Another content type.",
    422: "None of it was valid; the answer says why.",
    429: "Too many tries; after Retry-After.",
    503: "It can't be taken now; after Retry-After.",
}

Operation = dict[str, Any]


def document(prefix: str = "/_cg") -> dict[str, Any]:
    """The whole document; `prefix` is where the site has the routes."""
    bodies = (WireEvent, WireServerEvent, WireChoice, WireRight)
    models = {model.__name__: model.model_json_schema(ref_template=_REF) for model in bodies}
    schemas: dict[str, Any] = {}
    for name, schema in models.items():
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    schemas["Answer"] = {
        "type": "object",
        "required": ["report", "site", "from", "to", "columns", "rows", "total"],
        "properties": {
            "report": {"type": "string"},
            "site": {"type": "string"},
            "from": {"type": "string", "format": "date"},
            "to": {"type": "string", "format": "date"},
            "columns": {"type": "array", "items": {"$ref": _REF.format(model="Column")}},
            "rows": {"type": "array", "items": {"type": "object"}},
            "total": {"type": "object"},
        },
    }
    schemas["Column"] = {
        "type": "object",
        "required": ["name", "label", "kind"],
        "properties": {"name": {"type": "string"}, "label": {"type": "string"}, "kind": {"enum": list(get_args(Kind))}},
    }
    schemas["Problem"] = {
        "type": "object",
        "required": ["title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "errors": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Consent Gateway", "version": version("consent-gateway")},
        "paths": {path if path.startswith("/.") else prefix + path: item for path, item in _paths().items()},
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "consent-gateway tokens create"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-cg-owner"},
            },
        },
    }


_REF = "#/components/schemas/{model}"


def _paths() -> dict[str, dict[str, Operation]]:
    owner: list[dict[str, list[str]]] = [{"session": []}]
    readers: list[dict[str, list[str]]] = [{"session": []}, {"token": []}]
    return {
        "/site.js": {"get": _get("The banner and the measurement", "text/javascript")},
        "/more.js": {"get": _get("The measurement's extras", "text/javascript")},
        "/state": {"get": _get("Where this visitor stands", _JSON, 404, query=[_text("language")])},
        "/notices/{sha256}": {"get": _get("The exact notice of this hash", _JSON, 404, path="sha256")},
        "/choice": {
            "post": _post(
                "Take a choice, record it, answer state and receipt; 303 back to the page for a form",
                _model("WireChoice"),
                403,
                404,
                413,
                422,
                429,
                503,
                success=(200, 303),
                also=_FORM,
            )
        },
        "/events": {
            "post": _post(
                "Take one event, or up to 100; 200 when part of them was invalid",
                _events(),
                401,
                403,
                413,
                415,
                422,
                429,
                503,
                success=(200, 204),
                also="text/plain",
            )
            | {"security": [{}, {"token": []}]}
        },
        "/receipt": {"get": _get("The visitor's receipt", "application/ld+json", 404, 503)},
        "/receipt/verify": {"post": _post("Is this receipt genuine", {"type": "object"}, 413, 422, 503)},
        "/page.css": {"get": _get("The style of the visitor's pages", "text/css")},
        "/privacy": {"get": _get("The notice, all choices and all rights, as a page", _HTML, 404)},
        "/me": {
            "get": _get(
                "What is held about the bearer of a granted cookie; 303 to the privacy page for a browser without one",
                _JSON,
                404,
                422,
                503,
                query=[_text("id"), _text("language"), _text("format", enum=["json", "csv", "html"])],
                also=("text/csv", _HTML),
                elsewhere=True,
            )
        },
        "/rights": {
            "post": _post(
                "Exercise a right; 303 to the privacy page for a form",
                _model("WireRight"),
                403,
                404,
                409,
                413,
                422,
                503,
                success=(200, 303),
                also=_FORM,
            )
        },
        "/stats/{report}": {
            "get": _get(
                "A report",
                _JSON,
                401,
                404,
                422,
                503,
                path="report",
                among=list(ALL),
                query=_questions(),
                also=("text/csv",),
                model="Answer",
            )
            | {"security": readers}
        },
        "/openapi.json": {"get": _get("This document", _JSON, 503)},
        "/dashboard": {
            "get": _get("The reports as a page", _HTML, 401, 422, 503, elsewhere=True) | {"security": owner}
        },
        "/sign-in": {
            "get": _get(
                "The form; with a link's token it opens a session",
                _HTML,
                403,
                503,
                query=[_text("token"), _text("next")],
                elsewhere=True,
            ),
            "post": _form("Sign in", _fields("form", "name", "password"), 403, 413, 422, 429, 503),
        },
        "/sign-out": {
            "post": _form("End this session", _fields("form"), 401, 403, 413, 422, 503) | {"security": owner}
        },
        "/own": {
            "post": _form("Keep this browser out of the figures", _fields("form", "out"), 401, 403, 413, 422, 503)
            | {"security": owner}
        },
        "/health": {"get": _get("ok; details to a token of scope metrics", "text/plain", 503, also=(_JSON,))},
        "/metrics": {"get": _get("Prometheus metrics", "text/plain", 401, 403, 503) | {"security": [{"token": []}]}},
        "/.well-known/gpc.json": {"get": _get("That Global Privacy Control is heeded", _JSON)},
        "/.well-known/cg-keys.json": {"get": _get("Public keys of receipts and seals", _JSON)},
    }


def _get(
    summary: str,
    kind: str,
    *problems: int,
    query: list[Operation] | None = None,
    path: str = "",
    among: list[str] | None = None,
    also: tuple[str, ...] = (),
    model: str = "",
    elsewhere: bool = False,
) -> Operation:
    parameters = list(query or [])
    if path:
        schema = {"type": "string"} | ({"enum": among} if among else {})
        parameters.insert(0, {"name": path, "in": "path", "required": True, "schema": schema})
    content: dict[str, Any] = {one: {} for one in (kind, *also)}
    if model:
        content[kind] = {"schema": _model(model)}
    answers = {"200": {"description": summary, "content": content}}
    if elsewhere:
        answers["303"] = {"description": "Elsewhere.", "content": {}}
    answer = {"summary": summary, "responses": answers | _refusals((*problems, 405), page=kind == _HTML)}
    return answer | ({"parameters": parameters} if parameters else {})


def _post(
    summary: str, schema: Operation, *problems: int, success: tuple[int, ...] = (200,), also: str = ""
) -> Operation:
    kinds = (_JSON, also) if also else (_JSON,)
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}},
        "responses": {str(status): {"description": summary} for status in success} | _refusals((*problems, 405)),
    }


def _form(summary: str, schema: Operation, *problems: int) -> Operation:
    """A form of the pages of people, which are answered with pages."""
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {_FORM: {"schema": schema}}},
        "responses": {"303": {"description": summary}} | _refusals((*problems, 405), page=True),
    }


def _refusals(problems: tuple[int, ...], *, page: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {_PROBLEM: {"schema": _model("Problem")}} | ({_HTML: {}} if page else {})
    return {str(status): {"description": _PROBLEMS[status], "content": content} for status in problems}


def _model(name: str) -> Operation:
    return {"$ref": _REF.format(model=name)}


def _events() -> Operation:
    """Of a page, or with a token of the site's own server."""
    ones = [_model("WireEvent"), _model("WireServerEvent")]
    many = [{"type": "array", "items": one, "minItems": 1, "maxItems": MAX_EVENTS} for one in ones]
    return {"anyOf": ones + many}


def _fields(*names: str) -> Operation:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


def _text(name: str, **schema: Any) -> Operation:
    return {"name": name, "in": "query", "schema": {"type": "string"} | schema}


def _questions() -> list[Operation]:
    words = {
        "filter": "key=value, key!=value, key~part, key^start, key!~part or key!^start; @NAME is a saved one",
        "step": "of funnel and goals: /path, /start* or event:NAME",
    }
    several = [
        {"name": name, "in": "query", "explode": True, "description": text,
         "schema": {"type": "array", "items": {"type": "string"}}}
        for name, text in words.items()
    ]  # fmt: skip
    return [
        _text("site"),
        _text("from", format="date"),
        _text("to", format="date"),
        _text("bots", enum=["yes", "no"]),
        _text("limit", pattern="^[0-9]+$"),
        _text("interval", enum=list(INTERVALS)),
        _text("compare", enum=list(COMPARISONS)),
        _text("format", enum=["json", "csv"]),
        *several,
    ]
