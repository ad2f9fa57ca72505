"""What pairing is set to."""

from __future__ import annotations

from dataclasses import dataclass

from worker.core.events import Event, Modality


@dataclass(frozen=True, slots=True)
class PairingRules:
    """How events become Moments; all durations in microseconds. See Pairing in ARCHITECTURE.md."""

    window: int
    grace: int
    awaited: frozenset[Modality]
    idle_timeout: int
    carry_caption: int

    @property
    def as_of_captions(self) -> bool:
        """Whether captions join the next window that closes, not the window of their time."""
        return Modality.CAPTION not in self.awaited

    def is_as_of(self, event: Event) -> bool:
        """Tell whether the event joins the next window that closes."""
        is_caption = event.modality is Modality.CAPTION and event.correlation_id is None
        return is_caption and self.as_of_captions

    def window_start(self, time: int) -> int:
        """Return the start of the epoch-aligned window `[start, start + window)` around `time`."""
        return time - time % self.window
