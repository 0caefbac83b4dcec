"""`consent-gateway columns`: what is kept, and on what basis."""

from __future__ import annotations

from rich.table import Table

from ..rule.columns import COLUMNS
from ..rule.purposes import BUILT_IN
from .common import console


def columns() -> None:
    """Show every column that is kept: under which purpose and legal basis, from where, and for how long."""
    basis = {purpose.name: purpose.basis.value.replace("_", " ") for purpose in BUILT_IN}
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("column", "purpose", "legal basis", "from", "days", "what it holds"):
        table.add_column(name, justify="right" if name == "days" else "left", no_wrap=name == "column")
    for column in COLUMNS:
        table.add_row(
            column.name, column.purpose, basis[column.purpose], column.source, str(column.kept_days), column.words
        )
    console.print(table)
    console.print("\nA column whose purpose is not permitted stays empty. What is not in this list can't be stored.")
