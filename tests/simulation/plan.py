"""What one seed decides before it begins: the stream, the size of everything, the faults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from random import Random
from typing import NamedTuple

from tests.simulation.stream import START, Planned, stream
from worker.config import Config, load
from worker.core.rfc3339 import seconds

GRACE, IDLE, CARRY = 1.0, 5.0, 3.0  # seconds, shorter than the defaults: much happens in a minute


class Fault(StrEnum):
    """What can go wrong. The first ones hit the next commit of any member."""

    CRASH_BEFORE_APPEND = "crash before append"
    CRASH_BETWEEN_APPENDS = "crash between appends"
    CRASH_BEFORE_OFFSETS = "crash before offsets"
    CRASH_AFTER_OFFSETS = "crash after offsets"
    UNKNOWN_OUTCOME = "commit with unknown outcome"
    ABORTED = "aborted commit"
    KILL = "kill"
    EVICTION = "eviction"
    LEAVE = "leave"
    JOIN = "join"
    POLL_ERROR = "poll error"
    FREEZE = "freeze"
    PAUSE = "pause behind a poll"
    SLOW = "slow inference"
    CACHE = "cache fault"
    CLOCK = "clock jump"


AT_COMMIT = tuple(Fault)[:6]
HARMLESS = (
    Fault.FREEZE,
    Fault.PAUSE,
    Fault.SLOW,
    Fault.CACHE,
    Fault.CLOCK,
)  # nothing has to be read again


class Fusions(NamedTuple):
    """The numbers of the bundles that fuse; 0: as shipped, or nothing."""

    live: int
    shadow: int


SHIPPED = Fusions(0, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is fixed before the first step; `faults` by their time in microseconds."""

    seed: int
    strict: bool
    partitions: int
    members: int
    max_fetch: int
    max_merged: int
    records: tuple[Planned, ...]
    faults: tuple[tuple[int, Fault], ...]
    drained: int | None = None  # so many records are sent before all members drain, if they do
    is_changed: bool = False
    hears: bool = False  # whether feedback is one of the inputs,
    talks: float = 0.0  # and how likely something is said at each turn
    fusions: tuple[Fusions, Fusions] = (SHIPPED, SHIPPED)  # before and after the drain

    @property
    def settings(self) -> Config:
        return settings(self.strict, self.is_changed, self.fusion.shadow)

    @property
    def fusion(self) -> Fusions:
        """What fuses now."""
        return self.fusions[self.is_changed]

    @property
    def is_fitted(self) -> bool:
        """Whether any bundle fuses."""
        return set(self.fusions) != {SHIPPED}

    @property
    def promotes(self) -> bool:
        """Whether what was in shadow before the drain is the live one after it."""
        before, after = self.fusions
        return before.shadow == after.live != before.live

    @property
    def changed(self) -> Plan:
        """The plan with the settings of after the drain."""
        return replace(self, is_changed=True)

    def __str__(self) -> str:
        return (
            f"{self.partitions} partitions, {self.members} members, {len(self.records)} records,"
            f" {'strict' if self.strict else 'as-of'} captions,"
            f" faults: {', '.join(fault for _, fault in self.faults) or 'none'}"
            f"{', words' if self.talks else ''}"
            f"{'' if self.drained is None else f', drained after {self.drained}'}"
            f"{', live and in shadow {}, then {}'.format(*self.fusions) if self.is_fitted else ''}"
        )


# By the number of sources: one gets warm and alerts, more of them are short and crowded.
SECONDS = {1: 34.0, 2: 16.0, 3: 12.0, 4: 9.0, 5: 8.0, 6: 7.0}


TRIED = (  # what is live and in shadow, before the drain and after it
    ((0, 1), (0, 1)),
    ((0, 1), (0, 2)),
    ((0, 1), (0, 0)),
    ((0, 0), (0, 1)),
    ((0, 1), (1, 0)),
    ((2, 1), (1, 2)),
    ((1, 0), (2, 1)),
)


def plan(seed: int, kinds: tuple[Fault, ...] = tuple(Fault)) -> Plan:
    """Return the plan of a seed. Of `kinds` up to six faults are drawn."""
    rng = Random(f"plan {seed}")
    sources = rng.choice((1, 1, 2, 2, 3, 4, 5, 6))
    length = SECONDS[sources]
    records = stream(Random(f"stream {seed}"), sources, length)
    times = sorted(START + seconds(rng.uniform(1, length + IDLE)) for _ in range(rng.randint(1, 6)))
    drain, people = Random(f"drain {seed}"), Random(f"people {seed}")
    hears = people.random() < 0.4
    drawn = rng.choice(((), HARMLESS, HARMLESS, *[kinds] * 7)) if kinds == tuple(Fault) else kinds
    return Plan(
        seed=seed,
        strict=rng.random() < 0.25,
        partitions=rng.choice((1, 1, 2, 3)),
        members=rng.randint(1, 3),
        max_fetch=rng.choice((3, 20, 500)),
        max_merged=rng.choice((4, 30, 2000)),
        records=tuple(records),
        faults=tuple((time, rng.choice(drawn)) for time in times) if drawn else (),
        drained=drain.randint(0, len(records)) if drain.random() < 0.15 else None,
        hears=hears,
        talks=people.choice((0.0, 0.02, 0.2)) if hears else 0.0,
        fusions=_fusions(Random(f"shadow {seed}")),
    )


def _fusions(random: Random) -> tuple[Fusions, Fusions]:
    before, after = random.choice(TRIED)
    return (Fusions(*before), Fusions(*after)) if random.random() < 0.35 else (SHIPPED, SHIPPED)


@cache
def settings(strict: bool, changed: bool = False, shadow: int = 0) -> Config:
    """Return the configuration; sources are warm after 20 Moments, and alerts are frequent."""
    changes: dict[str, object] = {
        "pairing.grace_seconds": GRACE,
        "pairing.idle_timeout_seconds": IDLE,
        "pairing.carry_caption_seconds": CARRY,
        "scoring.calibration_moments": 20,
        "scoring.false_alarms_per_day": 13_000,
        "scoring.cooldown_seconds": 3,
        "models.overload": "off",
    }
    if changed:
        changes |= {"pairing.grace_seconds": 2 * GRACE, "pairing.carry_caption_seconds": CARRY / 2}
    if shadow:
        changes["scoring.shadow"] = {"bundle": str(shadow), "false_alarms_per_day": 20_000}
    if strict:
        changes["pairing.await"] = ["frame", "caption", "audio"]
    return load(None, {}, changes).config
