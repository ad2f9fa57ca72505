"""What a scorer remembers of one source: experts, their calibration, and the last caption."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Final

import numpy as np

from worker.core.rfc3339 import seconds
from worker.core.source_state import LearnedFrom
from worker.scoring.conformal import CalibrationRing
from worker.scoring.drift import DriftMartingale
from worker.scoring.examples import NormalExamples
from worker.scoring.experts import Features, build_experts
from worker.scoring.lagged import LaggedScores
from worker.scoring.recent import Alerted, RecentlyAlerted
from worker.scoring.state import State, integers, nested, part

MAX_LAG = seconds(60)
LAG_SHARE = 8  # while a source is young, an eighth of its age

# To be raised where the same numbers, or the scores of experts, come to mean otherwise.
VERSION = 10

CARRIED: Final = ("text", "described")  # experts whose judgement is carried with a caption
DERIVED: Final = "text_derived"  # the share of a Moment's text that was derived, in (0, 1], if any


def layout_digest(text_dim: int, added: Sequence[str] = ()) -> str:
    """Return a digest of what is kept of a source: states of equal ones can stand for each other.

    It follows from VERSION and from names, types and shapes of all arrays of a new memory.
    """
    digest = hashlib.sha256(str(VERSION).encode())
    memory = SourceMemory(text_dim, LearnedFrom(None, 0, 0), added)
    for name, array in sorted(memory.state().items()):
        digest.update(f";{name}:{array.dtype}{array.shape}".encode())
    return digest.hexdigest()


Judgements = Mapping[str, tuple[float, float | None]]  # raw score and p-value by expert
Mask = tuple[float, ...]  # the corners of areas; none of a picture that is looked at as a whole
_NO_PICTURE = np.array([np.nan], np.float16)


def mask_of(features: Features) -> Mask | None:
    """Return what of the Moment's picture was not looked at; None where it has none."""
    if "luminance" not in features:
        return None
    return tuple(map(float, features["masked"].ravel())) if "masked" in features else ()


def keeps_caption(features: Features) -> bool:
    """Whether a Moment has a caption that later ones may carry: words that were said are not."""
    derived = features.get(DERIVED)
    return "text" in features and (derived is None or float(derived[0]) < 1)


