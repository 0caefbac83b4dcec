"""What `doctor` looks at that is told by files, the clock and the settings: a line each, with what to do.

Pure but for reading what it is pointed at, so that each line is tested by itself.
"""

from __future__ import annotations

import ctypes
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

from ..config.settings import Settings
from ..store.backup import LAST

_DAY = 86_400.0
_BUILT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()  # no right clock is before this
_BACKUP_DAYS = 8
_UNSEALED_SECONDS = 2 * 3600.0
_GRACE_DAYS = 32  # the engine takes expired rows away when it merges, a month's partition at the latest
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_WIDE = {4: 8, 6: 16}


class Finding(NamedTuple):
    """One line of the page: `good`, `note` or `bad`, what was found, and what to do about it."""

    grade: str
    words: str
    advice: str = ""


def is_synchronised() -> bool | None:
    """Does a time service keep this host's clock? `None` where the kernel doesn't say."""
    try:
        state = ctypes.CDLL(None).adjtimex(bytes(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def clock(newest: str, now: float, synchronised: bool | None) -> Iterator[Finding]:
    """`newest` is the time of the ledger's newest record, as text; empty when there is none."""
    if now < _BUILT:
        yield Finding("bad", "the clock of this host is behind", "set it: consents and retention depend on it")
    elif newest and datetime.fromisoformat(newest).timestamp() > now + 300:
        yield Finding("bad", f"the clock went back: a choice was recorded at {newest}", "set it, and find out why")
    elif synchronised is False:
        yield Finding("note", "the clock is right now, as far as can be told, and no time service keeps it",
                      "run chrony or systemd-timesyncd: consents, retention and days depend on it")  # fmt: skip
    else:
        yield Finding("good", f"the clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC")


def ledger(state: Mapping[str, Any], now: float) -> Iterator[Finding]:
    """What a look at the whole ledger found (`consent-gateway ledger verify` says all of it)."""
    for fault in state["faults"][:3]:
        yield Finding(
            "bad", f"the ledger: {fault['place']} {fault['why']}", "consent-gateway ledger verify says since when"
        )
    left = state["records"] - state["sealed"]
    last = datetime.fromisoformat(state["last_seal"]).timestamp() if state["last_seal"] else None
    if left and last is not None and now - last > _UNSEALED_SECONDS:
        yield Finding("bad", f"{left:,} choices are not sealed, the last seal is of {state['last_seal'][:16]}",
                      "the back office seals hourly: see its log")  # fmt: skip
    elif not state["faults"]:
        yield Finding("good", f"the ledger is as it was written: {state['records']:,} choices, {state['seals']} seals")
    if state["store_error"]:
        yield Finding("note", f"seals in the store can't be read: {state['store_error']}", "they are looked at later")


def backups(data_dir: Path, now: float) -> Iterator[Finding]:
    """The last one that `consent-gateway backup` made here."""
    advice = "run consent-gateway backup daily, and keep KEYS_DIR elsewhere: neither is in the other"
    try:
        made = json.loads((data_dir / LAST).read_text())
        days = (now - datetime.fromisoformat(made["made_at"]).timestamp()) / _DAY
    except (OSError, ValueError, KeyError, TypeError):
        yield Finding("note", "no backup was made by this installation", advice)
        return
    words = f"the last backup is {days:,.0f} days old: {made['path']}"
    if days > _BACKUP_DAYS:
        yield Finding("note", words, advice)
    elif not Path(made["path"]).exists():
        yield Finding("good", f"{words} (moved away since)")
    else:
        yield Finding("good", words)


def retention(found: Mapping[str, Any], days: int, now: float) -> Iterator[Finding]:
    """`days` is how long the policy keeps a row."""
    oldest = found["oldest"]
    age = (now - oldest) / _DAY if oldest else 0.0
    if age > days + _GRACE_DAYS:
        yield Finding("bad", f"rows of {age:,.0f} days are in the store; the policy keeps {days}",
                      "OPTIMIZE TABLE consent_gateway.events FINAL, and see whether merges are stopped")  # fmt: skip
    else:
        yield Finding("good", f"nothing is kept longer than the policy says ({days} days; the oldest is {age:,.0f})")


def reach(settings: Settings) -> Iterator[Finding]:
    """Whom the gateway believes, and whom it bounds."""
    if settings.TRUSTED_PROXIES:
        yield Finding("good", f"{settings.PROXY_HEADER} is believed from {', '.join(settings.TRUSTED_PROXIES)}")
    else:
        advice = "behind a proxy set CONSENT_GATEWAY_TRUSTED_PROXIES, and start uvicorn with --no-proxy-headers"
        yield Finding("note", "no proxy is trusted: the address is that of who connects", advice)
    for name in ("TRUSTED_PROXIES", "METRICS_NETWORKS"):
        for network in getattr(settings, name):
            if network != "unix" and ip_network(network).prefixlen < _WIDE[ip_network(network).version]:
                what = "claim any address" if name == "TRUSTED_PROXIES" else "read the metrics"
                yield Finding("bad", f"{name} has {network}: nearly everybody may {what}", "name your own networks")
    off = [name for name in ("EVENTS_PER_NETWORK", "CHOICES_PER_NETWORK") if not getattr(settings, name)]
    if off:
        yield Finding("note", f"{' and '.join(off)} are 0: one network may fill the disk", "leave them as they come")
    if settings.SALTS != "memory-file":
        yield Finding("good", "salts are shared with the other hosts, in a Redis that keeps nothing on a disk")


def newest_choice(data_dir: Path) -> str:
    """When the ledger's last choice was made; empty when there is none."""
    months = sorted((data_dir / "ledger").glob("20*.jsonl"))
    try:
        with months[-1].open("rb") as file:
            file.seek(max(0, months[-1].stat().st_size - 8192))
            return str(json.loads(file.read().splitlines()[-1])["at"])
    except (IndexError, OSError, ValueError, KeyError, TypeError):
        return ""


def now_seconds() -> float:
    return time.time()
