"""The definitions of `wire`, once more in a faster library: made from them, field by field, so there is one definition.

What these types take, the models take too, with the same values (a test compares them). They take less: a number that
comes as text, say. So what they refuse is nobody's fault yet, and the models decide.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_LIMITS = ("ge", "le", "min_length", "max_length", "pattern")


def like(model: type[BaseModel], **methods: Any) -> Any:
    """A frozen structure with the fields, limits and defaults of a model that forbids others."""
    fields: list[tuple[Any, ...]] = []
    for name, field in model.model_fields.items():
        kind = _limited(_like(field.annotation), field.metadata)
        if field.is_required():
            fields.append((name, kind))
        elif (factory := field.default_factory) is not None:
            fields.append((name, kind, msgspec.field(default_factory=cast(Callable[[], Any], factory))))
        else:
            fields.append((name, kind, field.default))
    return msgspec.defstruct(
        model.__name__, fields, namespace=methods, kw_only=True, frozen=True, forbid_unknown_fields=True,
        omit_defaults=True,
    )  # fmt: skip


def _like(kind: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _limited(_like(parts[0]), parts[1:])
    if origin in (Union, UnionType):
        return Union[tuple(map(_like, parts))]  # noqa: UP007 - of how many is not known
    if origin is dict:
        return dict[tuple(map(_like, parts))]  # type: ignore[misc]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return like(kind, kept=_kept)
    if origin is Literal or kind in (str, int, float, NoneType):
        return kind
    raise TypeError(f"{kind} has no counterpart here")


def _limited(kind: Any, metadata: Any) -> Any:
    limits: dict[str, Any] = {}
    for one in chain.from_iterable(one.metadata if isinstance(one, FieldInfo) else [one] for one in metadata):
        found = {name: value for name in _LIMITS if (value := getattr(one, name, None)) is not None}
        if not found:
            raise TypeError(f"{one} has no counterpart here")
        limits |= found
    if "pattern" in limits:  # in Python `$` also holds before a line end
        limits["pattern"] = limits["pattern"].replace("$", r"\Z")
    return Annotated[kind, msgspec.Meta(**limits)] if limits else kind


def _kept(self: Any) -> dict[str, float]:
    return cast(dict[str, float], msgspec.to_builtins(self))  # without what is as if it were not sent
