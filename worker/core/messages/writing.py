"""From a message to bytes: compact JSON in a fixed order of keys; equal values, equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

Document = dict[str, object]

# One encoder for all messages: json.dumps with these options would build a new one for each.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Message(Protocol):
    """A value that has a JSON form."""

    def document(self) -> Document:
        """Return the JSON object; keys in the order in which they are written."""


def to_json(message: Message) -> bytes:
    """Return the message as one line of UTF-8 JSON.

    Raises ValueError where a number is not finite or a text is not Unicode.
    """
    return _ENCODER.encode(message.document()).encode()


def in_order(values: Mapping[str, object]) -> Document:
    """Return a mapping whose keys are free, sorted by key: its own order is an accident."""
    return {name: values[name] for name in sorted(values)}


def without_none(document: Document, *names: str) -> Document:
    """Return the document less those of the named fields that are None: they do not apply."""
    for name in names:
        if document[name] is None:
            del document[name]
    return document
