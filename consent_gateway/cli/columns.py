"""`consent-gateway columns`: what is kept, and on what basis."""

from __future__ import annotations

from rich.table import Table

from ..config.policy_file import load
from ..rule.columns import COLUMNS
from ..worker import now_ms
from .common import console, failing_in_one_line, read_settings


def columns() -> None:
    """Show every column that is kept: under which purpose and legal basis, from where, and for how long.

    The days are those of the policy in force.
    """
    with failing_in_one_line():
        policy = load(read_settings().POLICY).as_of(now_ms())
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("column", "purpose", "legal basis", "from", "days", "what it holds"):
        table.add_column(name, justify="right" if name == "days" else "left", no_wrap=name == "column")
    for column in COLUMNS:
        basis, days = policy.bases[column.purpose].value.replace("_", " "), str(policy.column_days(column))
        table.add_row(column.name, column.purpose, basis, column.source, days, column.words)
    console.print(table)
    console.print("\nA column whose purpose is not permitted stays empty. What is not in this list can't be stored.")
