from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.cli.models import facts_of
from worker.models.logmel import LogMelEncoder


def test_an_encoder_is_described_with_the_digest_that_can_be_pinned() -> None:
    assert facts_of(LogMelEncoder()) == {
        "encoder": "logmel",
        "dim": 128,
        "digest": LogMelEncoder.digest,
        "plan": None,
    }


def test_a_recogniser_of_speech_is_described_without_a_length() -> None:
    @dataclass
    class Listener:
        name: str = "transformers:/models/whisper"
        digest: str = "abc"

        def spoken(self, clip: NDArray[np.float32]) -> NDArray[np.float32] | None:
            return clip

        def text(self, speech: NDArray[np.float32]) -> str:
            return ""

    facts = facts_of(Listener())
    assert facts == {"encoder": Listener.name, "dim": None, "digest": "abc", "plan": None}
