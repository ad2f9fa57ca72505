"""The encoders with weights that come with the worker; their networks are built when needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from worker.models import weights
from worker.models.network_encoders import (
    FrameEncoder,
    Identity,
    TextEncoder,
    Tokenize,
    Tokens,
)
from worker.models.samples import SIDE
from worker.models.settings import ModelSettings
from worker.models.weights import PinnedFile

if TYPE_CHECKING:
    from torch import nn

EFFICIENTNET_LITE0 = "efficientnet_lite0"
MINILM = "minilm"
MAX_TOKENS = 128

EFFICIENTNET_FORM = "efficientnet_lite0 2: rgb 224, (x - 127) / 128, mean of the last map"
_TEXTS = f"minilm 1: mean over at most {MAX_TOKENS} tokens"


class EfficientNetLite0Encoder(FrameEncoder):
    """uint8 RGB (B, 224, 224, 3) -> float16 unit vectors (B, 1280)."""

    def __init__(
        self, settings: ModelSettings, file: PinnedFile = weights.EFFICIENTNET_LITE0
    ) -> None:
        digest = weights.joint_digest(file.sha256, EFFICIENTNET_FORM)

        def build() -> nn.Module:
            from worker.models.efficientnet_lite import load

            return load(file).folded()

        super().__init__(Identity(EFFICIENTNET_LITE0, digest), build, SIDE, settings)


class MiniLMEncoder(TextEncoder):
    """Texts -> float16 unit vectors (B, 384). At most 128 tokens are read."""

    def __init__(self, settings: ModelSettings, file: PinnedFile = weights.MINILM) -> None:
        digest = weights.joint_digest(
            file.sha256, weights.MINILM_TOKENIZER.sha256, weights.MINILM_CONFIG.sha256, _TEXTS
        )

        def build() -> nn.Module:
            from worker.models.minilm import load

            return load(file)

        super().__init__(Identity(MINILM, digest), build, _tokenize(), settings)


def _tokenize() -> Tokenize:
    content = weights.read_pinned(weights.MINILM_TOKENIZER)
    tokenizer = Tokenizer.from_str(content.decode())
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()  # to the longest of a batch

    def tokenize(texts: Sequence[str]) -> tuple[Tokens, Tokens]:
        encodings = tokenizer.encode_batch(list(texts))
        tokens = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        return tokens, mask

    return tokenize
