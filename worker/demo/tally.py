"""Reads the worker's own metrics: do the counts reconcile, and where did the time go?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

OUTCOMES = ("paired", "late", "duplicate", "dead_letter", "returned", "known")


@dataclass(frozen=True, slots=True)
class Tally:
    """What a worker counted. `consumed` must equal the outcomes and what is buffered."""

    consumed: int
    outcomes: Mapping[str, int]  # one for each of OUTCOMES
    buffered: int
    stage_seconds: Mapping[str, float]
    encoded: Mapping[str, int]  # items by modality

    @property
    def reconciles(self) -> bool:
        """Whether every record that was read has ended in exactly one place, or waits for it."""
        return self.consumed == sum(self.outcomes.values()) + self.buffered

    def counts(self) -> dict[str, int]:
        """Return the counts as a report shows them."""
        return {
            "consumed": self.consumed,
            **self.outcomes,
            "buffered": self.buffered,
            "reconciled": self.reconciles,
        }


def read_tally(exposition: str) -> Tally:
    """Return the tally in the text of `/metrics`."""
    totals: Counter[str] = Counter()
    outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
    stages: dict[str, float] = {}
    encoded: Counter[str] = Counter()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            match sample.name:
                case "mmworker_records_consumed_total":
                    totals["consumed"] += int(sample.value)
                case "mmworker_pairing_buffer_entries":
                    totals["buffered"] += int(sample.value)
                case "mmworker_events_total":
                    outcomes[sample.labels["outcome"]] += int(sample.value)
                case "mmworker_encoder_items_total":
                    encoded[sample.labels["modality"]] += int(sample.value)
                case "mmworker_stage_duration_seconds_sum" if sample.value:
                    stages[sample.labels["stage"]] = float(sample.value)
    return Tally(totals["consumed"], dict(outcomes), totals["buffered"], stages, dict(encoded))
