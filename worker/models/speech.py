"""Speech as text: where somebody speaks in a clip, and what is said.

Whether somebody speaks is asked of every clip and costs little; only speech is recognised.
"""

from __future__ import annotations

from worker.errors import OperatorError
from worker.models.logmel import SAMPLE_RATE, Waveform
from worker.models.names import parse
from worker.models.settings import ModelSettings
from worker.models.voice import VoiceDetector
from worker.models.weights import joint_digest

MAX_SECONDS = 30  # from the first word on, that are recognised: the window of Whisper


class SpeechReader:
    """Implements `worker.models.base.SpeechToText` by Silero VAD and Whisper."""

    def __init__(self, name: str, settings: ModelSettings) -> None:
        from worker.models.families.whisper import Whisper  # which imports torch

        self._voice = VoiceDetector()
        self._recogniser = Whisper(parse(name), settings)
        self.name = self._recogniser.name
        self.digest = joint_digest(
            self._voice.digest, self._recogniser.digest, f"{MAX_SECONDS} seconds"
        )

    def spoken(self, clip: Waveform) -> Waveform | None:
        """Return the clip from its first word to its last, at most MAX_SECONDS of it."""
        spans = self._voice.spans(clip)
        if not spans:
            return None
        begin, end = spans[0][0], spans[-1][1]
        return clip[begin : min(end, begin + MAX_SECONDS * SAMPLE_RATE)]

    def text(self, speech: Waveform) -> str:
        """Return what is said, empty where nothing is understood."""
        return self._recogniser.text(speech)


def build(name: str, settings: ModelSettings, pinned: str = "") -> SpeechReader:
    """Return the reader, loaded. Raises OperatorError as `worker.models.registry.build` does."""
    reader = SpeechReader(name, settings)
    if not reader.digest.startswith(pinned):
        raise OperatorError(
            f"models.speech_digest is {pinned} but that of {name} is {reader.digest}: these are"
            " not the weights or files that were pinned."
        )
    return reader
