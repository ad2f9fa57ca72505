"""The features of a Moment and the raw scores of the experts: what learning again needs."""

from __future__ import annotations

from collections.abc import Mapping

from worker.core.messages import vectors
from worker.core.messages.reading import Fields
from worker.core.messages.vectors import Float16Array
from worker.core.messages.writing import Document


def features_document(features: Mapping[str, Float16Array]) -> Document:
    """Return the JSON object. Raises ValueError where one is not finite or not float16."""
    return {
        name: {"shape": features[name].shape, "data": vectors.encode(features[name])}
        for name in sorted(features)
    }


def read_features(fields: Fields) -> dict[str, Float16Array]:
    """Return the features of an object that may have some. Raises ValueError."""
    inner = fields.optional("features", fields.nested)
    return {} if inner is None else {name: _read_feature(inner.nested(name)) for name in inner}


def read_scores(fields: Fields) -> Mapping[str, float]:
    """Return the raw scores of an object that may have some. Raises ValueError."""
    return fields.optional("raw_scores", fields.numbers) or {}


def _read_feature(fields: Fields) -> Float16Array:
    return vectors.decode(fields.text("data"), fields.integers("shape"))
