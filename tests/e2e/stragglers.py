"""Events of one source that come again or come too late, and when they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from worker.core.ports import Output


@dataclass(frozen=True)
class Straggler:
    """A record that follows others; `fate` is what becomes of it."""

    fate: Literal["late", "duplicate"]
    output: Output


def stragglers(seconds: Sequence[Sequence[Output]]) -> Mapping[int, list[Straggler]]:
    """Return what to send after which second of a source's records.

    With a grace of 2 s, a window of 1 s and captions that are carried for 5 s.
    """
    return {
        5: [
            Straggler("duplicate", _of(seconds[5], "frame")),
            Straggler("duplicate", _of(seconds[5], "audio")),
            Straggler("duplicate", _of(seconds[4], "caption")),  # no window has taken it yet
        ],
        10: [
            Straggler("late", _renamed(_of(seconds[3], "frame"), "late-frame")),
            Straggler("late", _renamed(_of(seconds[3], "audio"), "late-audio")),
            Straggler("late", _renamed(_of(seconds[0], "caption"), "late-caption")),
            Straggler("late", _of(seconds[2], "frame")),  # known, but its Moment is closed
        ],
        15: [Straggler("duplicate", _of(seconds[12], "caption"))],  # it is carried
    }


def _of(second: Sequence[Output], modality: str) -> Output:
    wanted = f"multimodal.{modality}.v1".encode()
    return next(output for output in second if dict(output.headers)["ce_type"] == wanted)


def _renamed(output: Output, name: str) -> Output:
    headers = tuple((key, name.encode() if key == "ce_id" else v) for key, v in output.headers)
    return replace(output, headers=headers)
