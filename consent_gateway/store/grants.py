"""A role for analysts on a ClickHouse server: reads what stands on no consent, changes nothing, within limits.

From the column register: a column of `analytics` (address, person, city) is not in the grant, so that no query of an
analyst can read it, and one that is added to the register is not readable until its purpose says so. The embedded
engine has no users: there the statements can only be parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..rule.columns import COLUMNS
from ..rule.purposes import ANALYTICS
from .client import DATABASE
from .layout import SINGLE, Layout

VIEWS = ("page_views", "visits")  # none of their columns needs consent
ROLE = "consent_gateway_analyst"


def readable() -> list[str]:
    """The columns of `events` that the role may read."""
    return [column.name for column in COLUMNS if column.purpose != ANALYTICS]


def statements(limits: Mapping[str, Any], layout: Layout = SINGLE) -> Iterator[str]:
    """What makes the role, in order. `limits` are settings that nobody with the role can change."""
    settings = ", ".join(f"{name} = {value} CONST" for name, value in limits.items() if name != "readonly")
    on = layout.on_cluster
    yield f"CREATE SETTINGS PROFILE OR REPLACE {ROLE}{on} SETTINGS readonly = 1, {settings}"
    yield f"CREATE ROLE OR REPLACE {ROLE}{on} SETTINGS PROFILE '{ROLE}'"
    columns = ", ".join(f"`{name}`" for name in readable())
    for table in dict.fromkeys(["events", layout.local("events")]):
        yield f"GRANT{on} SELECT({columns}) ON {DATABASE}.`{table}` TO {ROLE}"
    for view in VIEWS:
        yield f"GRANT{on} SELECT ON {DATABASE}.`{view}` TO {ROLE}"
