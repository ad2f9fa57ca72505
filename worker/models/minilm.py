"""MiniLM-L6: what a caption means, as 384 features.

Wang et al., MiniLM (NeurIPS 2020), trained for sentence similarity by the sentence-transformers
project; the vector is the mean of the last layer over the tokens, of which at most 128 are read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import transformers
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel

from worker.models import weights
from worker.models.families.pooling import mean
from worker.models.families.towers import PooledText
from worker.models.network_encoders import Identity, TextEncoder, Tokenize, Tokens
from worker.models.settings import ModelSettings
from worker.models.weights import PinnedFile

NAME = "minilm"
MAX_TOKENS = 128

_PREPROCESSING = f"minilm 1: mean over at most {MAX_TOKENS} tokens"


class MiniLMEncoder(TextEncoder):
    """Texts -> float16 unit vectors (B, 384)."""

    def __init__(self, settings: ModelSettings, file: PinnedFile = weights.MINILM) -> None:
        digest = weights.joint_digest(
            file.sha256,
            weights.MINILM_TOKENIZER.sha256,
            weights.MINILM_CONFIG.sha256,
            _PREPROCESSING,
        )
        module = PooledText(_bert(file), mean)
        super().__init__(Identity(NAME, digest), module, _tokenize(), settings)


def as_directory() -> dict[str, bytes]:
    """Return the files of a model directory of transformers that gives the same vectors."""
    return {
        "config.json": weights.read_pinned(weights.MINILM_CONFIG),
        "tokenizer.json": weights.read_pinned(weights.MINILM_TOKENIZER),
        "model.safetensors": weights.read_pinned(weights.MINILM),
    }


def _tokenize() -> Tokenize:
    tokenizer = _tokenizer()

    def tokenize(texts: Sequence[str]) -> tuple[Tokens, Tokens]:
        encodings = tokenizer.encode_batch(list(texts))
        tokens = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        return tokens, mask

    return tokenize


def _tokenizer() -> Tokenizer:
    content = weights.read_pinned(weights.MINILM_TOKENIZER)
    tokenizer = Tokenizer.from_str(content.decode())
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()  # to the longest of a batch
    return tokenizer


def _bert(file: PinnedFile) -> nn.Module:
    transformers.logging.set_verbosity_error()  # the tracer makes it warn of a loss nobody asks for
    config = BertConfig(**json.loads(weights.read_pinned(weights.MINILM_CONFIG)))
    bert: nn.Module = BertModel(config, add_pooling_layer=False)
    state = weights.safetensors_state(weights.read_pinned(file))
    known = bert.state_dict().keys()  # the file also holds a pooler, which the mean does not use
    bert.load_state_dict({name: value for name, value in state.items() if name in known})
    return bert
