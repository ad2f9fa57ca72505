"""From what a run left behind to the values of its page. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from worker.core.alert_policies import AlertPolicies
from worker.core.events import Modality
from worker.core.messages import Alert, InputRef, Observation
from worker.core.rfc3339 import MICROSECONDS
from worker.core.sentence import explain
from worker.report.model import (
    AlertSpan,
    AlertStory,
    CameraLine,
    LabelSpan,
    Point,
    Report,
)
from worker.report.scorecard import AlertLife, label_of, lives, outcomes
from worker.runtime.decision_diff import KINDS, tried

EventKey = tuple[str, Modality, str]  # source, modality, id


@dataclass(frozen=True, slots=True)
class Run:
    """The messages of a finished run, in the order of the log, and what was measured."""

    observations: tuple[Observation, ...]
    alerts: tuple[Alert, ...]
    policies: AlertPolicies
    window_seconds: float
    counts: Mapping[str, int]
    rates: Mapping[str, float]
    stage_seconds: Mapping[str, float]
    labels: Mapping[str, tuple[LabelSpan, ...]] | None = None  # by source; None: nobody labelled

    def threshold(self, source: str) -> float:
        """Return the score from which a Moment of the source is unusual."""
        return self.policies.of(source).budget.threshold


@dataclass(frozen=True, slots=True)
class Media:
    """The raw media of some events, and how to turn audio into samples (float32 mono 16 kHz)."""

    payloads: Mapping[EventKey, bytes] = field(default_factory=dict)
    waveform: Callable[[bytes], NDArray[np.float32]] = lambda _: np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Chapter:
    """An alert with the Observation that shows it best, and a normal one that is like it."""

    life: AlertLife
    strongest: Observation
    normal: Observation | None


def chapters(run: Run) -> list[Chapter]:
    """Return what is to be told of each alert, in opening order."""
    by_source = _by_source(run.observations)
    last = {source: rows[-1].window_end for source, rows in by_source.items()}
    return [_chapter(life, by_source[life.opening.source]) for life in lives(run.alerts, last)]


def wanted_media(told: Iterable[Chapter]) -> set[EventKey]:
    """Return the events whose media the page shows."""
    wanted: set[EventKey] = set()
    for chapter in told:
        for observation in (chapter.strongest, chapter.normal):
            if observation is not None:
                refs = filter(None, (_shown(observation, modality) for modality in Modality))
                wanted |= {(observation.source, ref.modality, ref.id) for ref in refs}
    return wanted


def build_report(
    run: Run, told: Sequence[Chapter], media: Media, heading: Mapping[str, str], generated_at: int
) -> Report:
    """Return the page's values; `heading` has title, subtitle and backend."""
    labels = run.labels or {}
    found = [chapter.life for chapter in told]
    return Report(
        title=heading["title"],
        subtitle=heading["subtitle"],
        backend=heading["backend"],
        generated_at=generated_at,
        cameras=tuple(
            _camera_line(source, rows, run, found, labels.get(source, ()))
            for source, rows in sorted(_by_source(run.observations).items())
        ),
        alerts=tuple(_story(chapter, run, labels, media) for chapter in told),
        origin=min((each.window_start for each in run.observations), default=0),
        outcomes=outcomes(found, labels),
        false_alarms=None
        if run.labels is None
        else sum(1 for life in found if label_of(life, labels) is None),
        counts=run.counts,
        rates=run.rates,
        stage_seconds=run.stage_seconds,
        tried=_in_shadow(run.observations),
    )


def _in_shadow(observations: Iterable[Observation]) -> str | None:
    """Say what became of the alerts by what was tried, if anything was."""
    rows = [each for each in observations if each.shadow is not None]
    if not rows:
        return None
    counts = Counter(each.kind for each in tried(rows))
    alerts = counts.total() - counts["lost"]
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    return f"{alerts} alerts would have been sent ({told})"


def _by_source(observations: Iterable[Observation]) -> dict[str, list[Observation]]:
    rows: dict[str, list[Observation]] = {}
    for observation in observations:
        rows.setdefault(observation.source, []).append(observation)
    return rows


def _chapter(life: AlertLife, rows: Sequence[Observation]) -> Chapter:
    first = min(life.opening.window_start, *(m.window_start for m in life.messages))
    during = [row for row in rows if first <= row.window_start < life.end]
    before = [row for row in rows if row.window_end <= first and _shown(row, Modality.FRAME)]
    judged = [row for row in before if row.assessment.p_value is not None]
    strongest = max(during, key=lambda row: row.assessment.score or 0.0)
    usual = max(judged, key=lambda row: row.assessment.p_value or 0.0, default=None)
    nearest = _nearest_normal(strongest, rows)
    return Chapter(life, strongest, nearest or usual or (before[-1] if before else None))


