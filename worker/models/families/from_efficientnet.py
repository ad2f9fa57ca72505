"""`efficientnet_lite0:FILE`: the shipped network with weights of one's own, as `fit` makes them.

The weights are its `state_dict`, its classifier included or not. Without a file it has the weights
that it ships with.
"""

from __future__ import annotations

from torch import nn

from worker.models import weights
from worker.models.efficientnet_lite import EfficientNetLite0, load
from worker.models.families.files import load_into, weights_of_file
from worker.models.families.normalise import stacked
from worker.models.names import Name
from worker.models.network_encoders import FrameEncoder, Identity
from worker.models.samples import SIDE
from worker.models.settings import ModelSettings
from worker.models.shipped import EFFICIENTNET_FORM
from worker.models.trainable import Trainable

_HEAD = "_fc"


def build_frame_encoder(name: Name, settings: ModelSettings) -> FrameEncoder:
    """Return the encoder with the weights of the file. Raises OperatorError."""
    network, identity = _opened(name)
    return FrameEncoder(identity, network.folded, SIDE, settings)


def open_frames(name: Name) -> Trainable:
    """Return the network before its batch norms are folded. Raises OperatorError."""
    network, identity = _opened(name)
    return Trainable(identity, network, stacked, network.state_dict(keep_vars=True), {}, SIDE)


def _opened(name: Name) -> tuple[EfficientNetLite0, Identity]:
    """Return the network in evaluation mode, without its last layer."""
    if name.location:
        network = _headless(EfficientNetLite0())
        own = weights_of_file(name.path)
        load_into(network, own, str(name.path), unused=(_HEAD,))
        digest = own.digest
    else:
        network, digest = _headless(load()), weights.EFFICIENTNET_LITE0.sha256
    identity = Identity(name.text, weights.joint_digest(digest, EFFICIENTNET_FORM))
    return network.eval(), identity


def _headless(network: EfficientNetLite0) -> EfficientNetLite0:
    network.set_submodule(_HEAD, nn.Identity())
    return network
