"""How much one network and one site may send, so that nobody fills the disk alone.

A bucket is one number: until when what was taken is paid off (the generic cell rate algorithm). Those of networks lie
in a table of fixed size, found by a hash of the truncated network under a key that only this process knows: no flood
makes it grow, and nobody can aim at another's place in it. Each worker counts for itself. What comes from this host
itself, as behind a proxy that is not trusted, is bounded by its site alone: there the network is nobody's.
"""

from __future__ import annotations

import math
import os
from array import array
from time import monotonic

from ..config.settings import Settings
from ..rule.address import Packed, Prefixes, truncate

_PLACES = 1 << 16
EVENT_SECONDS = 10.0  # so much at once as is allowed in this time
_CHOICE_SECONDS = 60.0
_HERE = bytes(15) + b"\1"


class Limit:
    """So many a second of one network and of one site, and at once as many as in `seconds`. 0 is no limit."""

    def __init__(self, per_network: float, per_site: float, seconds: float, prefixes: Prefixes) -> None:
        self._network_cost = 1 / per_network if per_network else 0.0
        self._site_cost = 1 / per_site if per_site else 0.0
        self._seconds, self._prefixes = seconds, prefixes
        self._networks = array("d", bytes(8 * _PLACES if per_network else 0))
        self._sites: dict[str, float] = {}
        self._secret = os.urandom(16)

    def take(self, address: Packed | None, site: str, count: int = 1, *, always: bool = False) -> int:
        """0 when so many were taken, else in how many seconds to come again. `site` is one of ours, or empty. `always`:
        they are here already, and only counted."""
        now = monotonic()
        until = now + self._seconds
        if (cost := self._network_cost) and address is not None and address[0] != 127 and address != _HERE:
            place = hash(self._secret + truncate(address, self._prefixes)) % _PLACES
            paid = self._networks[place]
            if paid >= until:
                if not always:
                    return max(1, math.ceil(paid - until))
                paid = until
            self._networks[place] = (paid if paid > now else now) + count * cost
        if cost := self._site_cost:
            paid = self._sites.get(site, 0.0)
            if paid >= until:
                if not always:
                    return max(1, math.ceil(paid - until))
                paid = until
            self._sites[site] = (paid if paid > now else now) + count * cost
        return 0


class Limits:
    """Those of one worker, by its settings."""

    def __init__(self, settings: Settings) -> None:
        prefixes = settings.PREFIXES
        self.events = Limit(settings.EVENTS_PER_NETWORK, settings.EVENTS_PER_SITE, EVENT_SECONDS, prefixes)
        self.choices = Limit(
            settings.CHOICES_PER_NETWORK / 60, settings.CHOICES_PER_SITE / 60, _CHOICE_SECONDS, prefixes
        )
