"""Hypothesis strategies for arbitrary valid messages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worker.core import rfc3339
from worker.core.alerts import CLOSED_FOR
from worker.core.events import MODALITIES, Modality
from worker.core.messages import (
    Alert,
    Assessment,
    BundleRecord,
    Cell,
    DecisionRecord,
    Evidence,
    ExpertScore,
    Explanation,
    Feedback,
    Heeded,
    InputRef,
    Modalities,
    NearestNormal,
    Observation,
    Region,
    ShadowRecord,
    Span,
    Warmup,
)
from worker.core.messages.feedback import EFFECTS, LABELS
from worker.core.moment import ClosedBy, Derived
from worker.core.policy import Severity
from worker.core.verdicts import LEAST, MOST

FIRST_TIME = rfc3339.parse("0001-01-01T00:00:00Z")
LAST_TIME = rfc3339.parse("9999-12-31T23:59:59.999999Z")

modalities_of_all = st.sampled_from(MODALITIES)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
times = st.integers(FIRST_TIME, LAST_TIME)
windows = st.tuples(times, times).map(sorted)
units = st.floats(0, 1)
optional_units = st.none() | units
flags = st.lists(names, unique=True, max_size=3).map(tuple)
traceparents = st.none() | st.builds("00-{}-{:016x}-01".format, ids, st.integers(1, 2**64 - 1))
reasons = st.lists(
    st.sampled_from(["visual", "audio", "text", "fused", "inconsistent:frame-caption"])
    | names.filter(lambda name: "\n" not in name).map("trigger:{}".format),
    unique=True,
    max_size=4,
).map(tuple)

inputs = st.builds(
    InputRef,
    modality=modalities_of_all,
    topic=names,
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    id=names,
    time=times,
    carried=st.booleans(),
)
input_lists = st.lists(inputs, max_size=4).map(tuple)
derived_modalities = st.sampled_from([(), (Modality.CAPTION,)])
derived_texts = st.builds(Derived, modality=modalities_of_all, origin=modalities_of_all, text=names)
expert_scores = st.builds(ExpertScore, score=units, p_value=optional_units)
consistencies = st.dictionaries(
    st.sampled_from(["frame-caption", "frame-audio", "caption-audio"]), expert_scores
)
contributions = st.dictionaries(
    modalities_of_all.map(str), st.floats(allow_nan=False, allow_infinity=False)
)


@st.composite
def modalities(draw: st.DrawFn) -> Modalities:
    """Each modality in exactly one of the three lists."""
    states = draw(st.tuples(*[st.sampled_from(["present", "carried", "missing"])] * 3))
    where = list(zip(MODALITIES, states, strict=True))
    present, carried, missing = (
        tuple(modality for modality, state in where if state == wanted)
        for wanted in ("present", "carried", "missing")
    )
    return Modalities(present, carried, missing, draw(derived_modalities))


assessments = st.builds(
    Assessment,
    p_value=optional_units,
    score=optional_units,
    warming_up=st.booleans(),
    experts=st.dictionaries(names, expert_scores, max_size=3),
    consistency=consistencies,
    contributions=contributions,
    warmup=st.none() | st.builds(Warmup, have=st.integers(0, 10**6), need=st.integers(0, 10**6)),
    drifting=st.booleans(),
)
decisions = st.builds(
    DecisionRecord,
    kind=st.sampled_from(["open", "update", "close"]),
    reasons=reasons,
    severity=st.sampled_from(list(Severity)),
    alert_id=ids,
    closed_for=st.none() | st.sampled_from(CLOSED_FOR),
    incident_id=st.none() | ids,
) | st.just(DecisionRecord("none", (), None, None))

finite_halves = st.floats(width=16, allow_nan=False, allow_infinity=False)
embeddings = hnp.arrays(np.float16, st.integers(0, 8), elements=finite_halves)
features = st.dictionaries(
    names,
    hnp.arrays(
        np.float16,
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        elements=finite_halves,
    ),
    max_size=3,
)


raw_scores = st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=3)


bundle_records = st.builds(BundleRecord, names, assessments, raw_scores, features)
shadows = st.builds(ShadowRecord, decisions, st.none() | bundle_records)


explanations = st.builds(
    Explanation,
    experts=st.dictionaries(names, units, max_size=3),
    nearest_normal=st.none() | st.builds(NearestNormal, ids, modalities_of_all),
    region=st.none()
    | st.builds(
        Region,
        rows=st.integers(1, 100),
        columns=st.integers(1, 100),
        cells=st.lists(
            st.builds(Cell, st.integers(0, 99), st.integers(0, 99), units), max_size=3
        ).map(tuple),
    ),
    derived=derived_modalities,
    caption=st.none() | st.text(max_size=50),
    sound=st.none() | st.builds(Span, times, times),
    extrapolated_from=st.none() | st.integers(0, 10_000),
)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Any Observation that may be written."""
    start, end = draw(windows)
    source = draw(names)
    return Observation(
        observation_id=draw(ids),
        source=source,
        window_start=start,
        window_end=end,
        modalities=draw(modalities()),
        embedding=draw(embeddings),
        features=draw(features),
        assessment=draw(assessments),
        decision=draw(decisions),
        inputs=draw(input_lists),
        model=draw(names),
        closed_by=draw(st.sampled_from(list(ClosedBy))),
        degraded=draw(flags),
        correlation_id=draw(st.none() | names),
        traceparent=draw(traceparents),
        number=draw(st.integers(0, 10**12)),
        raw_scores=draw(raw_scores),
        amends=draw(st.none() | ids),
        silent_after=draw(st.booleans()),
        heeded=tuple(draw(st.lists(heeded(source), max_size=2))),
        explanation=draw(st.none() | explanations),
        shadow=draw(st.none() | shadows),
        derived=tuple(draw(st.lists(derived_texts, max_size=1))),
        reused=draw(st.integers(0, 64)),
    )


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Any Alert that may be written."""
    start, end = draw(windows)
    return Alert(
        alert_id=draw(ids),
        sequence=draw(st.integers(0, 10**6)),
        type=draw(st.sampled_from(["open", "update", "close"])),
        source=draw(names),
        window_start=start,
        window_end=end,
        severity=draw(st.sampled_from(list(Severity))),
        reasons=draw(reasons),
        score=draw(units),
        p_value=draw(optional_units),
        threshold=draw(units),
        modalities=draw(modalities()),
        contributions=draw(contributions),
        consistency=draw(consistencies),
        evidence=Evidence(draw(flags), draw(ids), draw(st.none() | names)),
        model=draw(names),
        config_hash=draw(names),
        inputs=draw(input_lists),
        degraded=draw(flags),
        traceparent=draw(traceparents),
        closed_for=draw(st.none() | st.sampled_from(CLOSED_FOR)),
        explanation=draw(st.none() | explanations),
        sentence=draw(st.none() | names),
        incident_id=draw(st.none() | ids),
    )


@st.composite
def feedbacks(draw: st.DrawFn) -> Feedback:
    """Any feedback that names an alert, an Observation, or both, or is about the source."""
    label = draw(st.sampled_from(LABELS))
    named = st.tuples(ids, st.none()) | st.tuples(st.none(), ids) | st.tuples(ids, ids)
    nothing = st.just((None, None))
    alert_id, observation_id = draw(named | nothing if label == "learn_anew" else named)
    return Feedback(
        source=draw(names),
        label=label,
        time=draw(times),
        alert_id=alert_id,
        observation_id=observation_id,
        author=draw(st.none() | names),
        comment=draw(st.none() | names),
    )


def heeded(source: str) -> st.SearchStrategy[Heeded]:
    """Return what came of any feedback about a source."""
    said = feedbacks().map(lambda each: replace(each, source=source, comment=None))
    factors = st.floats(LEAST, MOST)
    return st.builds(Heeded, said, st.sampled_from(EFFECTS), factors)
