"""What a W3C `traceparent` tells, and how the runtime reports spans.

Outputs carry the `traceparent` of their first record that has one, not that of a worker's span: a
record that is read again leads to the same output, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Traced(NamedTuple):
    """A moment of event time, in microseconds, and the `traceparent` of what happened, if any."""

    time: int
    traceparent: str | None = None

    @property
    def trace_id(self) -> str | None:
        """The 32 hexadecimal digits of the trace, where it is recorded.

        >>> Traced(0, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").trace_id
        '0af7651916cd43dd8448eb211c80319c'
        >>> Traced(0, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").trace_id
        """
        if self.traceparent is None:
            return None
        _, trace, _, flags = self.traceparent.split("-")[:4]
        return trace if int(flags, 16) & 1 else None


class BatchSpan(Protocol):
    """The work on one batch, from its start on."""

    def end(self, failure: str | None = None, /) -> None:
        """Note that it is done, or why it failed."""


class Tracer(Protocol):
    """Where the runtime reports spans. Called from several threads; never raises."""

    def batch(self, moments: int, records: int, traceparents: Iterable[str], /) -> BatchSpan:
        """Begin a span for a batch of Moments that is linked to the traces of its records."""


class Untraced:
    """A Tracer that reports nothing, and its spans."""

    def batch(self, *_: object) -> BatchSpan:
        """Begin nothing."""
        return self

    def end(self, *_: object) -> None:
        """End nothing."""
