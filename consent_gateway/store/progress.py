"""What the forwarder has done since it started, and what stands in its way: for health and for the log."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

_NUMBERS = re.compile(r"[0-9a-f-]*[0-9][0-9a-f-]*")  # ids and addresses, which make the same error look new

log = logging.getLogger("consent_gateway.forwarder")


@dataclass
class Progress:
    """`aside` counts lines; `tries` how often the store refused a segment that still waits; `trouble` names what lies
    in the spool and can't be used."""

    rows: int = 0
    batches: int = 0
    failures: int = 0
    aside: int = 0
    last_error: str = ""
    tries: dict[str, int] = field(default_factory=dict)
    trouble: set[str] = field(default_factory=set)

    def name_trouble(self, path: Path, what: str) -> None:
        """Say it once."""
        name = f"{path.parent.name}/{path.name}"
        if name not in self.trouble:
            self.trouble.add(name)
            log.error("%s in the spool %s", name, what)

    def fail(self, error: str) -> None:
        """A round ended early; the same reason is said once."""
        self.failures += 1
        if _NUMBERS.sub("", error) != _NUMBERS.sub("", self.last_error):
            log.warning("events can't be brought into the store now, the spool keeps them: %s", error)
        self.last_error = error
