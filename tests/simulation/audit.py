"""Compares the log of a run with what must hold, and with the log of an undisturbed run."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.simulation.oracle import left_open, misplaced
from tests.simulation.plan import Plan
from tests.simulation.reading import Document, Place, Reading, identity, read
from tests.simulation.run import Run
from tests.simulation.stream import TOPICS
from worker.core.caution import TRIES
from worker.core.source_state import Place as Announced

RELATIVE = 1e-6  # by which a number may differ: a batch's size decides in which order sums are made
MODALITY_OF = {topic: modality for modality, topic in TOPICS.items()}
WHAT = ("window_start", "window_end", "closed_by", "correlation_id", "modalities", "inputs")


class Finding(NamedTuple):
    """A rule that does not hold, and where."""

    rule: str
    text: str


def audit(plan: Plan, run: Run, found: Reading, reference: Run) -> list[Finding]:
    """Return what is wrong with a run, of whose log `found` is known; nothing where all is well."""
    expected = read(reference.log)
    duplicates: int | None = None  # counts are gone with a process that ended
    if not reference.crashes:
        ends = sum((counts.counted for counts in reference.counts), Counter())
        duplicates = sum(n for (_, end), n in ends.items() if end == "duplicate")
    return [
        *_rest(run, found, "rest"),
        *_rest(reference, expected, "reference rest"),
        *_bounds(plan, run),
        *(Finding("drain", f"after it {text}") for text in run.held),
        *_endings(found, expected, duplicates),
        *_words(plan, found),
        *_quarantines(found, run.gone),
        *_alert_sequences(found),
        *_observations(found, expected),
        *_alerts(found, expected),
        *(Finding("oracle", text) for text in misplaced(plan, expected, run.drained)),
        *(Finding("silence", text) for text in left_open(plan, expected)),
    ]


def _rest(run: Run, found: Reading, rule: str) -> Iterator[Finding]:
    if not run.rested:
        yield Finding(rule, "the members do not come to rest")
    yield from (Finding(rule, f"not committed to its end: {each}") for each in found.uncommitted)
    yield from (Finding("offsets", f"went back: {each}") for each in run.log.went_back)


def _bounds(plan: Plan, run: Run) -> Iterator[Finding]:
    """A queue of the merge is at most a fetch beyond its bound, and no record is uncounted."""
    if run.unaccounted:
        yield Finding("counts", f"{run.unaccounted} records were read and have no end, or two")
    bound = plan.max_merged + plan.max_fetch
    if run.longest_queue > bound:
        yield Finding("bounds", f"{run.longest_queue} records waited, more than {bound}")


def _endings(found: Reading, expected: Reading, duplicates: int | None) -> Iterator[Finding]:
    uncounted = [place for place in expected.inputs if place not in expected.ends]
    if duplicates is not None and len(uncounted) != duplicates:
        text = f"{len(uncounted)} inputs in no output, {duplicates} counted duplicates"
        yield Finding("reference lost", text)
    first: dict[object, Place] = {}
    for place, record in sorted(found.inputs.items(), key=lambda one: (one[1].timestamp, one[0])):
        ends = found.ends.get(place, [])
        if len(ends) > 1:
            yield Finding("twice", f"{place} is in {ends}")
        if not ends and identity(record) not in first:
            yield Finding("lost", f"{place} is in no output")
        elif not ends and place in expected.ends:
            yield Finding("contents", f"{place} is in no output, not in {expected.ends[place]}")
        first.setdefault(identity(record), place)
        if found.refused.get(place) != expected.refused.get(place):
            text = f"{found.refused.get(place)}, not {expected.refused.get(place)}"
            yield Finding("contents", f"{place} is {text}")


def _words(plan: Plan, found: Reading) -> Iterator[Finding]:
    """What somebody says is in one Observation, waits for one, or is a dead letter."""
    heeded, waiting = Counter(found.heeded), Counter(found.waiting)
    for place, record in found.words.items() if plan.hears else ():
        name = (dict(record.headers)["ce_id"] or b"").decode()
        ends = heeded[name] + waiting[name] + len(found.ends.get(place, ()))
        if ends != 1:
            yield Finding("feedback", f"{place} has {ends} ends")


def _quarantines(found: Reading, gone: Mapping[str, int]) -> Iterator[Finding]:
    """Who is given up was announced by itself, by three processes that had ended by then."""
    for place, when in found.given_up.items():
        topic, index, offset = place
        announced = Announced(MODALITY_OF[topic], offset)
        accusers = {
            process
            for partition, attempts in found.attempts
            if partition == index and announced in attempts.events
            if attempts.apart or len(attempts.events) == 1
            if len(attempts.by) >= TRIES
            for process in attempts.by
        }
        ended = {process for process in accusers if gone.get(process, when + 1) <= when}
        if len(ended) < TRIES:
            yield Finding("quarantine", f"{place} is given up after the ends of {sorted(ended)}")


def _alert_sequences(found: Reading) -> Iterator[Finding]:
    """Messages of an alert are an opening, updates, and at last a close, numbered from 0."""
    lives: dict[str, list[Document]] = defaultdict(list)
    for alert in found.alerts:
        lives[alert["alert_id"]].append(alert)
    for name, life in lives.items():
        numbers = [alert["sequence"] for alert in life]
        kinds = [alert["type"] for alert in life]
        in_order = numbers == list(range(len(life))) and kinds[0] == "open"
        if not in_order or set(kinds[1:-1]) - {"update"} or "open" in kinds[1:]:
            yield Finding("alerts", f"{name} has {list(zip(numbers, kinds, strict=True))}")


def _observations(found: Reading, expected: Reading) -> Iterator[Finding]:
    wanted = {each["observation_id"]: each for each in expected.observations}
    seen: set[str] = set()
    for one in found.observations:
        name = one["observation_id"]
        if name in seen:
            yield Finding("ids", f"observation {name} is there twice")
        elif name not in wanted:
            yield Finding("contents", f"observation {name} should not be: {_brief(one)}")
        else:
            yield from _differences(one, wanted[name])
        seen.add(name)
    for name in wanted.keys() - seen:
        yield Finding("contents", f"observation {name} is missing: {_brief(wanted[name])}")
    order, usual = _by_source(found), _by_source(expected)
    for source in sorted(order):
        if order[source] != usual.get(source):
            yield Finding("order", f"the observations of {source} are in another order")


def _by_source(reading: Reading) -> dict[str, list[str]]:
    order: dict[str, list[str]] = defaultdict(list)
    for one in reading.observations:
        order[one["source"]].append(one["observation_id"])
    return order


def _differences(one: Document, wanted: Document) -> Iterator[Finding]:
    for rule, fields in (
        ("contents", WHAT),
        ("features", ("features", "embedding", "degraded", "reused")),
        ("scores", ("assessment",)),
        ("decisions", ("decision",)),
        ("feedback", ("feedback",)),
        ("shadow", ("shadow",)),
    ):
        for field in fields:
            if not _equal(one.get(field), wanted.get(field)):
                text = f"{field} is {one.get(field)}, not {wanted.get(field)}"
                yield Finding(rule, f"{_brief(one)}: {text}")


def _alerts(found: Reading, expected: Reading) -> Iterator[Finding]:
    wanted = {(each["alert_id"], each["sequence"]): each for each in expected.alerts}
    seen = {(each["alert_id"], each["sequence"]): each for each in found.alerts}
    if len(seen) != len(found.alerts):
        yield Finding("alerts", f"{len(found.alerts) - len(seen)} alert messages are there twice")
    for key in sorted(seen.keys() | wanted.keys()):
        if not _equal(seen.get(key), wanted.get(key)):
            which = f"{key[0]} sequence {key[1]}"
            state = "missing" if key not in seen else "extra" if key not in wanted else "different"
            yield Finding("decisions", f"alert {which} is {state}")


def _equal(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=1e-12)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other


def _brief(one: Document) -> str:
    return f"{one['source']} {one['window_start']} {one.get('correlation_id') or ''}"
