"""Histograms whose observations are added up in memory first, and told by the hundred.

The library's own histogram takes one observation at a time, and in several processes each of them writes to a file
twice. Here a histogram is two counters, the sums and how many fell into each bucket, which do take a hundred at once;
whoever asks for the numbers gets them back as the histogram that they are.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BOUND = "le"
_BUCKET, _SUM, _TOTAL = "_bucket", "_sum", "_total"


class Spread:
    """Observations by their labels, added up until they are told: their sum, and how many fell into each bucket.

    >>> registry = CollectorRegistry()
    >>> spread = Spread("wait_seconds", "How long they waited.", ["model"], (0.5, 1.0), registry)
    >>> for seconds in (0.25, 0.75, 0.5):
    ...     spread.observe(("kinds",), seconds)
    >>> spread.flush()
    >>> (told,) = Histograms([spread], registry).collect()
    >>> [(sample.name, sample.labels.get("le"), sample.value) for sample in told.samples]  # doctest: +NORMALIZE_WHITESPACE
    [('wait_seconds_bucket', '0.5', 2.0), ('wait_seconds_bucket', '1.0', 3.0), ('wait_seconds_bucket', '+Inf', 3.0),
     ('wait_seconds_count', None, 3.0), ('wait_seconds_sum', None, 1.5)]
    """

    def __init__(
        self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float], own: CollectorRegistry
    ) -> None:
        self.name, self.about, self.labels = name, about, list(labels)
        self.marks = [*(str(float(bound)) for bound in bounds), "+Inf"]
        self._bounds = bounds
        self._falls = Counter(name + _BUCKET, about, [*labels, BOUND], registry=own)
        self._sums = Counter(name + _SUM, about, labels, registry=own)
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, ...], list[float]] = {}

    def observe(self, labels: tuple[str, ...], amount: float) -> None:
        """One observation, which must not be negative."""
        with self._lock:
            found = self._waiting.get(labels)
            if found is None:
                found = self._waiting[labels] = [0.0] * (len(self._bounds) + 2)
            found[0] += amount
            found[1 + bisect_left(self._bounds, amount)] += 1

    def flush(self) -> None:
        """Tell the library what has been added up."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for labels, (total, *counts) in waiting.items():
            self._sums.labels(*labels).inc(total)
            for mark, count in zip(self.marks, counts, strict=True):
                if count:
                    self._falls.labels(*labels, mark).inc(count)

    def told(self, falls: Metric | None, sums: Metric | None) -> HistogramMetricFamily:
        """The histogram that these two counters hold."""
        family = HistogramMetricFamily(self.name, self.about, labels=self.labels)
        counts: dict[tuple[str, ...], dict[str, float]] = {}
        for labels, mark, value in _values(falls, self.labels):
            counts.setdefault(labels, {})[mark] = value
        for labels, _, total in _values(sums, self.labels):
            below, buckets = 0.0, []
            for mark in self.marks:
                below += counts.get(labels, {}).get(mark, 0.0)
                buckets.append((mark, below))
            family.add_metric(labels, buckets, total)
        return family


def _values(counter: Metric | None, names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str, float]]:
    """The labels of these names, the bucket and the value of each count."""
    for sample in counter.samples if counter is not None else ():
        if sample.name.endswith(_TOTAL):
            yield tuple(sample.labels[name] for name in names), sample.labels.get(BOUND, ""), sample.value


class Histograms(Collector):
    """What another collector gives, with the histograms as histograms."""

    def __init__(self, spreads: Iterable[Spread], source: Collector) -> None:
        self._spreads = tuple(spreads)
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Every metric once."""
        found: Mapping[str, Metric] = {metric.name: metric for metric in self._source.collect()}
        parts = {spread.name + part for spread in self._spreads for part in (_BUCKET, _SUM)}
        yield from (metric for name, metric in found.items() if name not in parts)
        for spread in self._spreads:
            falls, sums = found.get(spread.name + _BUCKET), found.get(spread.name + _SUM)
            if sums is not None:
                yield spread.told(falls, sums)
