"""What of a stored state still holds under the settings of now.

What a scorer has learned follows the model that it learned by: a bundle that was in shadow and is
the live one now brings its numbers along, and the live one that is in shadow now keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from worker.core.checkpoint import Meaning
from worker.core.source_state import SourceState
from worker.errors import StateError
from worker.runtime.state_records import IndexState, Stored
from worker.scoring.scored import ScorerState

GIVE_UP = "give the state up with `mmworker topics offsets --to committed`"


@dataclass(frozen=True, slots=True)
class Adapted:
    """A state as it holds now, with the learned numbers of the live scorer and of one in shadow.

    `outdated` names sources whose records do not say any more what is known of them.
    """

    index: IndexState
    states: tuple[SourceState, ...]
    numbers: dict[str, bytes]
    shadow_numbers: dict[str, bytes]
    outdated: frozenset[str]


def adapted(index: IndexState, stored: Stored, was: Meaning, now: Meaning, shadow: str) -> Adapted:
    """Return what holds; `shadow` is what a bundle in shadow learns by now, empty without one.

    Raises StateError where events wait that were read under other settings.
    """
    states = tuple(each.state for each in stored.sources if each.number > index.since)
    names = frozenset(each.source for each in states)
    _check_nothing_waits(states, was, now)
    numbers, shadow_numbers, model = stored.numbers, stored.shadow_numbers, was.model
    swaps = _swaps(model, index.shadow.model, now.model, shadow)
    if swaps:
        model, index = index.shadow.model, index.swapped(model)
        states = tuple(each.swapped for each in states)
        numbers, shadow_numbers = shadow_numbers, numbers
    if now.partitions != was.partitions:
        states = ()  # the sources have moved
    if now.model != model:
        states = tuple(replace(each, learned=None) for each in states)
    is_other = index.shadow.model != shadow
    if is_other:
        moments = index.scorer.moments
        nothing = ScorerState(moments, moments)
        index = replace(index, shadow=replace(index.shadow, model=shadow, scorer=nothing))
        states = tuple(replace(each, shadow_learned=None) for each in states)
    outdated = names if swaps or is_other or was != now else frozenset[str]()
    return Adapted(index, states, numbers, shadow_numbers, outdated)


def _swaps(was: str, was_in_shadow: str, live: str, shadow: str) -> bool:
    """Tell whether what was in shadow is the live one now, or else the live one in shadow."""
    if live == was:
        return False
    return live == was_in_shadow or (shadow == was and shadow != was_in_shadow)


def _check_nothing_waits(states: Iterable[SourceState], was: Meaning, now: Meaning) -> None:
    differences = now.differences(was)
    if differences and any(state.held for state in states):
        raise StateError(
            f"events wait that were read under other settings ({'; '.join(differences)}): set them"
            f" back and run `mmworker run --drain` first, or {GIVE_UP}"
        )
