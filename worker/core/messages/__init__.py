"""The messages that leave the worker, and the feedback that comes back; see `schemas/`.

Pure values with a writer (`to_json`) and readers. Readers ignore unknown fields, so that fields can
be added, and raise ValueError with one sentence where a message cannot be used.
"""

from worker.core.messages.alert import Alert, AlertType, Evidence, read_alert
from worker.core.messages.assessment import Assessment, ExpertScore, Warmup
from worker.core.messages.decision import DecisionRecord
from worker.core.messages.explanation import (
    Cell,
    Explanation,
    NearestNormal,
    Region,
    Span,
)
from worker.core.messages.feedback import Effect, Feedback, Heeded, Label, read_feedback
from worker.core.messages.headers import (
    capped_value,
    dead_letter_headers,
    late_headers,
    output_headers,
)
from worker.core.messages.ids import alert_id, amendment_id, observation_id
from worker.core.messages.observation import (
    Lesson,
    Observation,
    read_lesson,
    read_number,
    read_observation,
)
from worker.core.messages.parts import InputRef, Modalities
from worker.core.messages.shadow import BundleRecord, ShadowRecord
from worker.core.messages.writing import to_json

__all__ = [
    "Alert",
    "AlertType",
    "Assessment",
    "BundleRecord",
    "Cell",
    "DecisionRecord",
    "Effect",
    "Evidence",
    "ExpertScore",
    "Explanation",
    "Feedback",
    "Heeded",
    "InputRef",
    "Label",
    "Lesson",
    "Modalities",
    "NearestNormal",
    "Observation",
    "Region",
    "ShadowRecord",
    "Span",
    "Warmup",
    "alert_id",
    "amendment_id",
    "capped_value",
    "dead_letter_headers",
    "late_headers",
    "observation_id",
    "output_headers",
    "read_alert",
    "read_feedback",
    "read_lesson",
    "read_number",
    "read_observation",
    "to_json",
]
