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
from worker.models.families.files import small_files
from worker.models.families.hub import local_directory
from worker.models.families.loading import Opened, open_directory
from worker.models.families.normalise import Normalised, stacked
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
from worker.models.trainable import Trainable
from worker.models.weights import joint_digest

MAX_TOKENS = 128  # of a caption that are read, unless the model was made for fewer

_FORM = "transformers 1"
_READS_PADDING = frozenset({"siglip", "siglip2"})
_SHARED_TEXT = _READS_PADDING | {"clip", "clap"}
_SHARED_IMAGE = _READS_PADDING | {"clip"}
_TIME_STEPS = frozenset({"wav2vec2", "hubert", "wavlm"})  # samples in, one vector per 20 ms out
_HEARD = _TIME_STEPS | {"clap", "audio-spectrogram-transformer"}
_TOO_WIDE = frozenset({"embedding_gemma2", "gemma3_text"})  # their activations overflow float16


def build_encoder(name: Name, modality: Modality, settings: ModelSettings) -> Encoder:
    """Return the encoder of one modality. Raises OperatorError."""
    opened = open_network(name, modality, settings)
    # `opened` itself has the other towers too, which must not stay in memory
    identity, module, inputs = opened.identity, opened.module, opened.inputs
    match modality:
        case Modality.FRAME:
            return FrameEncoder(identity, lambda: module, opened.input_size, settings)
        case Modality.CAPTION:
            return TextEncoder(identity, lambda: module, inputs, settings)
        case Modality.AUDIO:
            return ClipEncoder(identity, lambda: module, inputs, settings)


def open_network(name: Name, modality: Modality, settings: ModelSettings) -> Trainable:
    """Return the network of one modality. Raises OperatorError."""
    opened = open_directory(local_directory(name, settings.allow_hub))
    if opened.kind in _TOO_WIDE and settings.dtype == "float16":
        raise OperatorError(f"{opened.kind} overflows float16: set models.dtype to another one.")
    return _OPENERS[modality](name, opened, settings)


def _identity(name: Name, opened: Opened, *preprocessing: object) -> Identity:
    return Identity(name.text, joint_digest(opened.weights.digest, _FORM, *map(str, preprocessing)))


def _frames(name: Name, opened: Opened, _settings: ModelSettings) -> Trainable:
    if opened.kind not in _SHARED_IMAGE:
        raise _unsuited(opened, Modality.FRAME, _SHARED_IMAGE)
    mean, std = opened.image_statistics()
    vision = opened.config.vision_config
    model = opened.model()
    tensors = model.state_dict(keep_vars=True)
    model.text_model = None
    tower: nn.Module = SharedImage(model)
    side = getattr(vision, "image_size", 0)
    if opened.kind == "siglip2":
        tower, side = SharedPatches(model, vision.patch_size), _square_of_patches(vision)
    return Trainable(
        identity=_identity(name, opened, "squeezed 2", side, mean, std),
        module=Normalised(tower, mean, std).eval(),
        inputs=stacked,
        tensors=tensors,
        beside=small_files(opened.directory),
        input_size=side,
    )


def _square_of_patches(vision: Any) -> int:
    return int(vision.num_patches**0.5) * int(vision.patch_size)


def _captions(name: Name, opened: Opened, settings: ModelSettings) -> Trainable:
    if opened.kind in _SHARED_TEXT:
        return _shared_captions(name, opened, settings)
    text = open_text(opened, settings)
    return Trainable(
        identity=_identity(name, opened, text.pooling, text.length),
        module=PooledText(text.model, text.pool),
        inputs=text.tokenize,
        tensors=text.model.state_dict(keep_vars=True),
        beside=small_files(opened.directory),
    )


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


def _shared_captions(name: Name, opened: Opened, settings: ModelSettings) -> Trainable:
    if settings.pooling != "auto":
        raise OperatorError(
            f"{opened.directory} has a pooling of its own: leave models.caption_pooling at auto."
        )
    reads_padding = opened.kind in _READS_PADDING
    tokenizer = opened.tokenizer()
    length = _max_tokens(tokenizer, opened.config.text_config)
    model = opened.model()
    tensors = model.state_dict(keep_vars=True)
    setattr(model, "audio_model" if opened.kind == "clap" else "vision_model", None)
    return Trainable(
        identity=_identity(name, opened, "shared", length),
        module=SharedText(model, reads_padding),
        inputs=_tokenize(tokenizer, length, "max_length" if reads_padding else True),
        tensors=tensors,
        beside=small_files(opened.directory),
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


def _clips(name: Name, opened: Opened, _settings: ModelSettings) -> Trainable:
    if opened.kind not in _HEARD:
        raise _unsuited(opened, Modality.AUDIO, _HEARD)
    model = opened.model()
    tensors = model.state_dict(keep_vars=True)
    module: nn.Module = PooledSound(model)
    if opened.kind == "clap":
        model.text_model = None
        module = SharedSound(model)
    return Trainable(
        identity=_identity(name, opened),
        module=module,
        inputs=_listen(opened),
        tensors=tensors,
        beside=small_files(opened.directory),
    )


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


_OPENERS: Mapping[Modality, Callable[[Name, Opened, ModelSettings], Trainable]] = {
    Modality.FRAME: _frames,
    Modality.CAPTION: _captions,
    Modality.AUDIO: _clips,
}
