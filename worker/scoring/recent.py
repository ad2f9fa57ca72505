"""The Moments that a source's last alerts were about: what people may speak of afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from worker.scoring.experts import Features
from worker.scoring.state import State, integers, nested, part

MAX_RECENT = 12  # Moments with an alert's message, of a source; some 10 kB each


class Mark(NamedTuple):
    """The ids of a Moment's Observation, and of the alert that it said something about, if any."""

    observation: str
    alert: str | None


class Meant(NamedTuple):
    """What somebody speaks of: an alert, an Observation, or an Observation of an alert."""

    alert: str | None
    observation: str | None


@dataclass(slots=True, eq=False)
class Alerted:
    """A Moment in which something was said about an alert, as it was scored at `time`.

    `calibrates` and `is_learned`: its scores and features were taken in by themselves, and are not
    since a person called the alert an anomaly (`is_kept_out`). `is_accepted`: a person called it
    normal, so that what was not taken in by itself is.
    """

    alert: str
    observation: str
    time: int
    features: Features
    raw: Mapping[str, float]
    carried: bool
    calibrates: bool
    is_learned: bool
    is_accepted: bool = False
    is_kept_out: bool = False


class RecentlyAlerted:
    """The newest alerted Moments of a source; `names` are those of its experts, in their order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._kept: deque[Alerted] = deque(maxlen=MAX_RECENT)

    def add(self, alerted: Alerted) -> None:
        """Remember one; the oldest is forgotten."""
        self._kept.append(alerted)

    @property
    def newest(self) -> str | None:
        """The alert of the newest Moment; None where there is none."""
        return self._kept[-1].alert if self._kept else None

    def about(self, meant: Meant) -> list[Alerted]:
        """Return the Moments of the alert that is meant, oldest first; none where it is unknown."""
        alerts = {
            each.alert
            for each in self._kept
            if meant.alert in (None, each.alert)
            and (meant.alert is not None or meant.observation == each.observation)
        }
        return [each for each in self._kept if each.alert in alerts]

    def state(self) -> State:
        """Return all of it as arrays."""
        return nested({f"{n}": self._stored(each) for n, each in enumerate(self._kept)})

    def restore(self, state: State) -> None:
        """Take up what `state` returned of another one with the same experts."""
        self._kept.clear()
        numbers = sorted({int(name.partition(".")[0]) for name in state})
        self._kept.extend(self._restored(part(state, str(number))) for number in numbers)

    def _stored(self, each: Alerted) -> State:
        taken_in = (each.calibrates, each.is_learned)
        flags = (each.carried, *taken_in, each.is_accepted, each.is_kept_out)
        missing = float("nan")
        return {
            "ids": np.frombuffer(bytes.fromhex(each.alert + each.observation), np.uint8),
            "numbers": integers(each.time, *flags),
            "raw": np.array([each.raw.get(name, missing) for name in self._names]),
            **nested({"feature": each.features}),
        }

    def _restored(self, state: State) -> Alerted:
        ids = state["ids"].tobytes().hex()
        time, *flags = map(int, state["numbers"])
        half = len(ids) // 2
        return Alerted(
            ids[:half],
            ids[half:],
            time,
            {name: array.copy() for name, array in part(state, "feature").items()},
            dict(self._scores(state["raw"].tolist())),
            *map(bool, flags),
        )

    def _scores(self, values: Sequence[float]) -> Iterator[tuple[str, float]]:
        for name, value in zip(self._names, values, strict=True):
            if not np.isnan(value):
                yield name, value
