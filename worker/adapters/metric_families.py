"""Metric families whose label values are closed: what is not listed is counted as `other`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

PREFIX = "mmworker_"
OTHER = "other"

Metric = TypeVar("Metric", bound=MetricWrapperBase)
Allowed = Sequence[str] | None  # None: any value; for labels whose values the worker itself sets


class Family(Generic[Metric]):
    """One metric; call it with the values of its labels, in their order, for one series.

    All series of a family with closed labels exist from the start, so that rates and alerts see a
    zero before the first event. Series are found again by their values: to ask the library for one
    takes as long as to count.
    """

    def __init__(self, metric: Metric, labels: dict[str, Allowed]) -> None:
        self._metric = metric
        self._series: dict[tuple[object, ...], Metric] = {}
        self._allowed = [None if a is None else frozenset(a) for a in labels.values()]
        closed = [allowed for allowed in labels.values() if allowed is not None]
        if closed and len(closed) == len(labels):
            for values in product(*closed):
                self(*values)

    def __call__(self, *values: object) -> Metric:
        """Return the series; an unlisted value becomes `other`."""
        if not self._allowed:
            return self._metric
        known = self._series.get(values)
        if known is not None:
            return known
        texts = tuple(map(str, values))
        pairs = zip(texts, self._allowed, strict=True)
        shown = [text if allowed is None or text in allowed else OTHER for text, allowed in pairs]
        series = self._metric.labels(*shown)
        if tuple(shown) == texts:  # else there might be no end of values
            self._series[values] = series
        return series

    def clear(self) -> None:
        """Forget all series."""
        self._series.clear()
        self._metric.clear()


class Families:
    """Makes families in one registry, and knows their labels by full name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.labels: dict[str, tuple[str, ...]] = {}
        self._registry = registry

    def counter(self, name: str, meaning: str, **labels: Allowed) -> Family[Counter]:
        """Return a counter; its name ends with `_total`."""
        full = self._named(name, labels)
        return Family(Counter(full, meaning, tuple(labels), registry=self._registry), labels)

    def gauge(self, name: str, meaning: str, **labels: Allowed) -> Family[Gauge]:
        """Return a gauge."""
        full = self._named(name, labels)
        return Family(Gauge(full, meaning, tuple(labels), registry=self._registry), labels)

    def histogram(
        self, name: str, meaning: str, buckets: Sequence[float], **labels: Allowed
    ) -> Family[Histogram]:
        """Return a histogram with these upper bounds, which belong to their buckets."""
        full = self._named(name, labels)
        metric = Histogram(full, meaning, tuple(labels), registry=self._registry, buckets=buckets)
        return Family(metric, labels)

    def _named(self, name: str, labels: dict[str, Allowed]) -> str:
        full = PREFIX + name
        self.labels[full] = tuple(labels)
        return full
