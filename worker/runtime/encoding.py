"""Runs the encoders over what a batch wants, so that one strange content does not end the worker.

An encoder may give no embedding for a content: numbers that are not finite, or no direction, as
half precision does when it overflows. The batch is then encoded one by one, and a content without
an embedding is left out of its Moment. An encoder that has none for a usual sample is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from worker.core.events import Modality
from worker.core.ports import Telemetry
from worker.models.base import EncoderError
from worker.models.samples import typical_clips, typical_frames, typical_texts
from worker.pipeline import Pipeline

log = structlog.get_logger(__name__)


class Encoding:
    """Contents -> vectors. `devices` are those of the encoders, for metrics.

    To be called by one thread at a time for each modality.
    """

    def __init__(
        self, pipeline: Pipeline, telemetry: Telemetry, devices: Mapping[Modality, str]
    ) -> None:
        self._pipeline = pipeline
        self._telemetry = telemetry
        self._devices = devices

    def vectors(self, modality: Modality, contents: Mapping[bytes, Any]) -> dict[bytes, Any]:
        """Return the vector of each content that has one.

        Raises EncoderError where the encoder is broken.
        """
        try:
            vectors = self._pipeline.encode(modality, contents)
        except EncoderError as error:
            self._telemetry.encoder_failed(modality, error.reason)
            vectors = self._one_by_one(modality, contents)
            if not vectors:
                self._pipeline.encode(modality, {b"": self._sample(modality)})
            missing = len(contents) - len(vectors)
            log.warning("not_encoded", modality=modality, reason=error.reason, items=missing)
        self._telemetry.encoded(modality, self._devices.get(modality, "cpu"), len(vectors))
        return vectors

    def _one_by_one(self, modality: Modality, contents: Mapping[bytes, Any]) -> dict[bytes, Any]:
        vectors: dict[bytes, Any] = {}
        for key, content in contents.items():
            try:
                vectors |= self._pipeline.encode(modality, {key: content})
            except EncoderError:
                continue
        return vectors

    def _sample(self, modality: Modality) -> Any:
        if modality is Modality.FRAME:
            return typical_frames(1, self._pipeline.encoders[modality].input_size)[0]
        return typical_clips(1)[0] if modality is Modality.AUDIO else typical_texts(1)[0]
