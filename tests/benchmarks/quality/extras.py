"""Beside the main table: fewer modalities, watch phrases, and where in the picture it is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from tests.benchmarks.quality import measures
from tests.benchmarks.quality.features import Encoded
from tests.benchmarks.quality.incidents import ANOMALIES
from tests.benchmarks.quality.judged import NOW, Judged, judge
from worker.core.events import Modality
from worker.core.policy import Severity
from worker.core.triggers import Trigger
from worker.models.base import Encoder
from worker.models.watching import Watch

TRIGGERS = (
    Trigger("fire", "smoke or flames", Severity.HIGH),
    Trigger("violence", "people fight or threaten each other with a weapon", Severity.HIGH),
)
WATCHED = "danger_caption"  # the kind of incident that the phrases are about

_PICTURE = ("luminance", "sharpness", "motion", "visual")
_SOUND, _CAPTION = ("audio_windows",), ("text", "text_danger")
MASKS: Mapping[str, tuple[str, ...]] = {  # the features that are missing
    "no sound": (*_SOUND, "fused"),
    "no picture": (*_PICTURE, "fused"),
    "no caption": (*_CAPTION, "fused"),
    "picture alone": (*_SOUND, *_CAPTION, "fused"),
    "sound alone": (*_PICTURE, *_CAPTION, "fused"),
}


def by_mask(streams: Sequence[Encoded]) -> dict[str, Any]:
    """Return what p-values of normal Moments are worth where modalities are always missing."""
    found: dict[str, Any] = {}
    for name, dropped in MASKS.items():
        judged, _ = judge(streams, dropped=dropped)
        p_values = [each.p_values[NOW] for each in judged]
        alerts = measures.alerts(judged, p_values, measures.PER_HOUR)
        honesty = measures.honesty(*measures.joined(judged, p_values))
        found[name] = {**asdict(honesty), "false_alarms": alerts.false_alarms}
    return found


def watched(streams: Sequence[Encoded], encoders: Mapping[Modality, Encoder]) -> dict[str, Any]:
    """Return how well dangerous captions are told by watch phrases."""
    watch = Watch(TRIGGERS, encoders)
    names = tuple(each.expert(Modality.CAPTION) for each in TRIGGERS)
    judged, _ = judge([_watched(each, watch) for each in streams], added=names)
    kinds = np.concatenate([each.kinds for each in judged])
    kept = (kinds == WATCHED) | ~np.isin(kinds, list(ANOMALIES))
    least = [np.min([each.experts[name] for name in names], axis=0) for each in judged]
    return {
        "auroc": measures.separation(kinds[kept] == WATCHED, np.concatenate(least)[kept]),
        "named": measures.reason_share(judged, WATCHED, [each.reason for each in TRIGGERS]),
        **asdict(measures.honesty(*measures.joined(judged, [e.p_values[NOW] for e in judged]))),
    }


def placed(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return how often the hottest cell is one that the incident has changed."""
    share, told = measures.placed_right(judged)
    return {"share": share, "pictures": told}


def _watched(encoded: Encoded, watch: Watch) -> Encoded:
    source = encoded.stream.source
    rows = [watch.margins(source, Modality.CAPTION, text) for text in encoded.arrays["text"]]
    margins = {name: np.stack([row[name] for row in rows]).astype(np.float16) for name in rows[0]}
    return replace(encoded, arrays={**encoded.arrays, **margins})
