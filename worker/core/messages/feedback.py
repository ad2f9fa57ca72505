"""Feedback: what a person says about an alert or an Observation. It comes from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from worker.core import rfc3339
from worker.core.messages.ids import feedback_id
from worker.core.messages.reading import fields_of
from worker.core.messages.writing import Document, without_none

Label = Literal["normal", "anomaly", "unsure"]
MAX_AUTHOR, MAX_COMMENT = 128, 2000  # characters
_LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True, slots=True)
class Feedback:
    """A label for an alert, an Observation, or both. `time` in microseconds since the epoch.

    `author` is a pseudonym of who said it, for the audit; `comment` is for people.
    """

    source: str
    label: Label
    time: int
    alert_id: str | None = None
    observation_id: str | None = None
    author: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.alert_id is None and self.observation_id is None:
            raise ValueError("feedback must name an alert_id or an observation_id")
        for name, text, most in (
            ("author", self.author, MAX_AUTHOR),
            ("comment", self.comment, MAX_COMMENT),
        ):
            if text is not None and not 1 <= len(text) <= most:
                raise ValueError(f"{name} must have from 1 to {most} characters")

    @property
    def message_id(self) -> str:
        """Unique per source, for `ce_id`: the same words at the same time are the same message."""
        return feedback_id(
            self.source, self.label, self.time, self.alert_id, self.observation_id, self.author
        )

    def document(self) -> Document:
        """Return the JSON object."""
        document: Document = {
            "source": self.source,
            "label": self.label,
            "time": rfc3339.format(self.time),
            "alert_id": self.alert_id,
            "observation_id": self.observation_id,
            "author": self.author,
            "comment": self.comment,
        }
        return without_none(document, "alert_id", "observation_id", "author", "comment")


def read_feedback(value: bytes) -> Feedback:
    """Return the feedback in a record's value. Raises ValueError."""
    fields = fields_of(value, "feedback")
    return Feedback(
        source=fields.text("source"),
        label=fields.choice("label", _LABELS),
        time=fields.time("time"),
        alert_id=fields.optional("alert_id", fields.text),
        observation_id=fields.optional("observation_id", fields.text),
        author=fields.optional("author", fields.text),
        comment=fields.optional("comment", fields.text),
    )
