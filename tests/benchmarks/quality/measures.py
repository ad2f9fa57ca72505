"""What the p-values of a part amount to: ranking, recall at the budget, false alarms, honesty."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.benchmarks.quality.incidents import ANOMALIES, GROUPS, NUISANCES, WARM_UP, Incident
from tests.benchmarks.quality.judged import ALPHA, LOOSE_ALPHA, Judged
from tests.benchmarks.quality.material import Array
from worker.core.alerts import AlertPolicy, AlertState, Finding
from worker.core.policy import Budget
from worker.core.rfc3339 import seconds

PER_HOUR = LOOSE_ALPHA
CAUSES: Mapping[str, str] = {  # what a Moment of a kind is to be named as
    **{kind: f"visual:{kind}" for kind in ("covered", "dark", "defocused", "moved", "frozen")},
    "dead_microphone": "audio:silent",
    "danger_caption": "text:danger",
}


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well anomalies stand above all else; by group, above all that is no anomaly."""

    auroc: float
    average_precision: float
    auroc_without_nuisances: float
    groups: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Alerts:
    """Shares of anomalies that alert, their median delay in seconds, and what alerts wrongly."""

    recall: float
    delay_seconds: float | None
    nuisance_share: float
    false_alarms: int
    normal_moments: int


@dataclass(frozen=True, slots=True)
class Uniformity:
    """How far p-values are from uniform ones."""

    ks_distance: float
    below_01: float
    below_001: float


@dataclass(frozen=True, slots=True)
class Honesty(Uniformity):
    """p-values of normal Moments, and how many of nuisances are small."""

    nuisances_below_01: float


def joined(judged: Sequence[Judged], p_values: Sequence[Array]) -> tuple[Array, Array]:
    """Return kinds and p-values of several streams as one."""
    return np.concatenate([each.kinds for each in judged]), np.concatenate(p_values)


def ranking(kinds: Array, p_values: Array) -> Ranking:
    """Measure how anomalies rank. A high score is a small p-value."""
    surprise = -np.log(p_values)
    unusual = np.isin(kinds, list(ANOMALIES))
    calm = unusual | (kinds == "")
    groups = {}
    for group in GROUPS:
        mine = np.isin(kinds, [kind for kind, (name, _) in ANOMALIES.items() if name == group])
        kept = mine | ~unusual
        groups[group] = float(roc_auc_score(mine[kept], surprise[kept]))
    return Ranking(
        auroc=float(roc_auc_score(unusual, surprise)),
        average_precision=float(average_precision_score(unusual, surprise)),
        auroc_without_nuisances=float(roc_auc_score(unusual[calm], surprise[calm])),
        groups=groups,
    )


def separation(unusual: Array, p_values: Array) -> float:
    """Return the AUROC of small p-values for what is unusual."""
    return float(roc_auc_score(unusual, -np.log(p_values)))


def uniformity(p_values: Array) -> Uniformity:
    """Compare p-values with the uniform distribution."""
    ordered = np.sort(p_values)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    distance = max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1]))
    return Uniformity(
        ks_distance=float(distance),
        below_01=float((ordered < 0.01).mean()),
        below_001=float((ordered < 0.001).mean()),
    )


def honesty(kinds: Array, p_values: Array) -> Honesty:
    """Compare the p-values of normal Moments with the uniform distribution."""
    return Honesty(
        **asdict(uniformity(p_values[kinds == ""])),
        nuisances_below_01=float((p_values[np.isin(kinds, list(NUISANCES))] < 0.01).mean()),
    )


