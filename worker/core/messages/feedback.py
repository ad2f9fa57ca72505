"""Feedback: what a person says about an alert, an Observation or a source, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from worker.core import rfc3339
from worker.core.messages.ids import feedback_id
from worker.core.messages.reading import Fields, fields_of
from worker.core.messages.writing import Document, without_none

Label = Literal["normal", "anomaly", "unsure", "learn_anew"]
Effect = Literal["learned", "kept_out", "noted", "restarted", "repeated", "unknown"]
MAX_AUTHOR, MAX_COMMENT = 128, 2000  # characters
LABELS: tuple[Label, ...] = get_args(Label)
EFFECTS: tuple[Effect, ...] = get_args(Effect)


@dataclass(frozen=True, slots=True)
class Feedback:
    """A label for an alert, an Observation, or both. `time` in microseconds since the epoch.

    `learn_anew` is about the source: what is usual for it is to be forgotten, as after a camera was
    moved; it need not name anything.

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
        is_about_source = self.label == "learn_anew"
        if self.alert_id is None and self.observation_id is None and not is_about_source:
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
    return _feedback(fields, fields.text("source"))


def _feedback(fields: Fields, source: str) -> Feedback:
    return Feedback(
        source=source,
        label=fields.choice("label", LABELS),
        time=fields.time("time"),
        alert_id=fields.optional("alert_id", fields.text),
        observation_id=fields.optional("observation_id", fields.text),
        author=fields.optional("author", fields.text),
        comment=fields.optional("comment", fields.text),
    )


@dataclass(frozen=True, slots=True)
class Heeded:
    """What came of feedback, right before the Moment of its Observation was judged.

    `feedback` is without its comment. `factor` is what the source's alpha is multiplied by from
    then on. Effects: `learned` as normal, `kept_out` of what is normal, `noted` where somebody was
    unsure (what was said before about the alert is taken back), `restarted` the source's normality,
    `repeated` where the same was said before, `unknown` where no such alert is remembered.
    """

    feedback: Feedback
    effect: Effect
    factor: float

    def document(self) -> Document:
        """Return the JSON object."""
        said = self.feedback.document()
        del said["source"]  # it is the Observation's
        identified: Document = {"id": self.feedback.message_id}
        return {**identified, **said, "effect": self.effect, "factor": self.factor}


def read_heeded(fields: Fields, source: str) -> Heeded:
    """Return what came of feedback about a source. Raises ValueError."""
    return Heeded(
        _feedback(fields, source), fields.choice("effect", EFFECTS), fields.number("factor")
    )
