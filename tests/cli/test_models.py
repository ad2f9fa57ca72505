from __future__ import annotations

from worker.cli.models import facts_of
from worker.models.logmel import LogMelEncoder


def test_an_encoder_is_described_with_the_digest_that_can_be_pinned() -> None:
    assert facts_of(LogMelEncoder()) == {
        "encoder": "logmel",
        "dim": 128,
        "digest": LogMelEncoder.digest,
        "plan": None,
    }
