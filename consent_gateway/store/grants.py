"""Two roles on a ClickHouse server: analysts read what stands on no consent, the gateway works on its own tables.

From the column register: a column of `analytics` (address, person, city) is not in the analysts' grant, so that no
query of theirs can read it, and one that is added to the register is not readable until its purpose says so. The
gateway's own role makes and changes tables of its database, and sees no other. The embedded engine has no users: there
the statements can only be parsed.
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
SERVICE = "consent_gateway_service"
# a migration drops a table, `CREATE OR REPLACE VIEW` a view; a column's days, comment and type are `ALTER COLUMN`, the
# rows' days `ALTER TTL`
_WORK = (
    "SELECT", "INSERT", "CREATE DATABASE", "CREATE TABLE", "DROP TABLE", "CREATE VIEW", "DROP VIEW", "ALTER COLUMN",
    "ALTER TTL", "ALTER UPDATE", "ALTER DELETE", "TRUNCATE",
)  # fmt: skip
_WATCHED = ("mutations", "parts", "detached_parts")  # of `system`: changes, what is there, what was set aside


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


def service(layout: Layout = SINGLE) -> Iterator[str]:
    """What makes the gateway's own role, in order. It may do what the back office does, and only in its database."""
    on = layout.on_cluster
    yield f"CREATE ROLE OR REPLACE {SERVICE}{on}"
    yield f"GRANT{on} {', '.join(_WORK)} ON {DATABASE}.* TO {SERVICE}"
    for table in _WATCHED:
        yield f"GRANT{on} SELECT ON system.{table} TO {SERVICE}"
    if layout.cluster:  # statements ON CLUSTER, and what `clusterAllReplicas` asks the others
        yield f"GRANT{on} CLUSTER, REMOTE, CREATE TEMPORARY TABLE ON *.* TO {SERVICE}"
