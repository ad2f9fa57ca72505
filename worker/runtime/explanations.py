"""What an unusual Moment's messages say of why: the values, and one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from worker.core.events import Modality
from worker.core.messages import Explanation, Observation, Span
from worker.core.messages.explanation import MAX_CAPTION
from worker.core.moment import Moment
from worker.core.rfc3339 import seconds
from worker.core.sentence import explain
from worker.media.limits import Limits
from worker.media.text import decode_text
from worker.models.logmel import WINDOW_SECONDS
from worker.scoring.explaining import Explained


def explanation_of(explained: Explained, moment: Moment, *, quotes: bool) -> Explanation:
    """Return what is to be shown of an unusual Moment, with its caption's words if it `quotes`."""
    window = explained.sound_window
    return Explanation(
        experts=explained.experts,
        nearest_normal=explained.nearest,
        region=explained.region,
        sound=None if window is None else _span_of_sound(moment, window),
        derived=moment.derived_modalities,
        caption=_words_of(moment) if quotes else None,
        extrapolated_from=explained.extrapolated_from,
    )


def sentence_of(
    observation: Observation, reasons: Sequence[str], window_seconds: float
) -> str | None:
    """Say what is unusual for `reasons`; None where nothing is. A window is so many seconds."""
    explanation, assessment = observation.explanation, observation.assessment
    if explanation is None or assessment.p_value is None:
        return None
    return explain(
        source=observation.source,
        reasons=reasons,
        contributions=assessment.contributions,
        experts={name: (each.score, each.p_value) for name, each in assessment.opinions.items()},
        caption=explanation.caption,
        p_value=assessment.p_value,
        window_seconds=window_seconds,
        region=explanation.region,
        derived=explanation.derived,
    )


def _span_of_sound(moment: Moment, window: int) -> Span:
    """Return when a window of the Moment's sound was; its clips follow each other."""
    first = min(event.time for event in moment.of(Modality.AUDIO))
    begin = first + window * seconds(WINDOW_SECONDS)
    return Span(begin, begin + seconds(WINDOW_SECONDS))


def _words_of(moment: Moment) -> str | None:
    """Return what the caption says that the Moment is judged by; it was decoded before."""
    own = moment.of(Modality.CAPTION)
    last = own[-1] if own else moment.carried if moment.carried_modalities else None
    if last is None:
        return None
    size = Limits(max_text_bytes=len(last.payload))
    return decode_text(last.payload, last.content_type, size)[:MAX_CAPTION]
