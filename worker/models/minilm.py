"""MiniLM-L6: what a caption means, as 384 features.

Wang et al., MiniLM (NeurIPS 2020), trained for sentence similarity by the sentence-transformers
project; the vector is the mean of the last layer over the tokens.
"""

from __future__ import annotations

import json

import transformers
from torch import nn
from transformers import BertConfig, BertModel

from worker.models import weights
from worker.models.families.pooling import mean
from worker.models.families.towers import PooledText
from worker.models.tensors import safetensors_state
from worker.models.weights import PinnedFile


def load(file: PinnedFile = weights.MINILM) -> nn.Module:
    """Return the network with its trained weights. Raises OperatorError."""
    transformers.logging.set_verbosity_error()  # the tracer makes it warn of a loss nobody asks for
    config = BertConfig(**json.loads(weights.read_pinned(weights.MINILM_CONFIG)))
    bert: nn.Module = BertModel(config, add_pooling_layer=False)
    state = safetensors_state(weights.read_pinned(file))
    known = bert.state_dict().keys()  # the file also holds a pooler, which the mean does not use
    bert.load_state_dict({name: value for name, value in state.items() if name in known})
    return PooledText(bert, mean)


def as_directory() -> dict[str, bytes]:
    """Return the files of a model directory of transformers that gives the same vectors."""
    return {
        "config.json": weights.read_pinned(weights.MINILM_CONFIG),
        "tokenizer.json": weights.read_pinned(weights.MINILM_TOKENIZER),
        "model.safetensors": weights.read_pinned(weights.MINILM),
    }
