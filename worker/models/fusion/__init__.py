"""Fusion: from the modalities that a Moment has to one vector.

`untrained` is what runs without a bundle, in numpy. `model` is the trainable module, over any
number of modalities, with one of the `OPERATORS` inside.
"""

from worker.models.fusion.untrained import Array, Fusion, masked_softmax, orthonormal_rows

__all__ = ["Array", "Fusion", "masked_softmax", "orthonormal_rows"]
