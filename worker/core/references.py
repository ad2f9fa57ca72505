"""The references of the sources of one partition index (`worker.core.reuse`), in bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from worker.core.reuse import Array, Glimpse, Look, Reference, following, shown_before
from worker.core.rfc3339 import seconds

MAX_REFERENCES = 2048  # of 9 kB each
OLD = seconds(120)  # where there is no room for another, one that was set longer ago gives way


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """A reference with its embedding, a float16 unit vector (D,).

    None while it pauses, and where the encoder has no embedding for it.
    """

    reference: Reference
    vector: Array | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which frame is encoded for each of a Moment's, by its place, and what comes of that.

    `standing` is the key of the reference; `changed` says what is remembered from now on of which
    source, None: nothing.
    """

    places: tuple[int, ...]
    standing: bytes | None = None
    changed: Mapping[str, Reference | None] = field(default_factory=dict)

    @property
    def spared(self) -> int:
        """How many frames are not encoded themselves."""
        return sum(place != own for own, place in enumerate(self.places))

    def remembered(self, vectors: Mapping[bytes, Array]) -> dict[str, Remembered | None]:
        """Return what changed, with the embeddings: `vectors` by the keys of contents."""
        return {
            source: None if each is None else Remembered(each, _vector(each, vectors))
            for source, each in self.changed.items()
        }


NO_CHOICE = Choice(())


@dataclass(slots=True, eq=False)
class References:
    """What the Moments of an index need to know of those before. Where `max_age` is 0, nothing.

    Choosing is up to one thread and keeping vectors to another one, each in the Moments' order.
    `max_age` is in microseconds.
    """

    max_age: int = 0
    _references: dict[str, Reference] = field(default_factory=dict)  # last set last
    _vectors: dict[str, tuple[bytes, Array]] = field(default_factory=dict)
    _turn: int = 0

    def restore(self, remembered: Mapping[str, Remembered]) -> None:
        """Take up what was remembered before."""
        if not self.max_age:
            return
        for source, each in sorted(remembered.items(), key=lambda one: one[1].reference.turn):
            self._references[source] = each.reference
            self._turn = max(self._turn, each.reference.turn)
        self.keep(remembered)

    def known(self, source: str) -> dict[bytes, Look]:
        """Return the looks of contents that need not be decoded again, by their keys."""
        frame = self._frame(source)
        if frame is None or frame.look.sharpness is None:
            return {}
        return {frame.key: frame.look}

    def choose(self, source: str, frames: Sequence[Glimpse]) -> Choice:
        """Decide about the frames of the next Moment of a source, in their order."""
        if not self.max_age:
            return Choice(shown_before(frames))
        before = self._references.get(source)
        places = shown_before(frames, before, self.max_age)
        standing = self._frame(source)
        changed = self._follow(source, before, following(before, frames, places, self._turn + 1))
        return Choice(places, None if standing is None else standing.key, changed)

    def vectors(self, source: str) -> dict[bytes, Array]:
        """Return the embedding of the source's reference by its key, where there is one."""
        found = self._vectors.get(source)
        return {} if found is None else dict([found])

    def keep(self, changed: Mapping[str, Remembered | None]) -> None:
        """Remember the embeddings of what was chosen."""
        for source, each in changed.items():
            frame = None if each is None else each.reference.frame
            self._vectors.pop(source, None)
            if each is not None and frame is not None and each.vector is not None:
                self._vectors[source] = frame.key, each.vector

    def _frame(self, source: str) -> Glimpse | None:
        reference = self._references.get(source)
        return None if reference is None else reference.frame

    def _follow(
        self, source: str, before: Reference | None, after: Reference | None
    ) -> dict[str, Reference | None]:
        if after is None or after is before:
            return {}
        changed: dict[str, Reference | None] = {}
        if before is None and len(self._references) >= MAX_REFERENCES:
            oldest, its = next(iter(self._references.items()))
            if after.since - its.since < OLD:
                return {}  # all are in use: the source goes without
            del self._references[oldest]
            changed[oldest] = None
        if before is not None and after.turn != before.turn:
            del self._references[source]  # to be the last one
        self._references[source] = changed[source] = after
        self._turn = max(self._turn, after.turn)
        return changed


def _vector(reference: Reference, vectors: Mapping[bytes, Array]) -> Array | None:
    """Return the embedding by itself: a row would keep all that were encoded with it."""
    found = None if reference.frame is None else vectors.get(reference.frame.key)
    return None if found is None else found.copy()
