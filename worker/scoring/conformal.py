"""From raw scores to p-values: rank among normal scores, with a predictive tail."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State

CAPACITY = 2000
GENERATIONS = 16  # that the scores of a full ring are of
TAIL = 0.1  # the share of the calibration scores that shapes the tail
SMALLEST = 1e-300  # stands for any smaller p-value
MIN_STANDARD = 8  # scores before a source knows its own median and spread
FAINT = 0.1  # of a spread, where most scores are equal
LEAST_SPREAD = 1e-6  # where all are
DRAWN_AT_ONCE = 16  # numbers of 32 bits from one hash
LARGEST = 1 << 32


class Calibration:
    """Normal scores (n,), n >= 10, in ascending order."""

    def __init__(self, scores: NDArray[np.float64]) -> None:
        self._ordered = array("d", np.sort(scores).tobytes())

    def __len__(self) -> int:
        return len(self._ordered)

    def p_value(self, score: float, tie: float, least_excess: float = 0.0) -> float:
        """Return what `p_value_among` says of it."""
        return p_value_among(self._ordered, score, tie, least_excess)


def p_value_among(
    ordered: array[float], score: float, tie: float, least_excess: float = 0.0
) -> float:
    """Return P(a normal score >= `score`), in (0, 1], tie in (0, 1], by n >= 10 in order of size.

    Up to the 90th percentile u: (#{s_i > s} + tie (1 + #{s_i = s})) / (n + 1).
    Above: with k excesses over u of sum S, TAIL (S / (S + s - u))^k, the predictive distribution of
    an exponential tail under Jeffreys' prior. It tends to TAIL exp(-(s - u) k / S) as k grows and
    stays heavier while few scores are known: an extrapolation, honest about its sample. S counts as
    at least k `least_excess`: how far harmless changes of a kind that the calibration has not seen
    yet go on average, in units of the score.
    """
    n = len(ordered)
    k = n // 10
    end = bisect_right(ordered, score)
    if end >= n - k and score > (begin := ordered[n - k - 1]):
        excesses = np.frombuffer(ordered, ordered.typecode)[n - k :] - begin
        total = max(float(np.add.reduce(excesses)), k * least_excess)
        if total > 0:
            return max(SMALLEST, TAIL * (total / (total + score - begin)) ** k)
    if end and ordered[end - 1] == score:
        tie *= 1 + end - bisect_left(ordered, score)
    return (n - end + tie) / (n + 1)


class CalibrationRing:
    """The last normal scores of one expert of one source: `capacity`, and up to a generation more.

    They are finite and of single precision, and kept in order of size: ranks and medians are there
    to be read. A generation is a GENERATIONS-th of `capacity`. Of each score it is known which one
    it came with, and when one begins the oldest goes as a whole.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._generation = -(-capacity // GENERATIONS)  # scores of one
        self.ordered = array("f")  # smallest first
        self._born = bytearray()  # of each its generation; they count down, and around
        self._now = 0  # the generation that comes in
        self._count = 0  # its scores so far
        self._standard: tuple[float, float] | None = None  # found when it is looked at

    def __len__(self) -> int:
        return len(self.ordered)

    def extend(self, scores: Sequence[float]) -> None:
        """Take in some more."""
        self._standard = None
        while scores:
            room = self._generation - self._count
            self._take_in(scores[:room])
            scores = scores[room:]
            if self._count == self._generation:
                self._begin()

    def withdraw(self, score: float) -> None:
        """Take one such score out again, if there still is one."""
        place = bisect_left(self.ordered, score)
        if place < len(self) and self.ordered[place] == score:
            del self.ordered[place]
            self._count -= self._born.pop(place) == self._now
            self._standard = None

    def state(self) -> State:
        """Return its scores, smallest first, and how many generations began since each came."""
        ages = np.frombuffer(self._born, np.uint8) + np.uint8(_CODES - self._now)
        return {"scores": np.array(self.ordered, np.float32), "ages": ages % _CODES}

    def restore(self, state: State) -> None:
        """Take up the scores of another one of the same capacity."""
        self.ordered = array("f", state["scores"].tobytes())
        self._born, self._now = bytearray(state["ages"].tobytes()), 0
        self._count = self._born.count(self._now)
        self._standard = None

    def standard(self) -> tuple[float, float] | None:
        """Return what `standard_of` says of the scores; None under MIN_STANDARD."""
        if self._standard is None and len(self.ordered) >= MIN_STANDARD:
            self._standard = standard_of(self.ordered)
        return self._standard

    def spread(self, most: int) -> array[float]:
        """Return each k-th of the scores in order of size, so that they are no more than `most`."""
        step = -(-len(self) // most)
        return self.ordered[step // 2 :: step]

    def _take_in(self, scores: Sequence[float]) -> None:
        """Take in scores of the generation that comes in."""
        ordered, born, now = self.ordered, self._born, self._now
        for score in scores:
            place = bisect_right(ordered, score)
            ordered.insert(place, score)
            born.insert(place, now)
        self._count += len(scores)

    def _begin(self) -> None:
        """Begin a generation, in the place of the one that is GENERATIONS older."""
        self._now, self._count = (self._now - 1) % _CODES, 0
        is_kept = np.frombuffer(self._born, np.uint8) != self._now
        scores = np.frombuffer(self.ordered, np.float32)
        self.ordered = array("f", scores[is_kept].tobytes())
        self._born = bytearray(self._born.translate(None, bytes([self._now])))


_CODES = GENERATIONS + 1  # by which generations are told apart


def standard_of(ordered: array[float]) -> tuple[float, float]:
    """Return the median and the spread of n >= 2 scores in ascending order.

    The spread is 1.4826 MAD, as large as a standard deviation where scores are normal. Where more
    than half of them are equal, as of captions that come again, it is FAINT of what it would be by
    their mean absolute deviation, and of scores that are all equal LEAST_SPREAD.
    """
    n = len(ordered)
    median = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    spread = 1.4826 * median_deviation(ordered, median)
    if spread < LEAST_SPREAD:
        distances = np.abs(np.array(ordered, np.float64) - median)
        spread = max(FAINT * 1.2533 * float(distances.mean()), LEAST_SPREAD)
    return median, spread


def median_deviation(ordered: Sequence[float], median: float) -> float:
    """Return the median of |x - median| over n >= 2 numbers in ascending order.

    The n // 2 + 1 numbers that are nearest to the median stand side by side. Where they begin is
    found by halving; the two that are farthest among them stand at their ends.
    """
    n, near = len(ordered), len(ordered) // 2 + 1
    first = bisect_left(
        range(n - near),
        True,
        key=lambda place: median - ordered[place] <= ordered[place + near] - median,
    )
    last = first + near - 1
    ends = {first, first + 1, last - 1, last}
    second, farthest = sorted(abs(ordered[place] - median) for place in ends)[-2:]
    return farthest if n % 2 else (second + farthest) / 2


def drawn(count: int, *parts: str | int) -> list[float]:
    """Return so many numbers in (0, 1] that depend on `parts` only: what they hash to."""
    text = "\x00".join(map(str, parts)).encode()
    blocks = range(-(-count // DRAWN_AT_ONCE))
    digest = b"".join([blake2b(text, salt=b"%d" % block).digest() for block in blocks])
    numbers = struct.unpack_from(f"<{count}I", digest)
    return [(number + 1) / LARGEST for number in numbers]
