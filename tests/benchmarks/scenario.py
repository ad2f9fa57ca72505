"""What a benchmark plays: files in `tests/benchmarks/scenarios`, so that others can play it too.

Each names its `benchmark` (`throughput` where it does not) and the values that differ from the
usual ones. A throughput scenario takes the plaza scene: the first `seconds` of it, `takes` times
one after the other; of the `modalities`, with pictures that do not change where it is `still`, of
`copies` times the cameras, by a worker with other `settings`, and without Redis where `redis` is
`down`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, TypeAlias

from worker.core.events import MODALITIES, Modality
from worker.errors import OperatorError
from worker.feed.events import FeedEvent

DIRECTORY = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A backlog, and the settings with which it is gone through."""

    name: str
    seconds: float = 40
    takes: int = 3
    modalities: tuple[Modality, ...] = MODALITIES
    still: bool = False
    copies: int = 1
    redis: Literal["up", "down"] = "up"
    settings: Mapping[str, str] = field(default_factory=dict)

    def events(self, scene: Iterable[FeedEvent]) -> Iterator[FeedEvent]:
        """Yield what becomes of the events of the scene."""
        first: dict[str, bytes] = {}
        for event in scene:
            if event.modality not in self.modalities:
                continue
            is_still = self.still and event.modality is Modality.FRAME
            payload = first.setdefault(event.source, event.payload) if is_still else event.payload
            for copy in range(self.copies):
                source = f"{event.source}-{copy}" if copy else event.source
                yield replace(event, source=source, payload=payload)


@dataclass(frozen=True, slots=True)
class Rush:
    """Cameras in real time, a Moment a second each: half the load that the worker can take, then
    `times` it, then half of it again, each for so many seconds.

    `capacity` is that load in Moments per second; 0: it is measured first.
    """

    name: str
    half_seconds: float = 30
    rush_seconds: float = 60
    calm_seconds: float = 60
    times: float = 3
    capacity: float = 0
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Crowd:
    """The same number of Moments of few or many sources, without encoders."""

    name: str
    sources: tuple[int, ...] = (10, 100, 1000, 10_000)
    moments: int = 10_000


@dataclass(frozen=True, slots=True)
class Group:
    """A backlog that so many workers of one group go through, one number after the other."""

    name: str
    workers: tuple[int, ...] = (1, 2, 4)
    partitions: int = 4
    seconds: float = 20
    copies: int = 4
    rounds: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)


Played: TypeAlias = Scenario | Rush | Crowd | Group
_BENCHMARKS: Mapping[str, type[Played]] = {
    "throughput": Scenario,
    "overload": Rush,
    "scale": Crowd,
    "workers": Group,
}


def read_scenario(name: str) -> Played:
    """Return a scenario by its name or file. Raises OperatorError."""
    path = DIRECTORY / f"{name}.toml" if "/" not in name else Path(name)
    kind: type[Played] = Scenario
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        kind = _BENCHMARKS[values.pop("benchmark", "throughput")]
        if "modalities" in values:
            values["modalities"] = tuple(map(Modality, values["modalities"]))
        return kind(path.stem, **values)
    except (OSError, ValueError, TypeError, LookupError) as error:
        known = ", ".join(sorted(each.stem for each in DIRECTORY.glob("*.toml")))
        keys = ", ".join(each.name for each in fields(kind)[1:])
        raise OperatorError(f"{path}: {error}. There are {known}; keys are {keys}.") from error
