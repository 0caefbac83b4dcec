"""Does a load test balance? What the clients sent, what the books say, and what is stored, side by side in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console


def compare(sent: Mapping[str, int], books: Mapping[str, int]) -> dict[str, bool]:
    """What must be so at the end, in words, and whether it is.

    `sent` counts as the clients saw it: `events` and `views` (pages that the site recorded), of these `unanswered`;
    `invalid` as the site said. `books` has `received`, `accepted`, `confirmed` and `dropped.<reason>`.
    """
    received, accepted, confirmed = (books.get(term, 0) for term in ("received", "accepted", "confirmed"))
    dropped = {term.removeprefix("dropped."): count for term, count in books.items() if term.startswith("dropped.")}
    most = sent["events"] + sent["views"]
    least = most - sent["unanswered"]
    refused = sum(dropped.values())
    total = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    told = sent["invalid"] + sent["overload"]
    counted = dropped.get("invalid", 0) + dropped.get("overload", 0)
    return {
        f"sent {total} = accepted {accepted:,} + refused {refused:,}": least <= accepted + refused <= most,
        f"received {received:,} = accepted + refused by reason {dropped}": received == accepted + refused,
        f"invalid or too much: the clients were told {told:,}, the books have {counted:,}": sent["unanswered"] > 0
        or told == counted,
        f"accepted {accepted:,} = confirmed by the store {confirmed:,}": accepted == confirmed,
    }


def percentile(times: Mapping[Any, int], share: float) -> float:
    """Of a histogram of milliseconds."""
    wanted, seen = sum(times.values()) * share, 0
    for value in sorted(times):
        seen += times[value]
        if seen >= wanted:
            return float(value)
    return 0.0


def show(report: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    best = report["best"]
    if best:
        console.print(
            f"\nHighest rate within the limit: [bold]{best[0]:,.0f} requests/s[/], "
            f"p50 {best[1]:.0f} ms, p99 {best[2]:.0f} ms"
        )
    else:
        console.print("\nNot even the first step kept the 99th percentile within the limit.")
    for text, fine in report["checks"].items():
        console.print(("[green]yes[/]  " if fine else "[red]NO[/]   ") + text.replace("[", "\\["))
