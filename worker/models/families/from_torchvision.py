"""`torchvision:MODEL:FILE`: any ImageNet classifier of torchvision, without its last layer.

    torchvision:resnet18:/models/resnet18.safetensors

The weights are the classifier's `state_dict`, its head included or not, whatever its number of
classes. A frame is squeezed to the size the default weights were trained for and scaled as they
were; nothing of the picture is cropped away.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import torchvision
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models

from worker.errors import OperatorError
from worker.models.families.files import load_into, weights_of_file
from worker.models.families.normalise import Normalised, stacked
from worker.models.names import Name
from worker.models.network_encoders import FrameEncoder, Identity
from worker.models.settings import ModelSettings
from worker.models.trainable import Trainable
from worker.models.weights import joint_digest

_FORM = "torchvision 2: squeezed, input of the last layer"

# Their trained weights rescale the pixels once more, and have heads that only training uses.
_INCEPTION = {"aux_logits": False, "transform_input": True, "init_weights": False}
_OPTIONS: Mapping[str, Mapping[str, bool]] = {"googlenet": _INCEPTION, "inception_v3": _INCEPTION}
_TRAINING_HEADS = ("aux1", "aux2", "AuxLogits")


def build_frame_encoder(name: Name, settings: ModelSettings) -> FrameEncoder:
    """Return the encoder with the weights of the file. Raises OperatorError."""
    opened = open_frames(name)
    return FrameEncoder(opened.identity, lambda: opened.module, opened.input_size, settings)


def open_frames(name: Name) -> Trainable:
    """Return the network with the weights of the file. Raises OperatorError."""
    network, head = headless(name.model)
    weights = weights_of_file(name.path)
    load_into(network, weights, str(name.path), unused=(head, *_TRAINING_HEADS))
    preset = get_model_weights(name.model).DEFAULT.transforms()
    (side,) = preset.crop_size
    digest = joint_digest(weights.digest, _FORM, name.model, f"{side} {preset.mean} {preset.std}")
    return Trainable(
        identity=Identity(name.text, digest),
        module=Normalised(network, preset.mean, preset.std).eval(),
        inputs=stacked,
        tensors=network.state_dict(keep_vars=True),
        input_size=side,
    )


def headless(model: str) -> tuple[nn.Module, str]:
    """Return the classifier without its last layer, and what that layer is called.

    The last layer is the last linear one; SqueezeNet's is a 1 x 1 convolution. Raises
    OperatorError for a model that torchvision does not have.
    """
    known = list_models(module=torchvision.models)
    if model not in known:
        near = get_close_matches(model, known, n=1, cutoff=0) or known
        raise OperatorError(f"torchvision has no classifier {model!r}: did you mean {near[0]}?")
    network: nn.Module = get_model(model, weights=None, **_OPTIONS.get(model, {}))
    layers = [layer for layer in network.named_modules() if isinstance(layer[1], nn.Linear)]
    if not layers:
        layers = [layer for layer in network.named_modules() if isinstance(layer[1], nn.Conv2d)]
    head = layers[-1][0]
    network.set_submodule(head, nn.Identity())
    return network, head
