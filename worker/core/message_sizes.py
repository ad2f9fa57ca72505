"""How large the worker's own records may be: Observations, alerts, states."""

from __future__ import annotations

from json.encoder import encode_basestring

from worker.core.events import Event

MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # what their topics have to take, and producers to send
# An alert lists the events of its Moment: those of the window, and as many bytes of captions.
MAX_LISTED_BYTES = 3 * 1024 * 1024
_ENTRY_BYTES = 160  # of an event in a list beside its topic and its id


def listed_bytes(event: Event) -> int:
    """Return what an event takes in an alert at most: an entry among the inputs, and its id."""
    name = encode_basestring(event.id).encode()  # as JSON without escapes to ASCII
    return _ENTRY_BYTES + len(event.record.topic) + 2 * len(name)
