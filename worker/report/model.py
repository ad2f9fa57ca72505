"""What a report shows, as plain values. All times are microseconds since the Unix epoch.

Modalities are `frame`, `caption` and `audio`. Scores are in [0, 1], higher is more abnormal.
Severities are those of `worker.core.policy.Severity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from worker.core.messages import Explanation, Warmup

SAMPLE_RATE = 16_000  # of every waveform in a report, in Hz; mono


@dataclass(frozen=True, slots=True)
class Point:
    """One Moment `[start, end)`. `score` is None where the Moment was not judged.

    `warmup` says how far its source was by then, where that is why.
    """

    start: int
    end: int
    score: float | None
    warming_up: bool = False
    missing: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    closed_by: str = "watermark"
    warmup: Warmup | None = None
    drifting: bool = False


@dataclass(frozen=True, slots=True)
class AlertSpan:
    """An alert on a time line, from its first unusual Moment to the last one it covers."""

    start: int
    end: int
    severity: str
    alert_id: str


@dataclass(frozen=True, slots=True)
class LabelSpan:
    """A labelled event on a time line. `natural` is False where it was injected."""

    start: int
    end: int
    kind: str
    modality: str
    natural: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class CameraLine:
    """The time line of one source; points in time order, without overlap."""

    source: str
    points: tuple[Point, ...]
    threshold: float
    alerts: tuple[AlertSpan, ...] = ()
    labels: tuple[LabelSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertStory:
    """All that is told about one alert. `window_start`, `window_end`: its strongest Moment.

    `contributions` are >= 0 per modality and shown as shares of their sum; `experts` are
    (score, p-value or None) by name. `audio_wav` is float32 in [-1, 1], mono, at SAMPLE_RATE.
    `label` names the labelled event it belongs to; None where there is none.
    """

    alert_id: str
    source: str
    opened_at: int
    window_start: int
    window_end: int
    severity: str
    reasons: tuple[str, ...]
    score: float
    p_value: float
    threshold: float
    contributions: Mapping[str, float]
    experts: Mapping[str, tuple[float, float | None]]
    sentence: str
    evidence_jpeg: bytes | None = None
    normal_jpeg: bytes | None = None
    caption: str | None = None
    caption_normal: str | None = None
    audio_wav: NDArray[np.float32] | None = None
    updates: int = 0
    closed: bool = False
    detect_seconds: float | None = None
    label: str | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class LabelOutcome:
    """What became of one labelled event.

    `right_reason`: the message that detected it named the labelled modality; None where missed.
    """

    kind: str
    source: str
    start: int
    end: int
    natural: bool
    hit: bool
    seconds_to_detect: float | None = None
    right_reason: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One page. `origin` is the time that is shown as 0:00.

    `counts` are events: `consumed`, `paired`, `late`, `duplicate`, `dead_letter`, `buffered`, and
    `reconciled`, a bool: whether the first equals the sum of the others. `rates` are by unit
    (`frames/s`), `stage_seconds` by stage. Without labels `outcomes` is empty and `false_alarms`
    is None. `tried` says what came of what was in shadow, if anything was.
    """

    title: str
    subtitle: str
    generated_at: int
    backend: str
    cameras: tuple[CameraLine, ...]
    alerts: tuple[AlertStory, ...]
    origin: int
    outcomes: tuple[LabelOutcome, ...] = ()
    false_alarms: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    tried: str | None = None
