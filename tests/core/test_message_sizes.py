"""The worker's own records fit into what their topics take."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import event
from worker.core.events import Modality, Record
from worker.core.message_sizes import MAX_LISTED_BYTES, MAX_MESSAGE_BYTES, listed_bytes
from worker.core.messages import InputRef

names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=512)
topics = st.text("abc", min_size=1, max_size=249)


@given(
    names,
    st.text("abc", min_size=1, max_size=249),
    st.integers(0, 2**62),
    st.sampled_from(Modality),
)
def test_an_event_takes_no_more_in_an_alert_than_is_reckoned(
    name: str, topic: str, number: int, modality: Modality
) -> None:
    one = event(modality, 1, name=name)
    reference = InputRef(modality, topic, 2**31 - 1, number, name, 2**52, carried=True)
    entry = json.dumps(reference.document(), ensure_ascii=False, separators=(",", ":"))
    written = len(entry.encode()) + len(json.dumps(name, ensure_ascii=False).encode()) + 2
    record = Record(topic, 0, 0, 0, None, None)
    assert written <= listed_bytes(replace(one, record=record))


def test_window_and_captions_leave_room_for_features_in_a_message() -> None:
    assert MAX_MESSAGE_BYTES - 2 * MAX_LISTED_BYTES >= 1024 * 1024
