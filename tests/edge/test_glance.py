"""What is read at a glance is what the models read: whatever comes, they agree, or the glance says nothing."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consent_gateway.edge import wire
from consent_gateway.edge.glance import like
from consent_gateway.edge.wire import WireEvent, read_events

GOOD: dict[str, Any] = {"type": "page_view", "url": "https://shop.example/a"}
texts = st.text(max_size=70) | st.sampled_from(
    ["0123456789abcdef", "0123456789abcdef\n", "sm", "custom", "", "1", "\ud800"]
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.integers(0, 100),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
timings = st.dictionaries(
    st.sampled_from([*wire.Timings.model_fields, "other"]), values | st.floats(0, 700_000), max_size=4
)
props = st.dictionaries(texts, texts, max_size=22)
fields = st.fixed_dictionaries(
    {},
    optional={name: values for name in [*WireEvent.model_fields, "more"]}
    | {"timings": timings | values, "props": props | values, "age_ms": st.integers(-1, 1_800_001) | values},
)


def by_the_model(body: bytes) -> dict[str, Any] | None:
    try:
        return WireEvent.model_validate_json(body).model_dump()
    except ValidationError:
        return None


def at_a_glance(body: bytes) -> dict[str, Any] | None:
    try:
        event = wire._one(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return {name: getattr(event, name) for name in event.__struct_fields__} | {
        "timings": event.timings and {name: getattr(event.timings, name) for name in event.timings.__struct_fields__}
    }


@given(fields, st.booleans())
@example({"view": "0123456789abcdef\n"}, True)
@example({"age_ms": 1.0}, True)
@example({"age_ms": "5"}, True)
@example({"age_ms": True}, True)
@example({"scroll_pct": 10**30}, True)
@example({"timings": {"ttfb_ms": 5}}, True)
@example({"props": {"": "x"}}, True)
def test_the_glance_takes_nothing_that_the_model_refuses(sent: dict[str, Any], whole: bool) -> None:
    body = json.dumps((GOOD if whole else {}) | sent).encode()
    seen = at_a_glance(body)
    assert seen is None or seen == by_the_model(body)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@example(b'{"type":"page_view","type":"custom","url":"/"}')
@example(b'{"type":"page_view","url":"\xff"}')
@example(b'{"type":"page_view","url":"/"} {}')
@example(b'{"type":"page_view","url":"\\ud800"}')
@example(b"[" * 100_000)
def test_nor_when_it_is_hardly_json(body: bytes) -> None:
    seen = at_a_glance(body)
    assert seen is None or seen == by_the_model(body)
    events, wrong, _ = read_events(body)
    assert bool(events) or bool(wrong), "who sent it is told"


def test_what_browsers_send_is_read_at_a_glance() -> None:
    full = GOOD | {
        "view": "0123456789abcdef", "id": "fedcba9876543210", "age_ms": 5, "referrer": "/", "name": "a", "screen": "sm",
        "props": {"plan": "B"}, "engaged_ms": 1, "scroll_pct": 100, "timings": {"ttfb_ms": 1, "cls": 0.5},
    }  # fmt: skip
    body = json.dumps(full).encode()
    assert at_a_glance(body) == by_the_model(body)
    events: list[Any]
    events, wrong, sent = read_events(body)
    assert type(events[0]) is not WireEvent and not wrong and sent == 1
    assert events[0].timings and events[0].timings.kept() == {"ttfb_ms": 1, "cls": 0.5}
    events, wrong, sent = read_events(json.dumps([full] * 100).encode())
    assert (len(events), wrong, sent) == (100, [], 100) and type(events[0]) is not WireEvent
    assert read_events(json.dumps([full] * 101).encode())[1][0]["why"] == "an array has 1 to 100 events, this one 101"


def test_a_rule_that_has_no_counterpart_is_noticed_when_the_program_starts() -> None:
    class Multiple(BaseModel):
        model_config = ConfigDict(extra="forbid")
        count: Annotated[int, Field(multiple_of=5)]

    class Moment(BaseModel):
        at: bytes

    for model in (Multiple, Moment):
        with pytest.raises(TypeError, match="no counterpart"):
            like(model)
