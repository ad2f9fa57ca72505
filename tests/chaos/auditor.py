"""The invariants of delivery as functions of what the topics hold: records in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from tests.chaos.story import Offsets, Place, Story, own_inputs
from worker.core.messages import Alert, Observation

TOLERANCE = 1e-9
SHOWN = 5  # violations that are told of each invariant


@dataclass(frozen=True)
class Finding:
    """One invariant: how many things were looked at, and every one that violates it."""

    invariant: str
    looked_at: int
    violations: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.violations

    def lines(self) -> Iterator[str]:
        verdict = "ok  " if self.holds else "FAIL"
        counts = f"{self.looked_at} looked at, {len(self.violations)} violations"
        yield f"{verdict} {self.invariant}: {counts}"
        yield from (f"       {each}" for each in self.violations[:SHOWN])


def audit(live: Story, reference: Story, offsets: Offsets) -> tuple[Finding, ...]:
    """Return the findings about a run, which `reference` tells without any fault."""
    return (*audit_alone(live), *compare(live, reference), *audit_offsets(offsets))


def audit_alone(story: Story) -> tuple[Finding, ...]:
    """Return what can be said without a reference."""
    seen, alerts = story.observations, story.alerts
    return (
        _finding("every input ends in exactly one place", story.inputs, inputs_end_once(story)),
        _finding("observation ids are unique", seen, observations_are_unique(story)),
        _finding("alert messages are unique, without gaps", alerts, alerts_are_gapless(story)),
        _finding("each alert message has its observation", alerts, alerts_are_observed(story)),
        _finding("observations of a source are in order", seen, windows_are_in_order(story)),
    )


def compare(live: Story, reference: Story) -> tuple[Finding, ...]:
    """Return what differs from an uninterrupted run over the same records."""
    seen, expected = reference.observations, reference
    return (
        _finding("contents equal the reference's", seen, differing(live, expected, contents)),
        _finding("judgements equal the reference's", seen, differing(live, expected, judgement)),
        _finding(
            "alerts equal the reference's", reference.alerts, differing_alerts(live, expected)
        ),
        _finding(
            "late events and dead letters equal the reference's",
            [*reference.late, *reference.dead],
            [
                *_unequal("late event", set(live.late), set(reference.late)),
                *_unequal("dead letter", _with_reasons(live), _with_reasons(reference)),
            ],
        ),
    )


def _with_reasons(story: Story) -> set[tuple[Place, str | None]]:
    return {(place, story.reasons.get(place)) for place in story.dead}


def audit_offsets(offsets: Offsets) -> tuple[Finding, ...]:
    """Return what the offsets say."""
    behind = [
        f"{each.topic}-{each.partition} is committed up to {committed} of {end}"
        for each, end in offsets.ends.items()
        if (committed := offsets.committed.get(each, 0)) != end
    ]
    hidden = [
        f"{topic}-{index} is stable up to {stable} of {end}"
        for (topic, index), (stable, end) in offsets.open.items()
    ]
    looks = range(offsets.looks)
    return (
        _finding("all inputs are committed at rest", offsets.ends, behind),
        _finding("no transaction is open at rest", range(offsets.partitions), hidden),
        _finding("committed offsets never go back", looks, offsets.went_back),
    )


def inputs_end_once(story: Story) -> Iterator[str]:
    """An input is in one observation, late event or dead letter, or repeats one that is."""
    endings: dict[Place, list[str]] = defaultdict(list)
    for seen in story.observations:
        for place in own_inputs(seen):
            endings[place].append(f"observation {seen.observation_id}")
    for kind, places in (("late event", story.late), ("dead letter", story.dead)):
        for place in places:
            endings[place].append(kind)
    accounted = {story.inputs.get(place) for place in endings} - {None}
    for place, identity in story.inputs.items():
        if len(endings[place]) > 1:
            yield f"{_named(place)} is in {', '.join(endings[place])}"
        if not endings[place] and identity not in accounted:
            yield f"{_named(place)} is nowhere"
    yield from (f"{_named(place)} was never sent" for place in endings.keys() - story.inputs.keys())


def observations_are_unique(story: Story) -> Iterator[str]:
    ids = Counter(seen.observation_id for seen in story.observations)
    return (f"observation {key} stands {count} times" for key, count in ids.items() if count > 1)


def alerts_are_gapless(story: Story) -> Iterator[str]:
    """The messages of an alert are numbered 0, 1, 2 and so on, in their order in the topic."""
    sequences: dict[str, list[int]] = defaultdict(list)
    for alert in story.alerts:
        sequences[alert.alert_id].append(alert.sequence)
    for key, found in sequences.items():
        if found != list(range(len(found))):
            yield f"alert {key} has the sequences {found}"


def alerts_are_observed(story: Story) -> Iterator[str]:
    """The observation that an alert message names is there and names the alert."""
    decided = {seen.observation_id: seen.decision.alert_id for seen in story.observations}
    for alert in story.alerts:
        named = alert.evidence.observation_id
        if decided.get(named, "") != alert.alert_id:
            yield f"alert {alert.message_id} names observation {named}, which does not name it"


def windows_are_in_order(story: Story) -> Iterator[str]:
    """Windows of one source follow each other; correlated Moments stand between them anywhere."""
    newest: dict[str, int] = {}
    for seen in story.observations:
        if seen.correlation_id is not None:
            continue
        if seen.window_start <= newest.get(seen.source, -1):
            yield f"observation {seen.observation_id} of {seen.source} comes after a later one"
        newest[seen.source] = max(seen.window_start, newest.get(seen.source, -1))


def contents(seen: Observation) -> dict[str, object]:
    """Return what a Moment consists of."""
    carried = {each.id for each in seen.inputs if each.carried}
    return {
        "window": (seen.source, seen.window_start, seen.window_end, seen.correlation_id),
        "inputs": own_inputs(seen),
        "carried": carried,
        "modalities": seen.modalities,
        "closed_by": seen.closed_by,
    }


def judgement(seen: Observation) -> dict[str, object]:
    """Return what was found out about a Moment."""
    told = seen.assessment
    return {
        "p_value": told.p_value,
        "score": told.score,
        "warming_up": told.warming_up,
        **{f"p_value of {name}": expert.p_value for name, expert in told.experts.items()},
        "decision": seen.decision,
    }


def differing(
    live: Story, reference: Story, aspect: Callable[[Observation], Mapping[str, object]]
) -> Iterator[str]:
    """Compare each observation, also where an id stands twice, with the reference's."""
    expected = {seen.observation_id: aspect(seen) for seen in reference.observations}
    found = {seen.observation_id for seen in live.observations}
    yield from _unequal("observation", found, set(expected))
    for seen in live.observations:
        if seen.observation_id in expected:
            wanted, told = expected[seen.observation_id], aspect(seen)
            for name in sorted(wanted.keys() | told.keys()):
                if not _same(told.get(name), wanted.get(name)):
                    yield (
                        f"observation {seen.observation_id}: {name} is {_short(told.get(name))},"
                        f" the reference has {_short(wanted.get(name))}"
                    )


def differing_alerts(live: Story, reference: Story) -> Iterator[str]:
    """Compare what the messages say, less their numbers: the observations have those."""
    return _unequal(
        "alert message", set(map(_message, live.alerts)), set(map(_message, reference.alerts))
    )


def _message(alert: Alert) -> tuple[object, ...]:
    return (alert.message_id, alert.type, alert.severity, alert.reasons, alert.window_start)


def _unequal(what: str, found: Set[object], expected: Set[object]) -> Iterator[str]:
    yield from (f"{what} {each} is missing" for each in sorted(expected - found, key=str))
    yield from (
        f"{what} {each} is not in the reference" for each in sorted(found - expected, key=str)
    )


def _same(told: object, wanted: object) -> bool:
    if isinstance(told, float) and isinstance(wanted, float):
        return abs(told - wanted) <= TOLERANCE
    return told == wanted


def _short(value: object) -> str:
    text = ", ".join(sorted(map(str, value))) if isinstance(value, frozenset | set) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _named(place: Place) -> str:
    return f"{place[0]}-{place[1]}@{place[2]}"


def _finding(invariant: str, looked_at: Iterable[object], violations: Iterable[str]) -> Finding:
    return Finding(invariant, sum(1 for _ in looked_at), tuple(violations))
