"""What a control of the false-discovery rate makes of the alerts of a part's streams together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.quality.incidents import NUISANCES
from tests.benchmarks.quality.judged import NOW, Judged, in_time_order
from worker.core.alert_policies import AlertPolicies
from worker.core.alerts import AlertPolicy, Finding
from worker.core.false_discoveries import DiscoveryRate
from worker.core.policy import Budget
from worker.core.rfc3339 import seconds
from worker.runtime.alert_book import AlertBook

PER_DAY = 2400  # false alarms of a source: so many that a control has something to do
RATE = 0.1
COOLDOWN = seconds(30)


def controlled(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return true and false alerts of a loose budget, without and with a control at RATE."""
    return {"without": _alerts(judged, None), "with": _alerts(judged, DiscoveryRate(RATE))}


def _alerts(judged: Sequence[Judged], rate: DiscoveryRate | None) -> dict[str, int]:
    policy = AlertPolicy(Budget.of(PER_DAY, 1), COOLDOWN)
    book = AlertBook(AlertPolicies(policy, discovery_rate=rate), {})
    counts = Counter({"true": 0, "false": 0})
    for stream, number in in_time_order(judged):
        p_value = float(stream.p_values[NOW][number])
        finding = Finding(seconds(number), seconds(number + 1), p_value, ("visual",))
        decision = book.decide(stream.encoded.stream.source, finding, anew=False)
        if decision.kind == "open" and decision.alert is not None:
            began = decision.alert.start // seconds(1)
            counts["true" if _is_true(stream, began, number) else "false"] += 1
    return dict(counts)


def _is_true(stream: Judged, began: int, number: int) -> bool:
    """Tell whether an anomaly goes on in one of the Moments that it is about."""
    kinds = stream.kinds[began : number + 1]
    return any(kind and kind not in NUISANCES for kind in kinds)
