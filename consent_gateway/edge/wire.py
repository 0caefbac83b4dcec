"""What may come over the wire: the single definition of events and choices, and how a refusal reads (RFC 9457)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import from_json
from starlette.responses import JSONResponse, Response

from ..rule.consent import Action
from .glance import like

MAX_EVENTS = 100
MAX_BODY = 256 * 1024
MAX_CHOICE = 8 * 1024
MAX_FORM = 64 * 1024  # of what goes to the back office
_MOST_FAULTS = 20  # told of one event or choice: an answer is not larger than what asked for it
MAX_AGE_MS = 30 * 60 * 1000

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Value = Annotated[str, StringConstraints(max_length=256)]
Milliseconds = Annotated[float, Field(ge=0, le=600_000)]


_MOMENT = {"anyOf": [{"type": "integer"}, {"type": "string", "format": "date-time"}]}


def _moment(value: Any) -> int:
    """Milliseconds since 1970, from those or from ISO 8601 with its offset: else nobody knows whose noon it is."""
    if isinstance(value, str):
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError("a time is given with its offset, such as Z or +01:00")
        return round(at.timestamp() * 1000)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a time is ISO 8601 or milliseconds since 1970")


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Timings(_Wire):
    """Browser timings of a page view; milliseconds from the start of the navigation, but for `cls`."""

    ttfb_ms: Milliseconds | None = None
    dom_ms: Milliseconds | None = None
    load_ms: Milliseconds | None = None
    fcp_ms: Milliseconds | None = None
    lcp_ms: Milliseconds | None = None
    inp_ms: Milliseconds | None = None
    cls: Annotated[float, Field(ge=0, le=100)] | None = None

    def kept(self) -> dict[str, float]:
        """Those that were sent."""
        return self.model_dump(exclude_none=True)


class WireEvent(_Wire):
    """One event of the page's script. Time, address and user agent come from the request."""

    type: Literal["page_view", "engagement", "custom"]
    url: Url
    view: Id | None = None
    id: Id | None = None
    age_ms: Annotated[int, Field(ge=0, le=MAX_AGE_MS)] = 0
    referrer: Annotated[str, StringConstraints(max_length=2048)] = ""
    name: Annotated[str, StringConstraints(max_length=64)] = ""
    props: Annotated[dict[Word, Value], Field(max_length=20)] = Field(default_factory=dict)
    engaged_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    scroll_pct: Annotated[int, Field(ge=0, le=100)] = 0
    timings: Timings | None = None
    screen: Literal["sm", "md", "lg"] | None = None


_GLANCE: Any = like(WireEvent)
_one, _many = msgspec.json.Decoder(_GLANCE).decode, msgspec.json.Decoder(list.__class_getitem__(_GLANCE)).decode


def read_events(body: bytes) -> tuple[list[WireEvent], list[dict[str, str]], int]:
    """The valid events, what is wrong with the others, and how many were sent."""
    try:
        if body[:1] == b"[":
            events = _many(body)
            if 1 <= len(events) <= MAX_EVENTS:
                return events, [], len(events)
        else:
            return [_one(body)], [], 1
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # the models say what is wrong, and take what can be understood
    if body.lstrip()[:1] != b"[":
        try:
            return [WireEvent.model_validate_json(body)], [], 1
        except ValidationError as error:
            return [], faults(error), 1
    try:
        items: list[Any] = from_json(body)
    except ValueError as error:
        return [], [{"field": "body", "why": str(error)[:200]}], 0
    if not 1 <= len(items) <= MAX_EVENTS:
        return [], [{"field": "body", "why": f"an array has 1 to {MAX_EVENTS} events, this one {len(items)}"}], 0
    read: list[WireEvent] = []
    wrong: list[dict[str, str]] = []
    for index, item in enumerate(items):
        try:
            read.append(WireEvent.model_validate(item))
        except ValidationError as error:
            wrong.append(faults(error, at=str(index))[0])
    return read, wrong, len(items)


class WireServerEvent(_Wire):
    """One event that the site's own server sends, with a token of scope `events`. It names the visitor; what they
    consented to only their cookie proves, so there is no field in which it could be said."""

    type: Literal["page_view", "custom"]
    url: Url
    at: Annotated[int, BeforeValidator(_moment), WithJsonSchema(_MOMENT)] | None = None
    id: Id | None = None
    view: Id | None = None
    referrer: Annotated[str, StringConstraints(max_length=2048)] = ""
    route: Annotated[str, StringConstraints(max_length=256)] = ""
    name: Annotated[str, StringConstraints(max_length=64)] = ""
    props: Annotated[dict[Word, Value], Field(max_length=20)] = Field(default_factory=dict)
    address: Annotated[str, StringConstraints(max_length=64), Field(repr=False)] = ""
    user_agent: Annotated[str, StringConstraints(max_length=1024)] = ""
    language: Annotated[str, StringConstraints(max_length=256)] = ""
    cookie: Annotated[str, StringConstraints(max_length=16_384), Field(repr=False)] = ""
    gpc: bool = False
    dnt: bool = False


class WireChoice(_Wire):
    """One choice of a visitor. `nonce` and `notice` are needed to grant, `purposes` to `save`."""

    action: Action
    purposes: Annotated[dict[Word, bool], Field(max_length=32)] = Field(default_factory=dict)
    notice: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    language: Annotated[str, StringConstraints(pattern=r"^([a-z]{2})?$")] = ""
    nonce: Annotated[str, StringConstraints(max_length=256)] = ""
    where: Literal["banner", "preferences", "page"] = "page"


class WireRight(_Wire):
    """A right that somebody exercises. `receipt` proves whose the consent is where no cookie does."""

    right: Literal[
        "access", "portability", "json", "csv", "rectification", "erasure", "restriction", "lift", "object", "unobject",
        "withdrawal", "complaint",
    ]  # fmt: skip
    receipt: Annotated[str, StringConstraints(max_length=MAX_FORM)] | dict[str, Any] = ""
    id: Annotated[str, StringConstraints(max_length=64)] = ""
    note: Annotated[str, StringConstraints(max_length=2000)] = ""
    language: Annotated[str, StringConstraints(pattern=r"^([a-z]{2})?$")] = ""


def faults(error: ValidationError, *, at: str = "") -> list[dict[str, str]]:
    """Which field is wrong and why, in words, without echoing what was sent; of very many the first."""
    found = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_FAULTS]:
        path = ".".join(str(part) for part in fault["loc"] if part != "[key]")
        found.append({"field": f"{at}{'.' if at and path else ''}{path}"[:200] or "body", "why": fault["msg"]})
    return found


def problem(status: int, title: str, errors: list[dict[str, str]] | None = None, **headers: str) -> Response:
    """A refusal as `application/problem+json`."""
    content: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if errors:
        content["errors"] = errors
    return JSONResponse(
        content,
        status,
        headers={"Cache-Control": "no-store"} | {name.replace("_", "-"): value for name, value in headers.items()},
        media_type="application/problem+json",
    )
