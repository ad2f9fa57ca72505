"""The models of the job in torch, eager and in float32, with the weights that the worker has.

Preprocessing is what model cards say: Pillow, torchaudio and a tokenizer. Nothing is shared with
the worker but the definition of the networks and their weights.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import soundfile
import torch
import torchaudio
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer
from torch.nn import functional

from worker.models import efficientnet_lite, minilm, weights

SIDE = 224
RATE = 16_000

Array = NDArray[np.float32]


class Models:
    """Encodes media as they come out of Kafka."""

    def __init__(self) -> None:
        self._frames = efficientnet_lite.load()
        self._texts = minilm.load().eval()
        self._tokens = Tokenizer.from_str(weights.read_pinned(weights.MINILM_TOKENIZER).decode())
        self._mels = torchaudio.transforms.MelSpectrogram(
            RATE, n_fft=512, win_length=400, hop_length=160, n_mels=64
        )

    def frames(self, jpegs: Sequence[bytes]) -> Array:
        """Return unit vectors (N, 1280)."""
        batch = torch.from_numpy(np.stack([_picture(jpeg) for jpeg in jpegs]))
        with torch.inference_mode():
            return functional.normalize(self._frames(batch)).numpy()

    def caption(self, text: str) -> Array:
        """Return a unit vector (384,)."""
        encoding = self._tokens.encode(text)
        ids, mask = torch.tensor([encoding.ids]), torch.tensor([encoding.attention_mask])
        with torch.inference_mode():
            return functional.normalize(self._texts(ids, mask))[0].numpy()

    def clip(self, flac: bytes) -> Array:
        """Return a unit vector (128,): mean and deviation of the log-mel bands."""
        samples, _ = soundfile.read(io.BytesIO(flac), dtype="float32")
        with torch.inference_mode():
            logs = torch.log(self._mels(torch.from_numpy(samples)) + 1e-6)
            statistics = torch.cat([logs.mean(1), logs.std(1)])
            return functional.normalize(statistics[None])[0].numpy()


def _picture(jpeg: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(jpeg)) as image:
        rgb = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(rgb)
