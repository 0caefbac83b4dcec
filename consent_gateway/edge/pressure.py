"""What gives way when more comes than can be stored, in this order: the dashboard, enrichment, events.

Pages, choices, withdrawals and rights never do: nothing here is asked for them. How full the spool is, or the queue for
a slow disk, says how far it has come; events are told 503 by the full spool or queue itself.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

from ..rule.event import Agent, Place
from ..rule.privacy import Rule


class Pressure(IntEnum):
    """Each one includes those before it."""

    NONE = 0
    READERS_WAIT = 1  # dashboard and stats are told 503, so that what they would ask the store is left to storing
    LEAN = 2  # events are kept without place, browser, system and device; whether it is a bot is always known


_READERS_FROM, _LEAN_FROM = 0.5, 0.75


def pressure(full: float) -> Pressure:
    """`full` is the share of what may wait: 1 is all of it."""
    if full < _READERS_FROM:
        return Pressure.NONE
    return Pressure.LEAN if full >= _LEAN_FROM else Pressure.READERS_WAIT


def lean(rule: Rule) -> Rule:
    """The same rule without enrichment. What makes an address or a text harmless is no enrichment, and stays."""
    look, nowhere = rule.look, Place()
    return replace(
        rule,
        look=replace(look, place=lambda text: nowhere, agent=lambda text: Agent(bot=look.agent(text).bot)),
    )
