"""On paper: from one core to a million events a second. Each number follows from a measured one or is named as assumed.

Measured are: CPU per event at the edge (one and twenty a request), CPU per row from spool to table, the bytes of a
request, of a line in the spool and of a row in the store. Run `bench.py` again and this recomputes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from load.figures import markdown, thousands


@dataclass(frozen=True)
class Assumed:
    """What is not measured. Change it on the command line."""

    rate: float = 1_000_000  # events a second
    busy: float = 0.6  # of each core at most, at that rate: the rest is for peaks and for a host that is gone
    cores_a_host: int = 16
    replicas: int = 2
    days: int = 30  # of rows that the disk holds
    core_hour: float = 0.04  # euro
    gigabyte_month: float = 0.05  # euro


def missing(figures: Mapping[str, Any]) -> list[str]:
    return [part for part in ("events", "forward") if part not in figures]


def calculate(figures: Mapping[str, Any], assumed: Assumed) -> list[tuple[str, str, str, str]]:
    """Quantity, formula, one event a request, twenty a request."""
    edge = [figures["events"][key]["micros"] for key in ("event", "batch")]
    sizes = figures["events"]["sizes"]
    row, spool, disk = figures["forward"]["micros"], sizes["spool"], figures["forward"]["stored_bytes"]
    wire = [sizes["event"], sizes["batch"] / sizes["events_a_batch"]]

    def line(words: str, formula: str, values: Sequence[float], places: int = 0) -> tuple[str, str, str, str]:
        one, twenty = (thousands(value) if not places else f"{value:.{places}f}" for value in values)
        return words, formula, one, twenty

    rate = assumed.rate
    edge_cores = [rate * micros / 1e6 / assumed.busy for micros in edge]
    office_cores = [rate * row / 1e6 / assumed.busy] * 2
    insert_cores = [rate * figures["forward"]["base_micros"] * assumed.replicas / 1e6 / assumed.busy] * 2
    hosts = [ceil((one + two) / assumed.cores_a_host) for one, two in zip(edge_cores, office_cores, strict=True)]
    shards = [ceil(cores / assumed.replicas / assumed.cores_a_host) for cores in insert_cores]
    day = rate * 86_400
    hours = [
        1e9 * (micros + row + figures["forward"]["base_micros"] * assumed.replicas) / 1e6 / 3600 / assumed.busy
        for micros in edge
    ]
    kept = 1e9 * disk * assumed.replicas / 1e9 * assumed.gigabyte_month * assumed.days / 30
    per_host = [rate * size * 8 / 1e9 / host for size, host in zip(wire, hosts, strict=True)]
    lines = [rate * spool / host for host in hosts]  # bytes a second into the spool of a host
    stored = day * disk * assumed.replicas / 1e12
    prices = [hour * assumed.core_hour for hour in hours]
    return [
        line("CPU at the edge, µs per event", "measured", edge, 1),
        line("CPU from spool to table, µs per row", "measured, the engine's part included", [row] * 2, 1),
        line("edge cores", "rate * µs / busy", edge_cores),
        line("back office cores", "rate * µs / busy", office_cores),
        line(f"hosts of {assumed.cores_a_host} cores", "(edge + office) / cores, rounded up", hosts),
        line("events a second and host", "rate / hosts", [rate / host for host in hosts]),
        line("network in, Gbit/s in all", "rate * bytes of a request", [rate * size * 8 / 1e9 for size in wire], 1),
        line("network in, Gbit/s per host", "/ hosts", per_host, 2),
        line("spool, MB/s written per host", "rate * bytes of a line / hosts", [bytes_ / 1e6 for bytes_ in lines]),
        line("spool, GB for an hour without store", "* 3600, per host", [bytes_ * 3600 / 1e9 for bytes_ in lines]),
        line(f"store cores, {assumed.replicas} replicas", "rate * µs of an insert * replicas / busy", insert_cores),
        line(f"shards of {assumed.cores_a_host} cores", "cores / replicas / cores of a host, rounded up", shards),
        line("store, TB a day with replicas", "rate * 86 400 * bytes of a row * replicas", [stored] * 2, 2),
        line(f"store, TB for {assumed.days} days", "* days", [stored * assumed.days] * 2, 1),
        line("core hours per billion events", "a billion * (edge + office + inserts) / 3600 / busy", hours, 1),
        line("euro per billion events, cores", f"* {assumed.core_hour} € (assumed)", prices, 2),
        line(
            f"euro per billion events, disk for {assumed.days} days",
            f"{assumed.gigabyte_month} € a GB and month (assumed)",
            [kept] * 2,
            2,
        ),
    ]


def text(figures: Mapping[str, Any], assumed: Assumed) -> str:
    lacking = missing(figures)
    if lacking:
        return f"Not calculated yet: {' and '.join(lacking)} not measured."
    head = ["", "from", "one event a request", "20 events a request"]
    about = (
        f"{thousands(assumed.rate)} events a second; assumed: cores {assumed.busy:.0%} busy, "
        f"{assumed.cores_a_host} cores a host, {assumed.replicas} replicas, prices as named."
    )
    return f"{about}\n\n{markdown(head, calculate(figures, assumed))}"
