"""`models.speech: transformers:DIRECTORY`: a Whisper model as `save_pretrained` writes it.

Each clip is recognised by itself, in one pass of greedy decoding without timestamps or sampling:
its text depends on nothing beside it. A language is recognised, unless generation_config.json of
the directory names one (`language`).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig, WhisperForConditionalGeneration

from worker.errors import OperatorError
from worker.models.device import resolve_device
from worker.models.families.loading import Opened, first_line, open_directory
from worker.models.families.waveforms import padded
from worker.models.logmel import SAMPLE_RATE, Waveform
from worker.models.names import Name
from worker.models.settings import ModelSettings
from worker.models.torch_runtime import DTYPES
from worker.models.weights import joint_digest

MAX_TOKENS = 128  # of a text; captions are read up to as many

_FORM = "whisper 1, greedy"
_PROMPT_TOKENS = 4  # start, language, task, no timestamps


class Whisper:
    """A clip of speech -> text. To be called by one thread at a time."""

    def __init__(self, name: Name, settings: ModelSettings) -> None:
        if name.family != "transformers" or not name.is_path:
            raise OperatorError(
                f"models.speech is {name.text!r}: set it to transformers:DIRECTORY, a directory"
                " (/..., ./... or ~...) of a Whisper model."
            )
        opened = open_directory(name.path)
        if opened.kind != "whisper":
            raise OperatorError(
                f"{opened.directory} holds a model of type {opened.kind}, which is none for"
                " models.speech: use whisper."
            )
        dtype = settings.dtype if settings.dtype in DTYPES else "float32"
        self.name = name.text
        self.digest = joint_digest(opened.weights.digest, _FORM, str(MAX_TOKENS), dtype)
        self._rules = _rules(opened)
        self._tokenizer, self._extractor = opened.tokenizer(), _extractor(opened)
        self._device, self._dtype = resolve_device(settings.device), DTYPES[dtype]
        self._model = opened.model(kind=WhisperForConditionalGeneration)
        self._model.to(self._device, self._dtype)
        self._threads = settings.threads or 1  # more would spin beside the encoders' own

    def text(self, clip: Waveform) -> str:
        """Return what is said in a clip (N,) of 16 kHz on one line; empty where nothing is.

        What is beyond the model's window, 30 s, is not heard.
        """
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        inputs = self._extractor(
            padded(clip), sampling_rate=SAMPLE_RATE, return_attention_mask=True, return_tensors="pt"
        )
        task = "transcribe" if getattr(self._rules, "is_multilingual", False) else None
        with torch.inference_mode():
            tokens = self._model.generate(
                inputs["input_features"].to(self._device, self._dtype),
                attention_mask=inputs["attention_mask"].to(self._device),
                generation_config=self._rules,
                task=task,
            )
        return one_line(self._tokenizer.decode(tokens[0], skip_special_tokens=True))


def _rules(opened: Opened) -> GenerationConfig:
    """Return the directory's rules of decoding, held to one greedy pass of MAX_TOKENS.

    Raises OperatorError where there are none.
    """
    try:
        rules = GenerationConfig.from_pretrained(opened.directory, local_files_only=True)
    except Exception as error:  # the library raises nearly anything for a file it cannot use
        raise OperatorError(
            f"{opened.directory} has no generation_config.json that can be used:"
            f" {first_line(error)}"
        ) from None
    room = int(opened.config.max_target_positions) - _PROMPT_TOKENS
    rules.update(
        do_sample=False,
        num_beams=1,
        num_return_sequences=1,
        max_length=None,
        max_new_tokens=min(MAX_TOKENS, room),
        return_timestamps=False,
        return_dict_in_generate=False,
    )
    return rules


def _extractor(opened: Opened) -> Any:
    """Return what turns samples into log-mel spectra. Raises OperatorError."""
    extractor = opened.feature_extractor()
    if getattr(extractor, "sampling_rate", None) != SAMPLE_RATE:
        raise OperatorError(f"{opened.directory}: its feature extractor is not for 16 kHz.")
    extractor.dither = 0.0  # which is random
    return extractor


def one_line(text: str) -> str:
    """Return the text with single spaces, and none around it; nothing in it is unprintable.

    >>> one_line("  Help\\n me\\x1b! ")
    'Help me !'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
