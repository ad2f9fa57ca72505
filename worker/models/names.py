"""Names of encoders as the configuration has them.

minilm                                      ships with the worker, or is an entry point
efficientnet_lite0:/models/gate.safetensors    a model of the worker, other weights
transformers:/models/clip                   a directory
torchvision:resnet18:/models/r18.safetensors   a model of the library, a file of weights
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worker.errors import OperatorError

TUNED_WEIGHTS = "model.safetensors"  # in the directory of a tuned encoder

_SHIPPED_WITH_FILE = frozenset({"efficientnet_lite0"})


@dataclass(frozen=True, slots=True)
class Name:
    """`text` is the whole name; `model` and `location` are empty where the form has none."""

    text: str
    family: str
    model: str
    location: str

    @property
    def path(self) -> Path:
        """The location as a path."""
        return Path(self.location).expanduser()

    @property
    def is_path(self) -> bool:
        """Whether the location is one on disk rather than on a hub.

        >>> [parse(f"transformers:{at}").is_path for at in ("/models/clip", "./clip", "org/clip")]
        [True, True, False]
        """
        return self.location.startswith(("/", "./", "../", "~"))


def parse(text: str) -> Name:
    """Return the parts of a name. Raises OperatorError for a family without its parts.

    >>> parse("minilm").family, parse("torchaudio:hubert_base:/w.safetensors").model
    ('minilm', 'hubert_base')
    """
    family, colon, rest = text.partition(":")
    if not colon:
        return Name(text, family, "", "")
    if family == "transformers":
        return Name(text, family, "", _given(rest, text, "transformers:DIRECTORY"))
    if family in _SHIPPED_WITH_FILE:
        return Name(text, family, "", _given(rest, text, f"{family}:FILE"))
    model, _, location = rest.partition(":")
    return Name(text, family, model, _given(location, text, f"{family}:MODEL:FILE"))


def tuned(text: str, directory: Path) -> str:
    """Return the name of what became of an encoder by training, which is in a directory.

    >>> tuned("torchvision:resnet18:/models/r18.safetensors", Path("/b"))
    'torchvision:resnet18:/b/model.safetensors'
    >>> tuned("efficientnet_lite0", Path("/b")), tuned("minilm", Path("/b"))
    ('efficientnet_lite0:/b/model.safetensors', 'transformers:/b')
    """
    name, weights = parse(text), directory / TUNED_WEIGHTS
    if name.family in _SHIPPED_WITH_FILE:
        return f"{name.family}:{weights}"
    if name.model:
        return f"{name.family}:{name.model}:{weights}"
    return f"transformers:{directory}"


def _given(location: str, text: str, form: str) -> str:
    if not location:
        raise OperatorError(f"the encoder {text!r} must have the form {form}.")
    return location
