"""What an operator watches, for Prometheus: the books, the spool, the forwarder, and how long events take.

Figures come from files that all processes of the host share, so one answer speaks for all workers. A label holds a
site's name, a reason, a state: never anything of a visitor.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..record.books import LATENCIES, TIMED, UNWRITTEN, Key
from ..record.spool import Spool
from ..store.progress import Progress

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_TERMS = {
    "received": "Events that reached the gateway.",
    "accepted": "Events that passed the privacy rule and are in the spool or beyond.",
    "confirmed": "Events that the store has confirmed.",
    "erased": "Queued events that went with a withdrawal, an objection or an erasure.",
    "repeated": "Events that were sent again and had been written already, found when their segment was sealed.",
    "aside": "Events set aside: damaged in the spool, or refused by the store.",
    "unanswered": "Events in flight when their process ended.",
}


def expose(
    books: Counter[Key], spool: Spool, progress: Progress, requests: Mapping[str, int] = MappingProxyType({})
) -> bytes:
    """The metrics in Prometheus' text format. `requests` are those for rights: how many are in which state."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(
        _Gathered([*_of_books(books), *_of_spool(spool), *_of_forwarder(progress), *_of_requests(requests)])
    )
    return generate_latest(registry)


class _Gathered(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _of_books(books: Counter[Key]) -> Iterator[Metric]:
    for term, words in _TERMS.items():
        counted = CounterMetricFamily(f"consent_gateway_events_{term}", words, labels=["site"])
        for (site, found), count in sorted(books.items()):
            if found == term:
                counted.add_metric([site], count)
        yield counted
    dropped = CounterMetricFamily(
        "consent_gateway_events_dropped", "Events that were not kept, by reason.", labels=["site", "reason"]
    )
    for (site, term), count in sorted(books.items()):
        if term.startswith("dropped."):
            dropped.add_metric([site, term.removeprefix("dropped.")], count)
    yield dropped
    unwritten = CounterMetricFamily(
        "consent_gateway_choices_unwritten", "Choices in a flood: heeded, and left out of the ledger.", labels=["site"]
    )
    for (site, term), count in sorted(books.items()):
        if term == UNWRITTEN:
            unwritten.add_metric([site], count)
    yield unwritten
    for what, words in TIMED.items():
        total, buckets = 0, []
        for limit in (*LATENCIES, float("inf")):
            total += books[what, f"le.{limit}"]
            buckets.append(("+Inf" if limit == float("inf") else str(limit), total))
        yield HistogramMetricFamily(
            f"consent_gateway_{what}_seconds", words, buckets=buckets, sum_value=books[what, "microseconds"] / 1e6
        )


def _of_requests(requests: Mapping[str, int]) -> Iterator[Metric]:
    gauge = GaugeMetricFamily(
        "consent_gateway_rights_requests", "Requests for rights, by state; overdue is past promise or law.",
        labels=["state"],
    )  # fmt: skip
    for state, number in sorted(requests.items()):
        gauge.add_metric([state], number)
    yield gauge


def _of_spool(spool: Spool) -> Iterator[Metric]:
    segments = GaugeMetricFamily("consent_gateway_spool_segments", "Segments in the spool, by state.", labels=["state"])
    for folder in (spool.open, spool.sealed, spool.aside):
        segments.add_metric([folder.name], len(_files(folder)))
    yield segments
    yield GaugeMetricFamily("consent_gateway_spool_bytes", "Bytes in the spool.", value=spool.size())
    yield GaugeMetricFamily(
        "consent_gateway_spool_oldest_seconds", "Age of the oldest segment in it.", value=oldest_seconds(spool)
    )


def oldest_seconds(spool: Spool) -> float:
    """How long the oldest segment has been waiting for the store; 0 when none does."""
    now = time.time()
    waiting = (*_files(spool.open), *_files(spool.sealed))
    return now - min((_changed(path) for path in waiting), default=now)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # it went to the store while we looked
        return time.time()


def _of_forwarder(progress: Progress) -> Iterator[Metric]:
    yield CounterMetricFamily("consent_gateway_forward_batches", "Batches confirmed.", value=progress.batches)
    yield CounterMetricFamily("consent_gateway_forward_failures", "Rounds that ended early.", value=progress.failures)
    up = GaugeMetricFamily("consent_gateway_store_up", "1 when the last round reached the store.")
    up.add_metric([], 0 if progress.last_error else 1)
    yield up
    yield GaugeMetricFamily("consent_gateway_spool_trouble", "Files that need a person.", value=len(progress.trouble))
