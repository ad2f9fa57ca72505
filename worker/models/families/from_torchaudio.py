"""`torchaudio:MODEL:FILE`: the self-supervised speech models of torchaudio's pipelines.

    torchaudio:hubert_base:/models/hubert_base.safetensors

The weights are the `state_dict` of the model; its head for transcripts may be left over. The
vector is the mean of the last layer over time.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torchaudio
from torch import nn
from torch.nn import functional

from worker.errors import OperatorError
from worker.models.families.files import load_into, weights_of_file
from worker.models.families.waveforms import padded
from worker.models.names import Name
from worker.models.network_encoders import ClipEncoder, Identity, Waveform
from worker.models.settings import ModelSettings
from worker.models.trainable import Trainable
from worker.models.weights import joint_digest

_FORM = "torchaudio 1: mean of the last layer"

# Whether the pipeline of a model brings each clip to mean 0 and variance 1 first.
NORMALISES: Mapping[str, bool] = {
    "wav2vec2_base": False,
    "wav2vec2_large": False,
    "wav2vec2_large_lv60k": True,
    "wav2vec2_xlsr_300m": True,
    "wav2vec2_xlsr_1b": True,
    "wav2vec2_xlsr_2b": True,
    "hubert_base": False,
    "hubert_large": True,
    "hubert_xlarge": True,
    "wavlm_base": False,
    "wavlm_large": True,
}


class MeanOverTime(nn.Module):
    """float clips (B, N) of one length -> (B, D), the mean of the last layer."""

    def __init__(self, model: nn.Module, normalises: bool) -> None:
        super().__init__()
        self.model = model
        self._normalises = normalises

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return the features in the dtype of the weights."""
        if self._normalises:
            clips = functional.layer_norm(clips, clips.shape[1:])
        hidden: torch.Tensor = self.model(clips)[0]
        return hidden.mean(1)


def build_clip_encoder(name: Name, settings: ModelSettings) -> ClipEncoder:
    """Return the encoder with the weights of the file. Raises OperatorError."""
    opened = open_clips(name)
    return ClipEncoder(opened.identity, lambda: opened.module, _listen, settings)


def open_clips(name: Name) -> Trainable:
    """Return the network with the weights of the file. Raises OperatorError."""
    if name.model not in NORMALISES:
        known = ", ".join(NORMALISES)
        raise OperatorError(f"torchaudio has no encoder {name.model!r}: it has {known}.")
    weights = weights_of_file(name.path)
    model: nn.Module = getattr(torchaudio.models, name.model)()
    load_into(model, weights, str(name.path), unused=("aux",))
    return Trainable(
        identity=Identity(name.text, joint_digest(weights.digest, _FORM, name.model)),
        module=MeanOverTime(model, NORMALISES[name.model]).eval(),
        inputs=_listen,
        tensors=model.state_dict(keep_vars=True),
    )


def _listen(clip: Waveform) -> tuple[Waveform]:
    return (padded(clip)[None],)
