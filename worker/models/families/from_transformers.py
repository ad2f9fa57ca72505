"""`transformers:DIRECTORY`: a model directory as `save_pretrained` writes it.

    frame     CLIP, SigLIP, SigLIP 2
    caption   the same and CLAP, in their shared space; BERT, GPT-2, EmbeddingGemma 2 and any other
              text model, pooled (`models.caption_pooling`)
    audio     CLAP, AST, wav2vec 2.0, HuBERT, WavLM

One directory may serve two modalities: each encoder then keeps only its own tower. Frames are
squeezed to the square that the model takes; nothing of the picture is cropped away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models.base import Encoder
from worker.models.families.hub import local_directory
from worker.models.families.loading import Opened, open_directory
from worker.models.families.normalise import Normalised
from worker.models.families.pooling import POOLS, Pool
from worker.models.families.towers import (
    PooledSound,
    PooledText,
    SharedImage,
    SharedPatches,
    SharedSound,
    SharedText,
)
from worker.models.families.waveforms import at_rate, padded
from worker.models.names import Name
from worker.models.network_encoders import (
    ClipEncoder,
    FrameEncoder,
    Identity,
    TextEncoder,
    Tokenize,
    Tokens,
    Waveform,
)
from worker.models.plan import Array
from worker.models.settings import ModelSettings
from worker.models.weights import joint_digest

MAX_TOKENS = 128  # of a caption that are read, unless the model was made for fewer

_FORM = "transformers 1"
_READS_PADDING = frozenset({"siglip", "siglip2"})
_SHARED_TEXT = _READS_PADDING | {"clip", "clap"}
_SHARED_IMAGE = _READS_PADDING | {"clip"}
_TIME_STEPS = frozenset({"wav2vec2", "hubert", "wavlm"})  # samples in, one vector per 20 ms out
_TOO_WIDE = frozenset({"embedding_gemma2", "gemma3_text"})  # their activations overflow float16


def build_encoder(name: Name, modality: Modality, settings: ModelSettings) -> Encoder:
    """Return the encoder of one modality. Raises OperatorError."""
    opened = open_directory(local_directory(name, settings.allow_hub))
    if opened.kind in _TOO_WIDE and settings.dtype == "float16":
        raise OperatorError(f"{opened.kind} overflows float16: set models.dtype to another one.")
    return _BUILDERS[modality](name, opened, settings)


def _identity(name: Name, opened: Opened, *preprocessing: object) -> Identity:
    return Identity(name.text, joint_digest(opened.weights.digest, _FORM, *map(str, preprocessing)))


def _frame_encoder(name: Name, opened: Opened, settings: ModelSettings) -> FrameEncoder:
    if opened.kind not in _SHARED_IMAGE:
        raise _unsuited(opened, Modality.FRAME, _SHARED_IMAGE)
    mean, std = opened.image_statistics()
    vision = opened.config.vision_config
    model = opened.model(without=("text_model",))
    tower: nn.Module = SharedImage(model)
    side = getattr(vision, "image_size", 0)
    if opened.kind == "siglip2":
        tower, side = SharedPatches(model, vision.patch_size), _square_of_patches(vision)
    identity = _identity(name, opened, "squeezed 2", side, mean, std)
    return FrameEncoder(identity, lambda: Normalised(tower, mean, std), side, settings)


def _square_of_patches(vision: Any) -> int:
    return int(vision.num_patches**0.5) * int(vision.patch_size)


def _text_encoder(name: Name, opened: Opened, settings: ModelSettings) -> TextEncoder:
    if opened.kind in _SHARED_TEXT:
        return _shared_text_encoder(name, opened, settings)
    text = open_text(opened, settings)
    identity = _identity(name, opened, text.pooling, text.length)
    return TextEncoder(identity, lambda: PooledText(text.model, text.pool), text.tokenize, settings)


class Text(NamedTuple):
    """A text model without a space that it shares, and how its vectors come about."""

    model: Any  # PreTrainedModel
    pooling: str
    length: int  # tokens
    tokenize: Tokenize
    tokenizer: Any

    @property
    def pool(self) -> Pool:
        """What makes one vector of those of the tokens."""
        return POOLS[self.pooling]


def open_text(opened: Opened, settings: ModelSettings) -> Text:
    """Return the text model of a directory. Raises OperatorError for one of another kind."""
    text = opened.config.get_text_config()
    is_shared = opened.kind in _SHARED_TEXT
    if is_shared or opened.config.is_encoder_decoder or not hasattr(text, "vocab_size"):
        raise _unsuited(opened, Modality.CAPTION, frozenset({"bert", "gpt2"}))
    pooling = "mean" if settings.pooling == "auto" else settings.pooling
    tokenizer = opened.tokenizer()
    length = _max_tokens(tokenizer, text)
    tokenize = _tokenize(tokenizer, length, padding=True)
    return Text(opened.model(), pooling, length, tokenize, tokenizer)


def _shared_text_encoder(name: Name, opened: Opened, settings: ModelSettings) -> TextEncoder:
    if settings.pooling != "auto":
        raise OperatorError(
            f"{opened.directory} has a pooling of its own: leave models.caption_pooling at auto."
        )
    reads_padding = opened.kind in _READS_PADDING
    tokenizer = opened.tokenizer()
    length = _max_tokens(tokenizer, opened.config.text_config)
    other = "audio_model" if opened.kind == "clap" else "vision_model"
    module = SharedText(opened.model(without=(other,)), reads_padding)
    tokenize = _tokenize(tokenizer, length, "max_length" if reads_padding else True)
    return TextEncoder(
        _identity(name, opened, "shared", length), lambda: module, tokenize, settings
    )


def _max_tokens(tokenizer: Any, text: Any) -> int:
    limits = (MAX_TOKENS, tokenizer.model_max_length, getattr(text, "max_position_embeddings", 0))
    return min(int(limit) for limit in limits if limit)


def _tokenize(tokenizer: Any, length: int, padding: bool | str) -> Tokenize:
    """Return a function to ids and mask; a text without any token becomes one of padding."""

    def tokenize(texts: Sequence[str]) -> tuple[Tokens, Tokens]:
        encoded = tokenizer(
            list(texts),
            padding=padding,
            truncation=True,
            max_length=length,
            return_attention_mask=True,
        )
        tokens = _rows(encoded["input_ids"], tokenizer.pad_token_id)
        mask = _rows(encoded["attention_mask"], 0)
        mask[:, 0] = 1
        return tokens, mask

    return tokenize


def _rows(rows: list[list[int]], empty: int) -> Tokens:
    """Return (B, T), T >= 1; rows that are all empty get the one value `empty`."""
    return np.array([row or [empty] for row in rows], np.int64)


def _clip_encoder(name: Name, opened: Opened, settings: ModelSettings) -> ClipEncoder:
    if opened.kind == "clap":
        module: nn.Module = SharedSound(opened.model(without=("text_model",)))
    elif opened.kind == "audio-spectrogram-transformer" or opened.kind in _TIME_STEPS:
        module = PooledSound(opened.model())
    else:
        known = _TIME_STEPS | {"clap", "audio-spectrogram-transformer"}
        raise _unsuited(opened, Modality.AUDIO, known)
    return ClipEncoder(_identity(name, opened), lambda: module, _listen(opened), settings)


def _listen(opened: Opened) -> Callable[[Waveform], tuple[Array, ...]]:
    """Return a function from one clip to the model's inputs; CLAP hears the beginning only.

    Its extractor would take a part at random of a clip that is longer than it can hear.
    """
    extractor = opened.feature_extractor()
    rate = int(extractor.sampling_rate)
    longest = int(extractor.nb_max_samples) if opened.kind == "clap" else None

    def listen(clip: Waveform) -> tuple[Array, ...]:
        samples = at_rate(padded(clip), rate)[:longest]
        inputs = extractor(samples, sampling_rate=rate, return_tensors="np")
        if opened.kind == "clap":
            return inputs["input_features"].astype(np.float32), inputs["is_longer"]
        return (inputs["input_values"].astype(np.float32),)

    return listen


def _unsuited(opened: Opened, modality: Modality, known: frozenset[str]) -> OperatorError:
    return OperatorError(
        f"{opened.directory} holds a model of type {opened.kind}, which is none for"
        f" models.{modality}: use one of {', '.join(sorted(known))}."
    )


_BUILDERS: Mapping[Modality, Callable[[Name, Opened, ModelSettings], Encoder]] = {
    Modality.FRAME: _frame_encoder,
    Modality.CAPTION: _text_encoder,
    Modality.AUDIO: _clip_encoder,
}
