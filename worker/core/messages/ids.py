"""Ids that follow from what they name: the same Moment gets the same id in every run."""

from __future__ import annotations

from hashlib import sha256

ID_DIGITS = 32  # 128 bits


def observation_id(
    source: str, window_start: int, window_end: int, correlation_id: str | None
) -> str:
    """Return the id of the Observation of a Moment; times in microseconds since the epoch."""
    return _digest("observation", source, str(window_start), str(window_end), correlation_id)


def amendment_id(observation: str, modality: str, offset: int) -> str:
    """Return the id of the Observation that amends another one by the event at this offset."""
    return _digest("amendment", observation, modality, str(offset))


def alert_id(source: str, rule: str, window_start: int) -> str:
    """Return the id of the alert which the rule opened; `window_start` of its first Moment."""
    return _digest("alert", source, rule, str(window_start))


def feedback_id(
    source: str,
    label: str,
    time: int,
    alert: str | None,
    observation: str | None,
    author: str | None,
) -> str:
    """Return the id of what somebody said at a `time` in microseconds since the epoch."""
    return _digest("feedback", source, label, str(time), alert, observation, author)


def _digest(*fields: str | None) -> str:
    """Hash the fields, each after its length: different tuples are never the same bytes."""
    hashed = sha256()
    for field in fields:
        if field is None:
            hashed.update(b"\x00")
        else:
            data = field.encode()
            hashed.update(b"\x01" + len(data).to_bytes(8, "big") + data)
    return hashed.hexdigest()[:ID_DIGITS]
