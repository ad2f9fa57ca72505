"""The messages of one judged Moment."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.runtime.builders import START, event, footage, in_time_order
from tests.runtime.test_shard import Desk
from worker.core import rfc3339
from worker.core.messages import read_alert, read_observation
from worker.core.rfc3339 import seconds
from worker.feed.events import FeedEvent


def documents(desk: Desk, topic: str) -> list[dict[str, Any]]:
    return [json.loads(each.value or b"") for each in desk.unit().outputs if each.topic == topic]


def observed(*events: FeedEvent) -> list[dict[str, Any]]:
    desk = Desk()
    desk.read(in_time_order(events))
    desk.settled()
    return documents(desk, "observations")


def test_inputs_name_every_event_and_mark_the_carried_caption() -> None:
    first, second = observed(event("caption", 0.5, name="c"), *footage(2, captions=False))
    assert [(each["modality"], each["offset"]) for each in first["inputs"]] == [
        ("audio", 0),
        ("frame", 0),
        ("caption", 0),
    ]
    (carried,) = [each for each in second["inputs"] if each.get("carried")]
    assert (carried["id"], carried["topic"], carried["time"]) == (
        "c",
        "captions",
        rfc3339.format(START + seconds(0.5)),
    )
    assert second["modalities"] == {
        "present": ["frame", "audio"],
        "carried": ["caption"],
        "missing": [],
    }


def test_a_correlated_moment_says_its_id_and_its_earliest_and_latest_time() -> None:
    (one,) = observed(
        event("frame", 3, correlation="door-7"), event("audio", 1.5, correlation="door-7")
    )
    assert one["correlation_id"] == "door-7"
    assert one["window_start"] == rfc3339.format(START + seconds(1.5))
    assert one["window_end"] == rfc3339.format(START + seconds(3))
    assert one["closed_by"] == "complete"


def test_a_cold_source_says_so_and_has_no_score() -> None:
    (one,) = observed(event("frame", 0))
    assert one["assessment"]["warming_up"]
    assert one["assessment"]["score"] is None
    assert one["assessment"]["p_value"] is None
    assert one["decision"]["kind"] == "none"


def test_an_alert_repeats_what_its_observation_says_and_both_can_be_read_back() -> None:
    desk = Desk(scoring__calibration_moments=20, scoring__false_alarms_per_day=21_000)
    desk.read(footage(60, captions=False))
    desk.settled()
    outputs = desk.unit().outputs
    opened = next(place for place, output in enumerate(outputs) if output.topic == "alerts")
    alert = read_alert(outputs[opened].value or b"")
    observation = read_observation(outputs[opened - 1].value or b"")
    assert alert.evidence.observation_id == observation.observation_id
    assert alert.evidence.event_ids == tuple(each.id for each in observation.inputs)
    assert (alert.inputs, alert.modalities) == (observation.inputs, observation.modalities)
    assert alert.score == observation.assessment.score
    assert observation.decision.alert_id == alert.alert_id
    assert alert.explanation is not None and alert.explanation == observation.explanation
    assert alert.explanation.nearest_normal is not None
    assert alert.sentence is not None and "a normal moment is expected" in alert.sentence
    assert dict(outputs[opened].headers)["ce_id"] == alert.message_id.encode()
    told = [output for output in outputs if output.topic != "snapshots"]
    assert {output.key for output in told} == {b"/cameras/a"}


@pytest.mark.parametrize("quotes", [True, False])
def test_what_is_unusual_is_explained_with_the_words_of_its_caption_unless_switched_off(
    quotes: bool,
) -> None:
    desk = Desk(
        scoring__calibration_moments=20,
        scoring__false_alarms_per_day=21_000,
        scoring__quote_captions=quotes,
    )
    words = event("caption", 50.5, payload=b"a  man climbs\nthe fence")
    desk.read(in_time_order(footage(60, captions=False), [words]))
    desk.settled()
    said = [
        (one["window_start"], one["explanation"].get("caption"))
        for one in documents(desk, "observations")
        if "explanation" in one
    ]
    spoken = rfc3339.format(START + seconds(50))
    before = {caption for start, caption in said if start < spoken}
    carried = rfc3339.format(START + seconds(56))
    after = {caption for start, caption in said if spoken <= start < carried}
    assert before == {None}
    assert after == ({"a  man climbs the fence"} if quotes else {None})


def test_features_that_are_not_numbers_are_left_out_and_named() -> None:
    desk = Desk()
    desk.read(footage(1, captions=False))
    (embedded,) = desk.closed()
    features = dict(embedded.features)
    features["visual"] = np.full_like(features["visual"], np.nan)
    features["fused"] = np.full_like(features["fused"], np.inf)
    broken = replace(embedded, features=features, fused=np.full_like(embedded.fused, np.nan))
    desk.shard.settle(broken)
    (one,) = documents(desk, "observations")
    assert one["degraded"] == ["non_finite:visual", "non_finite:fused"]
    assert set(one["features"]) == {"luminance", "sharpness", "audio_windows"}
    assert one["embedding"]["dim"] == 0


def test_the_same_moment_is_the_same_message_byte_for_byte() -> None:
    def played() -> list[bytes | None]:
        desk = Desk()
        desk.read([replace(one, id=f"{place}") for place, one in enumerate(footage(9))])
        desk.settled()
        return [output.value for output in desk.unit().outputs]

    assert played() == played()