class SourceMemory:
    """Experts by name, a ring of normal scores for each, and what it was learned from."""

    def __init__(self, text_dim: int, learned: LearnedFrom, added: Sequence[str] = ()) -> None:
        self.learned = learned
        self.experts = build_experts(text_dim, added)
        self._of_others = [e for name, e in self.experts.items() if name not in CARRIED]
        self.rings = {name: CalibrationRing() for name in self.experts}
        self.lagged = LaggedScores(tuple(self.experts))
        self.caption: Judgements = {}  # of the last one
        self.drift = DriftMartingale()
        self._refused: str | None = None  # the alert about what goes on, where it is an anomaly
        self.alerted = RecentlyAlerted(tuple(self.experts))
        self.examples = NormalExamples()
        self.mask: Mask | None = None  # of the pictures that were learned; None: there were none
        self._first_time: int | None = None

    @property
    def own(self) -> int:
        """The scores of the source's own that calibrate the expert with most of them."""
        return max(map(len, self.rings.values()))

    def has_own(self, scores: int) -> bool:
        """Tell whether `own` are so many: it is asked for each Moment."""
        return any(len(ring.ordered) >= scores for ring in self.rings.values())

    def knows(self, features: Features) -> bool:
        """Tell whether pictures as masked as this one were learned, or none is looked at."""
        return mask_of(features) in (None, self.mask) or self.mask is None

    @property
    def adapts(self) -> bool:
        """Whether what is unusual may be a new normality.

        It is none where a person calls the newest alert an anomaly, until all is calm again.
        """
        is_refused = self._refused is not None and self._refused == self.alerted.newest
        return self.drift.is_raised and not is_refused

    def follow(self, p_value: float) -> None:
        """Take in the p-value of a Moment, in [0, 1]."""
        self.drift.learn(p_value)
        if self.drift.is_calm:
            self._refused = None

    def pass_time(self, time: int) -> None:
        """Let the scores calibrate that have waited for long enough at `time`, microseconds."""
        if self._first_time is None:
            self._first_time = time
        until = time - min(MAX_LAG, (time - self._first_time) // LAG_SHARE)
        for ring, scores in zip(self.rings.values(), self.lagged.settled(until), strict=False):
            ring.extend(scores)

    def calibrate(self, time: int, raw: Mapping[str, float], *, carried: bool) -> None:
        """Let the scores of a Moment wait for their turn."""
        self.lagged.add(time, _own(raw, carried=carried))

    def learn(self, features: Features, *, carried: bool) -> None:
        """Take the features in as normal; a carried caption was learned when it was present."""
        if (mask := mask_of(features)) is not None:
            self.mask = mask
        for expert in self._of_others if carried else self.experts.values():
            expert.learn(features)

    def accept(self, moments: Sequence[Alerted]) -> None:
        """Take Moments in as normal that were alerted and that a person calls normal.

        At once: the calibration lag is there for what nobody has looked at.
        """
        self._let_in(moments)
        for each in moments:
            if each.is_accepted:
                continue
            each.is_accepted = True
            if not each.calibrates:
                for name, score in _own(each.raw, carried=each.carried).items():
                    self.rings[name].extend([score])
            if not each.is_learned:
                self.learn(each.features, carried=each.carried)

    def keep_out(self, moments: Sequence[Alerted]) -> None:
        """Take back what was taken in, and let no score of their time calibrate that still waits.

        Of what was learned only that is taken back which an expert can unlearn.
        """
        self._unaccept(moments)
        if moments and moments[-1].alert == self.alerted.newest and not self.drift.is_calm:
            self._refused = moments[-1].alert
        kept_out = [each for each in moments if not each.is_kept_out]
        if not kept_out:
            return
        for each in kept_out:
            each.is_kept_out = True
            if each.calibrates and not self.lagged.holds(each.time):
                self._withdraw(each)
            if each.is_learned:
                self._unlearn(each)
            each.calibrates = each.is_learned = False
        self.lagged.withhold(moments[0].time, moments[-1].time)

    def take_back(self, moments: Sequence[Alerted]) -> None:
        """Undo what `accept` and `keep_out` did, as far as it can be undone."""
        self._unaccept(moments)
        self._let_in(moments)

    def _unaccept(self, moments: Sequence[Alerted]) -> None:
        for each in moments:
            if not each.is_accepted:
                continue
            each.is_accepted = False
            if not each.calibrates:
                self._withdraw(each)
            if not each.is_learned:
                self._unlearn(each)

    def _let_in(self, moments: Sequence[Alerted]) -> None:
        """Let scores calibrate that were kept out and still wait; the others are gone."""
        let_in = [each for each in moments if each.is_kept_out]
        if not let_in:
            return
        for each in let_in:
            each.is_kept_out = False
            each.calibrates = self.lagged.holds(each.time)
        self.lagged.withhold(moments[0].time, moments[-1].time, is_withheld=False)
        if self._refused == let_in[-1].alert:
            self._refused = None

    def _withdraw(self, each: Alerted) -> None:
        for name, score in _own(each.raw, carried=each.carried).items():
            self.rings[name].withdraw(score)

    def _unlearn(self, each: Alerted) -> None:
        for expert in self._of_others if each.carried else self.experts.values():
            expert.unlearn(each.features)

    def state(self) -> State:
        """Return all of it but for what it was learned from."""
        missing = float("nan")
        caption = [self.caption.get(name, (missing, None)) for name in CARRIED]
        first = () if self._first_time is None else (self._first_time,)
        return {
            "first_time": integers(*first),
            "refused": np.frombuffer(bytes.fromhex(self._refused or ""), np.uint8),
            "mask": _NO_PICTURE if self.mask is None else np.array(self.mask, np.float16),
            "caption": np.array(caption, dtype=np.float64),  # None is NaN
            **nested({f"expert.{name}": each.state() for name, each in self.experts.items()}),
            **nested({f"ring.{name}": each.state() for name, each in self.rings.items()}),
            **nested({"lagged": self.lagged.state(), "alerted": self.alerted.state()}),
            **nested({"drift": self.drift.state(), "examples": self.examples.state()}),
        }

    def restore(self, state: State) -> None:
        """Take up the numbers that `state` returned. Raises KeyError or ValueError."""
        self._first_time = next(map(int, state["first_time"]), None)
        self._refused = state["refused"].tobytes().hex() or None
        rows = zip(CARRIED, state["caption"].tolist(), strict=True)
        self.caption = {
            name: (raw, None if isnan(p_value) else p_value)
            for name, (raw, p_value) in rows
            if not isnan(raw)
        }
        mask = tuple(map(float, state["mask"]))
        self.mask = None if np.isnan(mask).any() else mask
        for name, expert in self.experts.items():
            expert.restore(part(state, f"expert.{name}"))
        for name, ring in self.rings.items():
            ring.restore(part(state, f"ring.{name}"))
        self.lagged.restore(part(state, "lagged"))
        self.alerted.restore(part(state, "alerted"))
        self.drift.restore(part(state, "drift"))
        self.examples.restore(part(state, "examples"))


def _own(raw: Mapping[str, float], *, carried: bool) -> Mapping[str, float]:
    """Return the scores less those of a caption which was judged earlier."""
    if not carried:
        return raw
    own = dict(raw)
    for name in CARRIED:
        own.pop(name, None)
    return own