def alerts(judged: Sequence[Judged], p_values: Sequence[Array], alpha: float = ALPHA) -> Alerts:
    """Let the alert policy decide, anew for each incident, and once over all normal Moments."""
    policy = AlertPolicy(Budget(alpha), cooldown=0)
    delays: list[float] = []
    anomalies = nuisances = nuisance_alerts = 0
    for each, p in zip(judged, p_values, strict=True):
        for incident in each.encoded.stream.incidents:
            delay = _delay(policy, p, incident)
            if incident.is_nuisance:
                nuisances += 1
                nuisance_alerts += delay is not None
            else:
                anomalies += 1
                delays += [] if delay is None else [delay]
    return Alerts(
        recall=len(delays) / anomalies,
        delay_seconds=float(np.median(delays)) if delays else None,
        nuisance_share=nuisance_alerts / nuisances,
        false_alarms=alerts_while_normal(judged, p_values, alpha),
        normal_moments=sum(int((each.kinds == "").sum()) for each in judged),
    )


def alerts_while_normal(judged: Sequence[Judged], p_values: Sequence[Array], alpha: float) -> int:
    """Return how many alerts open over the normal Moments of each stream, as if nothing else."""
    policy = AlertPolicy(Budget(alpha), cooldown=0)
    normal = (p[each.kinds == ""] for each, p in zip(judged, p_values, strict=True))
    return sum(_opened(policy, p) for p in normal)


def named_right(judged: Sequence[Judged]) -> float:
    """Return the share of unusual Moments of single-cause anomalies whose first reason is right."""
    vote = {"visual": "visual", "tamper": "visual", "audio": "audio", "text": "text"}
    expected = {k: vote[group] for k, (group, _) in ANOMALIES.items() if group in vote}
    told = [(k, given) for k, given in _unusual(judged) if k in expected]
    right = sum(given[0].partition(":")[0] == expected[kind] for kind, given in told)
    return right / max(1, len(told))


def cause_right(judged: Sequence[Judged]) -> float:
    """Return in what share of the unusual Moments of the kinds of CAUSES that cause is named."""
    told = [(kind, given) for kind, given in _unusual(judged) if kind in CAUSES]
    return sum(given[0] == CAUSES[kind] for kind, given in told) / max(1, len(told))


def reason_share(judged: Sequence[Judged], kind: str, reasons: Collection[str]) -> float:
    """Return in what share of the unusual Moments of a kind one of the reasons is named."""
    told = [given for here, given in _unusual(judged) if here == kind]
    return sum(not set(reasons).isdisjoint(given) for given in told) / max(1, len(told))


def placed_right(judged: Sequence[Judged]) -> tuple[float, int]:
    """Return how often the hottest cell is where the incident changed the picture, of how many."""
    right = told = 0
    for each in judged:
        for place, (kind, cell) in enumerate(zip(each.kinds, each.cells, strict=True)):
            if cell is None or kind not in ANOMALIES or ANOMALIES[kind][0] != "visual":
                continue
            changed = each.encoded.stream.changed_cells(WARM_UP + place)
            told += 1
            right += bool(changed[cell])
    return right / max(1, told), told


def _unusual(judged: Sequence[Judged]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield kind and reasons of each Moment that is unusual at one false alarm an hour."""
    for each in judged:
        p_values = next(iter(each.p_values.values()))
        for kind, p, reasons in zip(each.kinds, p_values, each.reasons, strict=True):
            if p <= PER_HOUR:
                yield str(kind), reasons


def _delay(policy: AlertPolicy, p_values: Array, incident: Incident) -> float | None:
    state = AlertState()
    for number in range(incident.start, incident.end):
        finding = _finding(number, float(p_values[number - WARM_UP]))
        state, decision = policy.decide(state, finding)
        if decision.kind == "open":
            return float(number + 1 - incident.start)
    return None


def _opened(policy: AlertPolicy, p_values: Array) -> int:
    state, opened = AlertState(), 0
    for number, p in enumerate(p_values):
        state, decision = policy.decide(state, _finding(number, float(p)))
        opened += decision.kind == "open"
    return opened


def _finding(number: int, p_value: float) -> Finding:
    return Finding(seconds(number), seconds(number + 1), p_value, ("visual",))
