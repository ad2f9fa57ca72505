"""Small reports for the tests of this directory."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.core.events import Modality
from worker.core.messages import Alert, AlertType, Evidence, Modalities
from worker.core.policy import Severity
from worker.report.model import (
    SAMPLE_RATE,
    AlertSpan,
    AlertStory,
    CameraLine,
    LabelOutcome,
    LabelSpan,
    Point,
    Report,
)

SECOND = 1_000_000
ORIGIN = 1_780_000_000 * SECOND


def at(seconds: float) -> int:
    return ORIGIN + round(seconds * SECOND)


def points(*scores: float | None, **fields: Any) -> tuple[Point, ...]:
    return tuple(
        Point(at(i), at(i + 1), score, warming_up=score is None, **fields)
        for i, score in enumerate(scores)
    )


def jpeg(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG")
    return out.getvalue()


def noise(seconds: float) -> NDArray[np.float32]:
    generator = np.random.default_rng(1)
    return generator.normal(0, 0.2, int(seconds * SAMPLE_RATE)).astype(np.float32)


def tone(hertz: float, seconds: float = 1.0) -> NDArray[np.float32]:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def story(number: int = 1, **changes: Any) -> AlertStory:
    built = AlertStory(
        alert_id=f"id-{number}",
        source="/cameras/lawn",
        opened_at=at(number),
        window_start=at(number),
        window_end=at(number + 1),
        severity="high",
        reasons=("visual",),
        score=0.8,
        p_value=1e-8,
        threshold=0.46,
        contributions={"frame": 0.9, "audio": 0.1},
        experts={"visual_embedding": (0.8, 1e-8), "audio": (0.1, 0.1)},
        sentence=f"Sentence {number}.",
        evidence_jpeg=jpeg(),
        normal_jpeg=jpeg(colour="olive"),
        caption="Two people on the lawn.",
        caption_normal="Nobody is on the lawn.",
        audio_wav=tone(440, 0.5),
    )
    return replace(built, **changes)


def camera(source: str = "/cameras/lawn", **changes: Any) -> CameraLine:
    built = CameraLine(source, points(None, 0.1, 0.9, 0.2), threshold=0.46)
    return replace(built, **changes)


def label(start: float, end: float, **changes: Any) -> LabelSpan:
    return replace(LabelSpan(at(start), at(end), "people_on_lawn", "frame", True), **changes)


def outcome(**changes: Any) -> LabelOutcome:
    built = LabelOutcome("people_on_lawn", "/cameras/lawn", at(2), at(3), True, hit=True)
    return replace(built, **changes)


def alert_span(start: float, end: float, number: int = 1, severity: str = "high") -> AlertSpan:
    return AlertSpan(at(start), at(end), severity, f"id-{number}")


def report(**changes: Any) -> Report:
    built = Report(
        title="Plaza",
        subtitle="A test",
        generated_at=at(60),
        backend="torch on the CPU: no GPU was found.",
        cameras=(camera(alerts=(alert_span(2, 3),)),),
        alerts=(story(2, alert_id="id-1"),),
        origin=ORIGIN,
    )
    return replace(built, **changes)


def message(
    end: float,
    kind: AlertType = "open",
    sequence: int = 0,
    *,
    source: str = "/cameras/lawn",
    alert: str = "a",
    reasons: tuple[str, ...] = ("visual",),
) -> Alert:
    """Return a message of an alert, about the second that ends at `end`."""
    return Alert(
        alert_id=alert,
        sequence=sequence,
        type=kind,
        source=source,
        window_start=at(end - 1),
        window_end=at(end),
        severity=Severity.LOW,
        reasons=reasons,
        score=0.8,
        p_value=1e-8,
        threshold=0.46,
        modalities=Modalities((Modality.FRAME,), (), (Modality.CAPTION, Modality.AUDIO)),
        contributions={"frame": 1.0},
        consistency={},
        evidence=Evidence((), "observation"),
        model="sha256:00",
        config_hash="sha256:00",
        inputs=(),
        degraded=(),
    )
