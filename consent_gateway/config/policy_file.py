"""Reads a policy file: TOML over its preset, checked, and what is wrong said with its line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..rule.errors import ConfigError
from .policy import Policy

PRESETS = Path(__file__).parent / "presets"
_MOST_BYTES = 1024 * 1024
_TABLE = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?")
_WORDS = {"extra_forbidden": "is no key of a policy", "missing": "is missing"}
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+|\"[^\"]+\")(?:\s*\.\s*[A-Za-z0-9_.-]+)?\s*=")


def load(path: Path | None) -> Policy:
    """The policy of a file, or the default one. `ConfigError` in one sentence that names file, line and key."""
    if path is None:
        return Policy.model_validate(_preset("default"))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"CONSENT_GATEWAY_POLICY is {str(path)!r}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{path}: has {len(data)} bytes; allowed are {_MOST_BYTES}")
    try:
        return parse(data.decode())
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    except ConfigError as error:
        raise ConfigError(f"{path}, {error}") from None


def parse(text: str) -> Policy:
    """The policy of a file's text."""
    try:
        told = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"is no TOML: {error or 'nested too deeply'}") from None
    name = told.get("preset", "default")
    if not isinstance(name, str) or name not in {path.stem for path in PRESETS.glob("*.toml")}:
        known = ", ".join(sorted(path.stem for path in PRESETS.glob("*.toml")))
        raise ConfigError(f"line {line_of(text, ['preset'])}, preset is {name!r}: allowed are {known}")
    whole = merged(_preset(name), told)
    policy = _validated(text, told, whole, [])
    made: dict[str, Policy] = {}
    for number, version in enumerate(policy.versions):
        if made or version.policy or version.without:
            place: list[Any] = ["versions", number, "policy"]
            whole = merged(whole, version.policy)
            gone = set(version.without)
            if gone - {one.get("id") for one in whole["purposes"]}:
                raise ConfigError(f"line {line_of(text, [*place[:2], 'without'])}, without: no such purpose")
            whole["purposes"] = [one for one in whole["purposes"] if one.get("id") not in gone]
            made[version.version] = _validated(text, version.policy, whole, place)
    return policy.with_versions(made)


def _validated(text: str, told: Mapping[str, Any], whole: Mapping[str, Any], place: list[Any]) -> Policy:
    """A policy, of which `told` stands at a place of the text."""
    try:
        return Policy.model_validate(whole)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(_sentence(text, told, whole, place, first)) from None


def _preset(name: str) -> dict[str, Any]:
    told = tomllib.loads((PRESETS / f"{name}.toml").read_text("utf-8"))
    return told if name == "default" else merged(_preset("default"), told)


def _sentence(
    text: str, told: Mapping[str, Any], whole: Mapping[str, Any], place: list[Any], fault: Mapping[str, Any]
) -> str:
    loc = list(fault["loc"])
    words = _WORDS.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
    if not loc or loc[0] not in told:  # a fault of the whole: the key that it names first
        named = re.match(r"([a-z_]+):", words)
        at = line_of(text, [*place, named[1]] if named and named[1] in told else place)
        return f"line {at}: {words}"
    shown = ".".join(str(part) for part in loc)
    if loc[0] == "purposes" and len(loc) > 1 and isinstance(whole["purposes"][loc[1]], dict):
        name = whole["purposes"][loc[1]].get("id")
        own = [one.get("id") if isinstance(one, dict) else None for one in told["purposes"]]
        loc[1] = len(own) - 1 - own[::-1].index(name) if name in own else 0
        shown = ".".join(["purposes", str(name), *map(str, loc[2:])])
    key = re.match(r"([a-z_]+) (with|is|of|can't) ", words)
    at = line_of(text, [*place, *loc, key[1]] if key else [*place, *loc])
    return f"line {at}, {shown}: {words}"


def line_of(text: str, loc: Sequence[Any]) -> int:
    """The line (from 1) on which a key stands, or the nearest table around it. `loc` is a path of keys and indices."""
    wanted = [str(part) for part in loc]
    counts: dict[tuple[str, ...], int] = {}
    table: list[str] = []
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        head = _TABLE.match(line)
        if head:
            names = [name.strip().strip('"') for name in head[2].split(".")]
            table = []
            for index, name in enumerate(names):
                table.append(name)
                place = tuple(table)
                if head[1] == "[[" and index == len(names) - 1:
                    counts[place] = counts.get(place, -1) + 1
                if place in counts:
                    table.append(str(counts[place]))
            here = list(table)
        elif key := _KEY.match(line):
            here = [*table, key[1].strip('"')]
        else:
            continue
        if len(here) == len(wanted) + 1 and here[-1].isdecimal():
            here.pop()  # the first of a list stands for the list
        same = next((n for n, (one, other) in enumerate(zip(here, wanted, strict=False)) if one != other), None)
        reached = min(len(here), len(wanted)) if same is None else 0
        if reached > depth and len(here) <= len(wanted):
            best, depth = number, reached
    return best


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One policy laid over another: tables are joined, purposes by their id; all else of the upper one counts."""
    joined = dict(below)
    for key, value in above.items():
        old = joined.get(key)
        if key == "purposes" and isinstance(old, list) and isinstance(value, list):
            joined[key] = _purposes(old, value)
        elif isinstance(old, dict) and isinstance(value, dict):
            joined[key] = merged(old, value)
        else:
            joined[key] = value
    return joined


def _purposes(below: list[Any], above: list[Any]) -> list[Any]:
    own: dict[Any, Any] = {one.get("id"): one for one in below if isinstance(one, dict)}
    result: list[Any] = list(below)
    for one in above:
        name = one.get("id") if isinstance(one, dict) else None
        if name in own and own[name] in result:
            result[result.index(own[name])] = merged(own[name], one)
            own.pop(name)  # a second one of this name stands beside it, and is refused
        else:
            result.append(one)
    return result
