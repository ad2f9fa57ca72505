"""MiniLM-L6: what a caption means, as 384 features.

Wang et al., MiniLM (NeurIPS 2020), trained for sentence similarity by the sentence-transformers
project; the vector is the mean of the last layer over the tokens, of which at most 128 are read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel

from worker.core.events import Modality
from worker.models import weights
from worker.models.base import Embeddings, unit_rows
from worker.models.runtimes import Network
from worker.models.settings import ModelSettings
from worker.models.tuning import open_network
from worker.models.weights import PinnedFile

DIM = 384
MAX_TOKENS = 128

_PREPROCESSING = f"minilm 1: mean over at most {MAX_TOKENS} tokens"
_TYPICAL = (
    "Two people walk past the fountain.",
    "An empty car park at night, lit by a single lamp.",
    "Smoke rises from the roof of the building on the left; a crowd has gathered in front of it.",
    "A van stops.",
)

Tokens = NDArray[np.int64]


class MeanPooled(nn.Module):
    """int64 tokens (B, T) and mask (B, T) of 0 and 1 -> (B, 384), the mean over the mask."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Every row must have at least one token."""
        hidden: torch.Tensor = self.bert(input_ids=tokens, attention_mask=mask).last_hidden_state
        kept = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * kept).sum(1) / kept.sum(1)


class MiniLMEncoder:
    """Texts -> float16 unit vectors (B, 384). `plan` is how it runs here."""

    name = "minilm"
    modality = Modality.CAPTION
    dim = DIM

    def __init__(self, settings: ModelSettings, file: PinnedFile = weights.MINILM) -> None:
        self.digest = weights.joint_digest(
            file.sha256,
            weights.MINILM_TOKENIZER.sha256,
            weights.MINILM_CONFIG.sha256,
            _PREPROCESSING,
        )
        self._tokenizer = _tokenizer()
        sample = self._tokens([text for text in _TYPICAL for _ in range(8)])
        network = Network(MeanPooled(_bert(file)), sample)
        one_by_one = replace(settings, batch_size=1)
        self.plan, self._run = open_network(network, one_by_one, self.digest)

    def encode(self, batch: Sequence[str]) -> Embeddings:
        """Encode each text by itself: what it shares a batch with would tell in its last bits."""
        vectors = np.zeros((len(batch), self.dim), np.float32)
        for place, text in enumerate(batch):
            vectors[place] = self._run(*self._tokens([text]))[0]
        return unit_rows(vectors, self.name)

    def _tokens(self, texts: Sequence[str]) -> tuple[Tokens, Tokens]:
        encodings = self._tokenizer.encode_batch(list(texts))
        tokens = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        return tokens, mask


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
