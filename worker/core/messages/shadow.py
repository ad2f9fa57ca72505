"""What is tried beside what holds: the shadow part of an Observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.core.messages.assessment import Assessment, read_assessment
from worker.core.messages.decision import DecisionRecord, read_decision
from worker.core.messages.features import features_document, read_features, read_scores
from worker.core.messages.reading import Fields
from worker.core.messages.vectors import Float16Array
from worker.core.messages.writing import Document, in_order


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no single truth value to compare by
class BundleRecord:
    """What a bundle in shadow made of a Moment, and its own scorer of that.

    `digest` is the bundle's; `features` stand for those of the Observation that come from several
    modalities. Learning from these, from `assessment` and `raw_scores` again gives its state.
    """

    digest: str
    assessment: Assessment
    raw_scores: Mapping[str, float]
    features: Mapping[str, Float16Array]

    def document(self) -> Document:
        """Return the JSON object."""
        return {
            "digest": self.digest,
            "assessment": self.assessment.document(),
            "raw_scores": in_order(self.raw_scores),
            "features": features_document(self.features),
        }


@dataclass(frozen=True, slots=True, eq=False)
class ShadowRecord:
    """What would have been decided: by other rules, and with a `bundle` on scores of its own."""

    decision: DecisionRecord
    bundle: BundleRecord | None = None

    def document(self) -> Document:
        """Return the JSON object."""
        own = {} if self.bundle is None else {"bundle": self.bundle.document()}
        return {**self.decision.document(), **own}


def read_shadow(fields: Fields) -> ShadowRecord | None:
    """Return the shadow of an Observation, if it has one. Raises ValueError."""
    shadow = fields.optional("shadow", fields.nested)
    return None if shadow is None else ShadowRecord(read_decision(shadow), _read_bundle(shadow))


def read_bundle_of_shadow(fields: Fields) -> BundleRecord | None:
    """Return what the bundle in shadow of an Observation made of it. Raises ValueError."""
    shadow = fields.optional("shadow", fields.nested)
    return None if shadow is None else _read_bundle(shadow)


def _read_bundle(shadow: Fields) -> BundleRecord | None:
    fields = shadow.optional("bundle", shadow.nested)
    if fields is None:
        return None
    return BundleRecord(
        digest=fields.text("digest"),
        assessment=read_assessment(fields.nested("assessment")),
        raw_scores=read_scores(fields),
        features=read_features(fields),
    )
