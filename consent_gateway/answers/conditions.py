"""A question's filters as conditions of SQL. Values are parameters; columns come from the closed list of dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..rule.errors import ConfigError
from .dimensions import PROPERTY, Level, find
from .question import Filter
from .reports import REPORTS, Report

_TESTS = {
    "=": "{column} = {{{value}:String}}",
    "^": "startsWith({column}, {{{value}:String}})",
    "~": "positionCaseInsensitiveUTF8({column}, {{{value}:String}}) > 0",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """All filters of one dimension that are negated, or that are not: `test` holds for any of them, `says` is what it
    asks of the column alone, and `on_key` the same of the report's key of that dimension."""

    dimension: str
    level: Level
    says: str
    test: str
    negated: bool
    on_key: str

    @property
    def sql(self) -> str:
        return f"NOT ({self.test})" if self.negated else f"({self.test})"


def condition(
    report: Report,
    keys: Mapping[str, str],
    name: str,
    filters: Sequence[Filter],
    *,
    negated: bool,
    add: Callable[[str], str],
) -> Condition:
    """That of a dimension's filters. `keys` says what the report's own keys are called in its facts, `add` takes a
    value and gives the name of its parameter. `ConfigError` where the report can't be asked so."""
    dimension = find(name)
    assert dimension is not None
    level, column, more = dimension.level, dimension.column, ""
    if name in keys and level not in ("visitor", "event"):
        level = "key"
    elif level == "key":
        raise ConfigError(f"{name!r} is a filter of {_reports_with(name)} only")
    if report.ledger and level != "key":
        raise ConfigError(f"{report.name} comes from the ledger, which knows of no visitors: no filter {name!r}")
    if name.startswith(PROPERTY):
        key = add(name.removeprefix(PROPERTY))
        column, more = f"props[{{{key}:String}}]", f" AND mapContains(props, {{{key}:String}})"
    elif level == "happened":
        more = " AND type = 'custom'"
    values = [(one.operator, add(one.value)) for one in filters]

    def any_of(column: str) -> str:
        return " OR ".join(_TESTS[operator].format(column=column, value=value) for operator, value in values)

    on_key = any_of(f"facts.{keys[name]}") if name in keys else ""
    says = f"({any_of(column)})"
    return Condition(name, level, says, f"{says}{more}", negated, on_key)


def _reports_with(dimension: str) -> str:
    return " and ".join(name for name, one in REPORTS.items() if dimension in {key.dimension for key in one.keys})