def _nearest_normal(shown: Observation, rows: Iterable[Observation]) -> Observation | None:
    """Return the normal Moment that the explanation names, where it is one of the run's."""
    explanation = shown.explanation
    if explanation is None or explanation.nearest_normal is None:
        return None
    wanted = explanation.nearest_normal.observation_id
    return next((row for row in rows if row.observation_id == wanted), None)


def _camera_line(
    source: str,
    rows: Sequence[Observation],
    run: Run,
    found: Iterable[AlertLife],
    labels: tuple[LabelSpan, ...],
) -> CameraLine:
    windows = [row for row in rows if row.correlation_id is None]
    spans = [
        AlertSpan(
            start=life.opening.window_start,
            end=life.end,
            severity=life.messages[-1].severity,
            alert_id=life.opening.alert_id,
        )
        for life in found
        if life.opening.source == source
    ]
    return CameraLine(
        source, tuple(map(_point, windows)), run.threshold(source), tuple(spans), labels
    )


def _point(row: Observation) -> Point:
    return Point(
        start=row.window_start,
        end=row.window_end,
        score=row.assessment.score,
        warming_up=row.assessment.warming_up,
        missing=tuple(map(str, row.modalities.missing)),
        carried=tuple(map(str, row.modalities.carried)),
        closed_by=row.closed_by,
        warmup=row.assessment.warmup,
        drifting=row.assessment.drifting,
    )


def _story(
    chapter: Chapter, run: Run, labels: Mapping[str, Sequence[LabelSpan]], media: Media
) -> AlertStory:
    life, shown = chapter.life, chapter.strongest
    label = label_of(life, labels)
    assessment = shown.assessment
    experts = {name: (each.score, each.p_value) for name, each in assessment.opinions.items()}
    p_value = 1.0 if assessment.p_value is None else assessment.p_value
    caption = _caption(shown, media)
    sound = _payload(shown, Modality.AUDIO, media)
    after = None if label is None else (life.opening.window_end - label.start) / MICROSECONDS
    return AlertStory(
        alert_id=life.opening.alert_id,
        source=life.opening.source,
        opened_at=life.opening.window_end,
        window_start=shown.window_start,
        window_end=shown.window_end,
        severity=life.messages[-1].severity,
        reasons=life.reasons,
        score=assessment.score or 0.0,
        p_value=p_value,
        threshold=life.opening.threshold,
        contributions=assessment.contributions,
        experts=experts,
        sentence=explain(
            source=life.opening.source,
            reasons=life.reasons,
            contributions=assessment.contributions,
            experts=experts,
            caption=caption,
            p_value=p_value,
            window_seconds=run.window_seconds,
            region=None if shown.explanation is None else shown.explanation.region,
            derived=shown.modalities.derived,
        ),
        evidence_jpeg=_payload(shown, Modality.FRAME, media),
        normal_jpeg=_payload(chapter.normal, Modality.FRAME, media),
        caption=caption,
        caption_normal=_caption(chapter.normal, media),
        audio_wav=None if sound is None else media.waveform(sound),
        updates=sum(1 for message in life.messages if message.type == "update"),
        closed=life.closed,
        detect_seconds=after,
        label=None if label is None else label.kind,
        explanation=shown.explanation,
    )


def _shown(observation: Observation, modality: Modality) -> InputRef | None:
    """Return the event that stands for a modality: of frames the middle one, else the newest."""
    refs = [ref for ref in observation.inputs if ref.modality is modality]
    if not refs:
        return None
    return refs[len(refs) // 2] if modality is Modality.FRAME else refs[-1]


def _payload(observation: Observation | None, modality: Modality, media: Media) -> bytes | None:
    ref = None if observation is None else _shown(observation, modality)
    if observation is None or ref is None:
        return None
    return media.payloads.get((observation.source, modality, ref.id))


def _caption(observation: Observation | None, media: Media) -> str | None:
    payload = _payload(observation, Modality.CAPTION, media)
    written = () if payload is None else (payload.decode("utf-8", errors="replace"),)
    said = () if observation is None else tuple(f"Said: {one.text}" for one in observation.derived)
    return " ".join((*written, *said)) or None
