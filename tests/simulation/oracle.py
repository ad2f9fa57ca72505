"""A second, much simpler opinion on lateness and on silence, from the inputs alone.

It follows frames and clips without correlation id, and says which are surely late and which surely
not. It knows nothing of Moments, outputs, or other sources: so it finds what the worker and its
undisturbed run get wrong alike, above all an event lost to another camera's clock or modality.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.simulation.plan import Plan
from tests.simulation.reading import Document, Place, Reading
from worker.core.envelope import EnvelopeRules, parse
from worker.core.events import Event, Modality
from worker.core.ports import TopicPartition
from worker.core.rfc3339 import seconds
from worker.errors import InvalidEventError
from worker.runtime.topics import topic_of_modality

SECOND = 1_000_000


@dataclass
class _Source:
    """Fronts and open windows of one source. It is closed surely to `low`, at most to `high`."""

    fronts: dict[Modality, int] = field(default_factory=dict)
    windows: set[int] = field(default_factory=set)
    captions: set[int] = field(default_factory=set)
    low: int = 0
    high: int = 0
    heard: int = 0
    is_silent: bool = False  # as all are after a drain, until they are heard again
    woken: int = 0  # when it came back from its last silence


def misplaced(plan: Plan, reading: Reading, drained: Mapping[TopicPartition, int]) -> Iterator[str]:
    """Yield the frames and clips that are late and should not be, or the other way round.

    At the offsets of `drained`, if any, all windows were closed, and the settings changed.
    """
    sources: dict[str, _Source] = defaultdict(_Source)
    for place, event, now in _events(plan, reading):
        if drained and not plan.is_changed and place[2] >= drained[TopicPartition(*place[:2])]:
            plan = plan.changed
            for each in sources.values():
                _fall_silent(each)
        source = sources[event.source]
        if source.heard and now - source.heard >= _seconds(plan, "idle_timeout_seconds"):
            _fall_silent(source)
        ends = reading.ends.get(place)
        if not ends:
            continue  # a duplicate, which the audit counts
        is_late = ends[0] == "late-events"
        if _is_plain(plan, event):
            verdict = _verdict(plan, source, event)
            if verdict is not None and verdict != is_late:
                yield f"{place} is {'late' if is_late else 'not late'}, and should not be"
        if not is_late:
            _accept(plan, source, event, now)


def left_open(plan: Plan, reading: Reading) -> Iterator[str]:
    """Yield the alerts that stay open although their source has fallen silent.

    A silence that ends with a Moment which nothing was decoded of, or with one that was complete,
    closes no window that could tell.
    """
    periods, excused = _periods(plan, reading)
    by_source: dict[str, list[Document]] = defaultdict(list)
    for one in reading.observations:
        by_source[one["source"]].append(one)
    for source, found in by_source.items():
        alert = None
        for one, following in zip(found, [*found[1:], None], strict=True):
            decision, period = one["decision"], periods[one["observation_id"]]
            if decision["kind"] != "none":
                alert = None if "closed_for" in decision else decision["alert_id"]
            is_last = following is None or periods[following["observation_id"]] != period
            usual = one["closed_by"] == "silence" and (source, period) not in excused
            if is_last and usual and alert is not None:
                yield f"alert {alert} of {source} is open after {one['window_start']}"


def _periods(plan: Plan, reading: Reading) -> tuple[dict[str, int], set[tuple[str, int]]]:
    """Number the stretches between the silences of each source.

    Return that of each Observation, and those with events that could not be decoded.
    """
    heard: dict[str, int] = {}
    current: dict[str, int] = defaultdict(int)
    periods: dict[str, int] = {}
    undecoded: set[tuple[str, int]] = set()
    for place, event, now in _events(plan, reading):
        ends = reading.ends.get(place)
        if not ends or ends[0] == "late-events":
            continue
        before = heard.get(event.source, now)
        current[event.source] += now - before >= _seconds(plan, "idle_timeout_seconds")
        heard[event.source] = now
        if ends[0] == "dead-letters":
            undecoded.add((event.source, current[event.source]))
        else:
            periods[ends[0].removeprefix("observation ")] = current[event.source]
    return periods, undecoded


def _events(plan: Plan, reading: Reading) -> Iterator[tuple[Place, Event, int]]:
    """Yield the acceptable events in merged order, each with its append time."""
    rules = EnvelopeRules(
        modality_of_topic={t: m for m, t in topic_of_modality(plan.settings).items()},
        partitions=plan.partitions,
        partitioner="murmur2",
        max_record_bytes=plan.settings.limits.max_record_bytes,
        max_skew=_seconds(plan, "max_skew_seconds"),
    )
    inputs = sorted(reading.inputs.items(), key=lambda one: (one[1].timestamp, one[0]))
    for place, record in inputs:
        try:
            yield place, parse(record, rules), record.timestamp
        except InvalidEventError:
            continue


def _verdict(plan: Plan, source: _Source, event: Event) -> bool | None:
    end = _end(event)
    front = source.fronts.get(event.modality, event.time)
    if end <= front - _seconds(plan, "grace_seconds") or end <= source.low:
        return True
    return None if end <= source.high else False


def _accept(plan: Plan, source: _Source, event: Event, now: int) -> None:
    if source.is_silent:
        source.is_silent, source.woken = False, now
    source.heard = now
    source.fronts[event.modality] = max(source.fronts.get(event.modality, 0), event.time)
    if event.correlation_id is None:
        kept = source.windows if _is_plain(plan, event) else source.captions
        kept.add(_end(event))
    _close(plan, source, now)


def _close(plan: Plan, source: _Source, now: int) -> None:
    newest = max(source.fronts.values())
    idle = _seconds(plan, "idle_timeout_seconds")
    current = {each for each, front in source.fronts.items() if front >= newest - idle}
    awaited = set(map(Modality, plan.settings.pairing.awaited))
    if source.woken and now - source.woken < idle:
        current |= awaited & source.fronts.keys()
    waited = current & awaited or current - {Modality.CAPTION} or current
    reached = min(source.fronts[each] for each in waited) - _seconds(plan, "grace_seconds")
    _close_until(source, reached, captions=waited == {Modality.CAPTION})


def _fall_silent(source: _Source) -> None:
    source.is_silent = True
    _close_until(source, max(source.windows | source.captions, default=0), captions=True)


def _close_until(source: _Source, reached: int, *, captions: bool) -> None:
    due = {end for end in source.windows if end <= reached}
    source.windows -= due
    source.low = max(source.low, *due, 0)
    also = {end for end in source.captions if end <= reached} if captions else set()
    source.captions -= also
    source.high = max(source.high, source.low, *also, 0)


def _is_plain(plan: Plan, event: Event) -> bool:
    strict = plan.strict or event.modality is not Modality.CAPTION
    return strict and event.correlation_id is None


def _end(event: Event) -> int:
    return event.time - event.time % SECOND + SECOND


def _seconds(plan: Plan, name: str) -> int:
    return seconds(float(getattr(plan.settings.pairing, name)))
