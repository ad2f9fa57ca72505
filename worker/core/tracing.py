"""What a W3C `traceparent` tells. The worker passes it on; the names are in this module only."""

from __future__ import annotations

from typing import NamedTuple


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
