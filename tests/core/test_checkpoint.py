"""Metadata of committed offsets: small, read back as written, refused where it is not ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.checkpoint import (
    Checkpoint,
    CheckpointError,
    Meaning,
    read_checkpoint,
    write_checkpoint,
)

MEANING = Meaning(1.0, 2.0, 10.0, 5.0, "frame,caption,audio", "0123456789abcdef", 100_000)
LARGE = st.integers(0, 2**62)


@given(LARGE, LARGE, LARGE, LARGE)
def test_it_is_read_as_it_was_written_and_stays_small(
    number: int, offset: int, taken: int, newest: int
) -> None:
    checkpoint = Checkpoint(number, offset, taken, newest, MEANING, "x" * 36)
    text = write_checkpoint(checkpoint)
    assert read_checkpoint(text) == checkpoint
    assert len(text) < 512


def test_an_offset_without_metadata_was_set_by_somebody_else() -> None:
    assert read_checkpoint("") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("leader-epoch", "another program"),
        ("[]", "another program"),
        ('{"version": 2, "number": 1}', "newer version"),
        ('{"version": 1, "number": 1}', "damaged"),
    ],
)
def test_what_cannot_be_used_is_told_in_words(text: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        read_checkpoint(text)
