"""Writes the messages of one judged Moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from worker.core.alerts import RULE, ClosedFor, Decision, OpenAlert
from worker.core.events import Event, Modality
from worker.core.messages import (
    Alert,
    AlertType,
    BundleRecord,
    Evidence,
    Explanation,
    InputRef,
    Modalities,
    Observation,
    ShadowRecord,
    Span,
    alert_id,
    amendment_id,
    observation_id,
    output_headers,
    to_json,
)
from worker.core.messages.explanation import MAX_CAPTION
from worker.core.messages.vectors import Float16Array
from worker.core.moment import Effort, Moment
from worker.core.ports import Output
from worker.core.rfc3339 import seconds
from worker.core.sentence import explain
from worker.media.limits import Limits
from worker.media.text import decode_text
from worker.models.logmel import WINDOW_SECONDS
from worker.runtime.decider import Judged
from worker.runtime.shadow import Shadowed
from worker.scoring.experts import Features
from worker.scoring.explaining import Explained
from worker.scoring.scored import Scored
from worker.stages import Embedded


@dataclass(frozen=True, slots=True)
class OutputTopics:
    """The names of the topics that the worker writes."""

    alerts: str
    observations: str
    dead_letters: str
    late_events: str
    snapshots: str


@dataclass(frozen=True, slots=True)
class Composer:
    """What all messages of a worker have in common.

    Where it `quotes`, the words of an unusual Moment's caption are part of its explanation.
    """

    topics: OutputTopics
    model: str
    config_hash: str
    window_seconds: float
    shadow_bundle: str = ""  # the digest of the bundle in shadow, where there is one
    quotes: bool = True

    def compose(
        self, embedded: Embedded, judged: Judged, number: int
    ) -> tuple[list[Output], tuple[Alert, ...]]:
        """Return the records to append, the observation first, and the alert messages if any.

        The observation goes where its inputs are: whoever owns them looks for it there.
        """
        observation = self._observation(embedded, judged, number)
        headers = output_headers(
            "observation",
            observation.observation_id,
            observation.source,
            observation.window_end,
            observation.traceparent,
        )
        key = observation.source.encode()
        index = observation.inputs[0].partition
        value = to_json(observation)
        outputs = [Output(self.topics.observations, key, value, headers, index)]
        threshold = judged.budget.threshold
        alerts = tuple(
            self._alert(observation, threshold, *said) for said in _messages(judged.decision)
        )
        for alert in alerts:
            headers = output_headers(
                "alert", alert.message_id, alert.source, alert.window_end, alert.traceparent
            )
            outputs.append(Output(self.topics.alerts, key, to_json(alert), headers))
        return outputs, alerts

    def _observation(self, embedded: Embedded, judged: Judged, number: int) -> Observation:
        moment, scored = embedded.moment, judged.scored
        usual = observation_id_of(moment)
        return Observation(
            observation_id=_amendment_id(usual, moment) if moment.amends else usual,
            source=moment.source,
            window_start=moment.start,
            window_end=moment.end,
            modalities=Modalities(
                moment.present,
                moment.carried_modalities,
                moment.missing,
                moment.derived_modalities,
            ),
            embedding=_finite(embedded.fused),
            features=_looked_at(embedded.features, scored),
            assessment=scored.assessment,
            decision=judged.record,
            shadow=None
            if judged.shadow is None
            else self._shadow(judged.shadow, embedded.shadow or {}),
            inputs=_inputs(moment),
            model=self.model,
            closed_by=moment.closed_by,
            degraded=(
                *_less(moment),
                *embedded.degraded,
                *(f"non_finite:{name}" for name in scored.skipped),
            ),
            correlation_id=moment.correlation_id,
            traceparent=moment.traceparent,
            number=number,
            raw_scores=scored.raw,
            amends=usual if moment.amends else None,
            silent_after=moment.silent_after,
            heeded=judged.heeded,
            explanation=None
            if judged.explained is None
            else _explanation(judged.explained, moment, _words_of(moment) if self.quotes else None),
            derived=moment.derived,
            reused=embedded.reused,
        )

    def _shadow(self, shadowed: Shadowed, features: Features) -> ShadowRecord:
        scored = shadowed.scored
        if scored is None:
            return ShadowRecord(shadowed.record)
        own = _looked_at(features, scored)
        bundle = BundleRecord(self.shadow_bundle, scored.assessment, scored.raw, own)
        return ShadowRecord(shadowed.record, bundle)

    def _alert(
        self,
        observation: Observation,
        threshold: float,
        kind: AlertType,
        alert: OpenAlert,
        closed_for: ClosedFor | None,
    ) -> Alert:
        assessment = observation.assessment
        return Alert(
            alert_id=alert_id(observation.source, RULE, alert.start),
            sequence=alert.sequence,
            type=kind,
            source=observation.source,
            window_start=observation.window_start,
            window_end=observation.window_end,
            severity=alert.severity,
            reasons=alert.reasons,
            score=assessment.score or 0.0,
            p_value=assessment.p_value,
            threshold=threshold,
            modalities=observation.modalities,
            contributions=assessment.contributions,
            consistency=assessment.consistency,
            evidence=Evidence(
                event_ids=tuple(each.id for each in observation.inputs),
                observation_id=observation.observation_id,
            ),
            model=self.model,
            config_hash=self.config_hash,
            inputs=observation.inputs,
            degraded=observation.degraded,
            traceparent=observation.traceparent,
            closed_for=closed_for,
            incident_id=observation.decision.incident_id,
            explanation=observation.explanation,
            sentence=self._sentence(observation, alert.reasons),
        )

    def _sentence(self, observation: Observation, reasons: Sequence[str]) -> str | None:
        """Say what is unusual, if it is."""
        explanation, assessment = observation.explanation, observation.assessment
        if explanation is None or assessment.p_value is None:
            return None
        return explain(
            source=observation.source,
            reasons=reasons,
            contributions=assessment.contributions,
            experts={
                name: (each.score, each.p_value) for name, each in assessment.opinions.items()
            },
            caption=explanation.caption,
            p_value=assessment.p_value,
            window_seconds=self.window_seconds,
            region=explanation.region,
            derived=explanation.derived,
        )


def observation_id_of(moment: Moment) -> str:
    """Return the id of a Moment's Observation, or of the one that it amends."""
    return observation_id(moment.source, moment.start, moment.end, moment.correlation_id)


