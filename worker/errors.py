"""Errors that leave the worker, and the closed list of reasons for a dead letter."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a record became a dead letter. Closed: it labels metrics and a header others read."""

    # size
    NULL_VALUE = "null_value"
    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    # headers
    TOO_MANY_HEADERS = "too_many_headers"
    HEADERS_TOO_LARGE = "headers_too_large"
    MISSING_HEADER = "missing_header"
    MALFORMED_HEADER = "malformed_header"
    UNSUPPORTED_SPECVERSION = "unsupported_specversion"
    DATAREF_REFUSED = "dataref_refused"
    # key and partition
    NULL_KEY = "null_key"
    KEY_MISMATCH = "key_mismatch"
    WRONG_PARTITION = "wrong_partition"
    # type, time, content type
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    MALFORMED_TIME = "malformed_time"
    TIME_AHEAD = "time_ahead"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    # media
    UNDECODABLE_IMAGE = "undecodable_image"
    IMAGE_TOO_LARGE = "image_too_large"
    UNDECODABLE_AUDIO = "undecodable_audio"
    AUDIO_TOO_LONG = "audio_too_long"
    UNDECODABLE_TEXT = "undecodable_text"
    TEXT_TOO_LONG = "text_too_long"
    # pairing
    TOO_MANY_EVENTS = "too_many_events"
    # feedback
    INVALID_FEEDBACK = "invalid_feedback"
    UNKNOWN_SOURCE = "unknown_source"
    FEEDBACK_BACKLOG = "feedback_backlog"
    # anything that ends the process
    QUARANTINED = "quarantined"


class InvalidEventError(Exception):
    """A record or its media cannot be accepted. A value on its way to the dead-letter topic."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class OperatorError(Exception):
    """Something an operator must change. The command prints the one sentence and exits with 2."""


class StateError(OperatorError):
    """What was committed cannot be gone on with, and an operator must say what to do instead."""


class FailedRunError(Exception):
    """The run was right but failed or found a fault. Printed as one sentence, exit 1."""
