"""Writes the messages of one judged Moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from worker.core.alerts import RULE, ClosedFor, Decision, OpenAlert
from worker.core.events import Event, Modality
from worker.core.messages import (
    Alert,
    AlertType,
    BundleRecord,
    Evidence,
    InputRef,
    Modalities,
    Observation,
    ShadowRecord,
    alert_id,
    amendment_id,
    observation_id,
    output_headers,
    to_json,
)
from worker.core.messages.vectors import Float16Array
from worker.core.moment import Effort, Moment
from worker.core.ports import Output
from worker.runtime.decider import Judged
from worker.runtime.explanations import explanation_of, sentence_of
from worker.runtime.shadow import Shadowed
from worker.scoring.experts import Features
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
    frames: int  # of a Moment, encoded at most
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
                *_less(moment, self.frames),
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
            else explanation_of(judged.explained, moment, quotes=self.quotes),
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
            sentence=sentence_of(observation, alert.reasons, self.window_seconds),
        )


def observation_id_of(moment: Moment) -> str:
    """Return the id of a Moment's Observation, or of the one that it amends."""
    return observation_id(moment.source, moment.start, moment.end, moment.correlation_id)


def _looked_at(features: Features, scored: Scored) -> Features:
    """Return the features that are finite."""
    return {name: value for name, value in features.items() if name not in scored.skipped}


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


def _less(moment: Moment, usual: int) -> tuple[str, ...]:
    """Return how much was worked on of a Moment of which something was left out.

    The worker was behind; of its frames at most so many as are `usual` would have been encoded.
    """
    effort, frames = moment.effort, len(moment.of(Modality.FRAME))
    encoded = 0 if effort is Effort.NO_FRAME_ENCODER else effort.frames(usual)
    is_less = min(frames, usual) > encoded or (
        effort is Effort.CAPTION_ALONE and bool(moment.of(Modality.AUDIO))
    )
    return (f"overload:{effort}",) if is_less else ()


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
