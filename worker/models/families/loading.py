"""A transformers model out of a directory: config and tensors, never code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import MODEL_MAPPING, AutoConfig, AutoFeatureExtractor, AutoTokenizer

from worker.errors import OperatorError
from worker.models.families.files import (
    Weights,
    read_json,
    refuse,
    refuse_missing,
    weights_of_directory,
)

_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")

# What a sentence encoder does not use of a checkpoint, so that it may be missing.
_OPTIONAL = ("pooler.", "masked_spec_embed")


@dataclass(frozen=True, slots=True)
class Opened:
    """A directory with its config read; the weights are in memory, the model is not made yet."""

    directory: Path
    config: Any  # PretrainedConfig
    weights: Weights

    @property
    def kind(self) -> str:
        """The architecture, `model_type` in the config."""
        return str(self.config.model_type)

    def model(self, kind: Any = None) -> Any:
        """Return the model in float32 and evaluation mode.

        It is the base model of the architecture, or one of the class `kind`. Raises OperatorError
        where a tensor is missing or of another shape.
        """
        network, found = (kind or _base_class(self)).from_pretrained(
            None,
            config=self.config,
            state_dict=dict(self.weights.state),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, in one sentence
            dtype=torch.float32,
        )
        missing = {name for name in found["missing_keys"] if not _is_optional(name)}
        refuse_missing(missing, str(self.directory))
        wrong = [str(key[0]) for key in found["mismatched_keys"]]
        refuse(wrong, str(self.directory), "have tensors of another shape")
        return network

    def tokenizer(self) -> Any:
        """Return the tokenizer, padding on the right.

        Raises OperatorError where there is none, or one that has more tokens than the model.
        """
        if not any((self.directory / name).exists() for name in _VOCABULARIES):
            # without any file the library would make one that knows no words
            raise OperatorError(f"{self.directory} has no tokenizer ({', '.join(_VOCABULARIES)}).")
        tokenizer = self._part(AutoTokenizer, "tokenizer")
        known = int(self.config.get_text_config().vocab_size)
        if len(tokenizer) > known:
            raise OperatorError(
                f"{self.directory}: its tokenizer has {len(tokenizer)} tokens, its model {known}."
            )
        tokenizer.padding_side = tokenizer.truncation_side = "right"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        if tokenizer.pad_token is None:
            raise OperatorError(f"{self.directory}: its tokenizer needs a pad or an end token.")
        return tokenizer

    def feature_extractor(self) -> Any:
        """Return what turns sound into the model's inputs. Raises OperatorError."""
        return self._part(AutoFeatureExtractor, "feature extractor")

    def image_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of pixels in 0..1. Raises OperatorError."""
        settings = read_json(self.directory / "preprocessor_config.json")
        if not settings:
            settings = read_json(self.directory / "processor_config.json")
        settings = settings.get("image_processor", settings)
        return self._triple(settings, "image_mean"), self._triple(settings, "image_std")

    def _triple(self, settings: Mapping[str, Any], name: str) -> tuple[float, ...]:
        values = settings.get(name)
        if not isinstance(values, list) or len(values) != 3:
            raise OperatorError(
                f"{self.directory} needs a preprocessor_config.json with three numbers {name}."
            )
        return tuple(map(float, values))

    def _part(self, factory: Any, what: str) -> Any:
        try:
            return factory.from_pretrained(
                self.directory, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # the library raises nearly anything for a file it cannot use
            raise OperatorError(
                f"{self.directory} has no {what} that can be used: {first_line(error)}"
            ) from None


def open_directory(directory: Path) -> Opened:
    """Read a model directory. Raises OperatorError, one sentence, for one that cannot be used."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    weights = weights_of_directory(directory)
    if "quantization_config" in read_json(directory / "config.json"):
        raise OperatorError(f"{directory}: quantized weights cannot be used; name the full ones.")
    try:
        config = AutoConfig.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # see above
        raise OperatorError(
            f"{directory} has no config.json of an architecture that transformers"
            f" {transformers.__version__} knows: {first_line(error)}"
        ) from None
    config.use_cache = False  # of keys and values, for texts that go on; none does
    return Opened(directory, config, weights)


def _base_class(opened: Opened) -> Any:
    try:
        found = MODEL_MAPPING[type(opened.config)]
    except KeyError:
        raise OperatorError(
            f"{opened.directory}: transformers has no base model for {opened.kind}."
        ) from None
    return found[0] if isinstance(found, tuple) else found


def _is_optional(name: str) -> bool:
    return any(part in f"{name}." for part in _OPTIONAL)


def first_line(error: Exception) -> str:
    """Return what an error says, in one sentence with its stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".") + "."