def _looked_at(features: Features, scored: Scored) -> Features:
    """Return the features that are finite."""
    return {name: value for name, value in features.items() if name not in scored.skipped}


def _words_of(moment: Moment) -> str | None:
    """Return what the caption says that the Moment is judged by; it was decoded before."""
    own = moment.of(Modality.CAPTION)
    last = own[-1] if own else moment.carried if moment.carried_modalities else None
    if last is None:
        return None
    size = Limits(max_text_bytes=len(last.payload))
    return decode_text(last.payload, last.content_type, size)[:MAX_CAPTION]


def _explanation(explained: Explained, moment: Moment, caption: str | None) -> Explanation:
    return Explanation(
        experts=explained.experts,
        nearest_normal=explained.nearest,
        region=explained.region,
        sound=None
        if explained.sound_window is None
        else _span_of_sound(moment, explained.sound_window),
        derived=moment.derived_modalities,
        caption=caption,
    )


def _span_of_sound(moment: Moment, window: int) -> Span:
    """Return when a window of the Moment's sound was; its clips follow each other."""
    first = min(event.time for event in moment.of(Modality.AUDIO))
    begin = first + window * seconds(WINDOW_SECONDS)
    return Span(begin, begin + seconds(WINDOW_SECONDS))


def _messages(decision: Decision) -> Iterator[tuple[AlertType, OpenAlert, ClosedFor | None]]:
    """Yield what is said about the alert: one message, or an opening and a close at once."""
    alert = decision.alert
    match decision.kind:
        case "open" | "update" if alert is not None:
            yield decision.kind, alert, None
            if decision.closed_for is not None:
                yield "close", alert.following, decision.closed_for
        case "close" if alert is not None:
            yield "close", alert, decision.closed_for


def _less(moment: Moment) -> tuple[str, ...]:
    """Return what was left out of the Moment, since the worker was behind."""
    return () if moment.effort is Effort.FULL else (f"overload:{moment.effort}",)


def _amendment_id(amended: str, moment: Moment) -> str:
    """Return an id of its own for each event that is sent again."""
    event = moment.events[0]
    return amendment_id(amended, event.modality, event.record.offset)


def _finite(vector: Float16Array) -> Float16Array:
    """Return the vector, or one without elements where it is no vector."""
    return vector if np.isfinite(vector).all() else np.zeros(0, np.float16)


def _inputs(moment: Moment) -> tuple[InputRef, ...]:
    own = [_input(event, carried=False) for event in moment.events]
    if moment.carried is not None and moment.carried_modalities:
        own.append(_input(moment.carried, carried=True))
    return tuple(own)


def _input(event: Event, *, carried: bool) -> InputRef:
    record = event.record
    return InputRef(
        modality=event.modality,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        id=event.id,
        time=event.time,
        carried=carried,
    )
