"""What the bakery sells, and how its oven does: the same for every framework's example."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATES, STATIC = HERE / "templates", HERE / "static"
BREADS = {
    "sourdough": {"name": "Sourdough", "words": "Wheat, two days of patience, a thick crust.", "price": 5.2},
    "rye": {"name": "Rye", "words": "Dark, moist, with caraway.", "price": 4.6},
    "craquelin": {"name": "Craquelin", "words": "Brioche with pearl sugar, on Sundays.", "price": 3.4},
}
ORDERS: list[str] = []


async def bake(bread: str) -> None:
    """Work that is done after the answer is out."""
    await asyncio.sleep(0.05)
    ORDERS.append(bread)


async def recipe() -> AsyncIterator[bytes]:
    """A text that comes piece by piece."""
    for step in ("Mix.", "Wait.", "Fold.", "Wait.", "Bake."):
        yield f"{step}\n".encode()
        await asyncio.sleep(0.05)


async def oven() -> AsyncIterator[bytes]:
    """The oven's temperature as server-sent events."""
    for degrees in (180, 205, 230):
        yield f"event: oven\ndata: {degrees}\n\n".encode()
        await asyncio.sleep(0.1)
