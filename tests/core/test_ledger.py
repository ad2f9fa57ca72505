"""The ledger: the committed offset never passes a record that somebody holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.ledger import OffsetLedger
from worker.core.ports import TopicPartition

P = TopicPartition("frames", 0)


def test_the_committable_offset_is_the_lowest_that_is_held() -> None:
    ledger = OffsetLedger()
    for offset in (3, 4, 7):
        ledger.add(P, offset)
    ledger.release(P, 4)
    assert ledger.committable() == {P: 3}
    ledger.release(P, 3)
    assert ledger.committable() == {P: 7}
    ledger.release(P, 7)
    assert ledger.committable() == {P: 8}


def test_a_record_is_held_until_its_last_holder_lets_go() -> None:
    ledger = OffsetLedger()
    ledger.add(P, 0)
    ledger.hold(P, 0)
    ledger.release(P, 0)
    assert ledger.committable() == {P: 0}
    ledger.release(P, 0)
    assert ledger.committable() == {P: 1}


def test_an_offset_that_was_read_before_is_refused() -> None:
    ledger = OffsetLedger()
    ledger.add(P, 5)
    with pytest.raises(ValueError, match="read before"):
        ledger.add(P, 5)


@given(st.data())
def test_it_never_passes_a_held_record_and_never_goes_back(data: st.DataObject) -> None:
    ledger, held, last = OffsetLedger(), dict[int, int](), 0
    following = 0
    for _ in range(data.draw(st.integers(1, 40))):
        action = data.draw(st.sampled_from(["add", "hold", "release"]))
        if action == "add" or not held:
            following += data.draw(st.integers(0, 3))  # a log has gaps
            ledger.add(P, following)
            held[following] = 1
            following += 1
        else:
            offset = data.draw(st.sampled_from(sorted(held)))
            (ledger.hold if action == "hold" else ledger.release)(P, offset)
            held[offset] += 1 if action == "hold" else -1
            if held[offset] == 0:
                del held[offset]
        committable = ledger.committable()[P]
        assert committable == min(held, default=following)
        assert committable >= last
        assert ledger.unresolved == len(held)
        last = committable
