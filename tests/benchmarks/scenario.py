"""What a throughput benchmark plays: a TOML file in `tests/benchmarks/scenarios`.

seconds = 40              # of the plaza scene
takes = 3                 # how often they are played, with other bytes each time
modalities = ["frame"]    # which events are kept; all where it is left out
still = true              # every frame of a camera shows its first picture, in other bytes
copies = 25               # of each camera
[settings]                # of the configuration
"models.reuse" = "off"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from worker.core.events import MODALITIES, Modality
from worker.errors import OperatorError
from worker.feed.events import FeedEvent

DIRECTORY = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played, and with which settings."""

    name: str
    seconds: float = 40
    takes: int = 3
    modalities: tuple[Modality, ...] = MODALITIES
    still: bool = False
    copies: int = 1
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


def read_scenario(name: str) -> Scenario:
    """Return a scenario by its name or file. Raises OperatorError."""
    path = DIRECTORY / f"{name}.toml" if "/" not in name else Path(name)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        if "modalities" in values:
            values["modalities"] = tuple(map(Modality, values["modalities"]))
        return Scenario(path.stem, **values)
    except (OSError, ValueError, TypeError) as error:
        known = ", ".join(sorted(each.stem for each in DIRECTORY.glob("*.toml")))
        keys = ", ".join(each.name for each in fields(Scenario)[1:])
        raise OperatorError(f"{path}: {error}. There are {known}; keys are {keys}.") from error
