"""What people have said about a source's alerts, and how far that moves its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MAX_VERDICTS = 16  # of a source, the newest: its nature changes
LEAST, MOST = 0.25, 4.0  # of alpha: people move a threshold no further


@dataclass(frozen=True, slots=True)
class Verdict:
    """The last word about an alert, by its id."""

    alert: str
    label: Literal["normal", "anomaly"]


def with_verdict(
    verdicts: Sequence[Verdict], alert: str, label: Literal["normal", "anomaly", "unsure"]
) -> tuple[Verdict, ...]:
    """Return the verdicts with a new one, which replaces what was said before about the alert.

    `unsure` takes back what was said, saying the same again changes nothing.
    """
    if any((each.alert, each.label) == (alert, label) for each in verdicts):
        return tuple(verdicts)
    others = [each for each in verdicts if each.alert != alert]
    if label != "unsure":
        others.append(Verdict(alert, label))
    return tuple(others[-MAX_VERDICTS:])


def factor(verdicts: Sequence[Verdict]) -> float:
    """Return what the source's alpha is multiplied by: 1 as long as nobody has said anything.

    Each false alarm more than there are true ones divides it by the square root of two, each true
    one more multiplies it so, within LEAST and MOST. It follows from the verdicts alone, so one
    that is taken back leaves no trace.

    >>> false, true = Verdict("a", "normal"), Verdict("b", "anomaly")
    >>> factor([]), factor([false, true]), factor([false] * 2), factor([true] * 9)
    (1.0, 1.0, 0.5, 4.0)
    """
    excess = sum(1 if each.label == "anomaly" else -1 for each in verdicts)
    return float(min(MOST, max(LEAST, 2.0 ** (excess / 2))))
