"""Whether a clip holds speech, and where: Silero VAD, with the weights of its package.

Its network takes a clip in steps of 512 samples (32 ms at 16 kHz), each with 64 samples of what was
before, and returns the probability of speech in each of them. OpenVINO runs it: nothing but the
package's file is used, neither its code nor torch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from worker.errors import OperatorError
from worker.models.logmel import SAMPLE_RATE, Waveform
from worker.models.openvino_runtime import read_model, start_openvino
from worker.models.plan import Array, Plan
from worker.models.weights import SILERO_VAD, PinnedFile, joint_digest, read_pinned

STEP = 512  # samples of one probability
ON, OFF = 0.5, 0.35  # speech begins at the one and ends below the other
MIN_SPEECH, MIN_SILENCE, MARGIN = 0.25, 0.1, 0.03  # seconds

_CONTEXT = 64  # samples
_UNITS = 128  # of the network's memory, which is empty before each clip
_RULES = (ON, OFF, MIN_SPEECH, MIN_SILENCE, MARGIN)

Span = tuple[int, int]  # samples [begin, end)


class VoiceDetector:
    """Finds speech. It keeps nothing between clips; safe to use from several threads.

    Raises OperatorError where the package is missing or has another file than the pinned one.
    """

    def __init__(self, file: PinnedFile = SILERO_VAD) -> None:
        model = read_model(read_pinned(file), b"")
        if model is None:
            raise OperatorError(f"OpenVINO cannot read {file.path} of {file.distribution}.")
        self._run = start_openvino(model, Plan("openvino", "float32", batch_size=1, threads=1))
        self._lock = threading.Lock()
        self.digest = joint_digest(file.sha256, "silero 1", *map(str, _RULES))

    def spans(self, clip: Waveform) -> list[Span]:
        """Return where somebody speaks in a clip (N,), N >= 1, in order."""
        return spans(self.probabilities(clip), len(clip))

    def probabilities(self, clip: Waveform) -> NDArray[np.float32]:
        """Return the probability of speech in each step of the clip, (ceil(N / STEP),)."""
        memory = np.zeros((1, 1, _UNITS), np.float32)
        with self._lock:
            return self._run(_steps(clip), memory, memory)


def spans(probabilities: Iterable[float], length: int) -> list[Span]:
    """Return where speech is, from the probabilities of a clip's steps; `length` in samples.

    As the package's `get_speech_timestamps`: speech begins at ON and ends where it has been below
    OFF for MIN_SILENCE. Shorter than MIN_SPEECH it is none. MARGIN is added on both sides.

    >>> spans([0.1, *[0.9] * 10, *[0.1] * 5], 8192)
    [(32, 6112)]
    """
    found: list[Span] = []
    begin = quiet = None
    for place, probability in enumerate(probabilities):
        at = place * STEP
        if probability >= ON:
            begin, quiet = at if begin is None else begin, None
        elif probability < OFF and begin is not None:
            quiet = at if quiet is None else quiet
            if at - quiet >= MIN_SILENCE * SAMPLE_RATE:
                found.append((begin, quiet))
                begin = quiet = None
    if begin is not None:
        found.append((begin, length))
    margin = int(MARGIN * SAMPLE_RATE)
    return [
        (max(0, begin - margin), min(length, end + margin))
        for begin, end in found
        if end - begin > MIN_SPEECH * SAMPLE_RATE
    ]


def _steps(clip: Waveform) -> Array:
    """Return (n, 576): each step with the end of the one before it; silence around the clip."""
    padded = np.pad(clip, (_CONTEXT, -len(clip) % STEP)).astype(np.float32, copy=False)
    return np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + STEP)[::STEP].copy()
