"""The part of a transformers model that encodes one modality, as a module of plain tensors.

Features of a shared space (CLIP, SigLIP, CLAP) are those that the model compares with a cosine.
Some versions return them in an output object: then they are its `pooler_output`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from worker.models.families.pooling import Pool, mean


def features(output: Any) -> torch.Tensor:
    """Return (B, D), whatever the model has put it into."""
    found: torch.Tensor = getattr(output, "pooler_output", output)
    return found


class PooledText(nn.Module):
    """Ids and mask, int64 (B, T), padding on the right -> (B, D) pooled over the last layer."""

    def __init__(self, model: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.model = model
        self._pool = pool

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Every row must have at least one token."""
        hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        return self._pool(hidden, mask)


class SharedText(nn.Module):
    """Ids and mask (B, T) -> (B, D) in a shared space. SigLIP is trained to read its padding."""

    def __init__(self, model: Any, reads_padding: bool) -> None:
        super().__init__()
        self.model = model
        self._reads_padding = reads_padding

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the features in the dtype of the weights."""
        if self._reads_padding:
            return features(self.model.get_text_features(input_ids=tokens))
        return features(self.model.get_text_features(input_ids=tokens, attention_mask=mask))


class SharedImage(nn.Module):
    """Pixels (B, 3, S, S) -> (B, D) in a shared space."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features in the dtype of the weights."""
        return features(self.model.get_image_features(pixel_values=pixels))


class PlacedPatches(nn.Module):
    """SigLIP 2's embedding of patches for the square it was trained on, where no place is resized.

    The library's own resizes them picture by picture, in a loop that cannot be traced.
    """

    def __init__(self, own: Any) -> None:
        super().__init__()
        self.patches: nn.Linear = own.patch_embedding
        self.places: nn.Embedding = own.position_embedding

    def forward(self, patches: torch.Tensor, _shapes: torch.Tensor) -> torch.Tensor:
        """Return (B, P, D) of (B, P, 3 p^2)."""
        placed: torch.Tensor = self.patches(patches) + self.places.weight
        return placed


class SharedPatches(nn.Module):
    """The same for SigLIP 2, which takes (B, (S / p)^2, 3 p^2): rows of patches of p x p pixels."""

    def __init__(self, model: Any, patch: int) -> None:
        super().__init__()
        self.model = model
        self._patch = patch
        vision = model.vision_model
        vision.embeddings = PlacedPatches(vision.embeddings)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features in the dtype of the weights."""
        size, side = (
            pixels.shape[0],
            pixels.shape[-1] // self._patch,
        )  # len() is a constant to tracers
        cut = pixels.reshape(size, 3, side, self._patch, side, self._patch)
        patches = cut.permute(0, 2, 4, 3, 5, 1).reshape(size, side * side, -1)
        return features(self.model.get_image_features(pixel_values=patches))


class SharedSound(nn.Module):
    """Log-mel features (B, C, T, F) and whether a clip was cut (B, 1) -> (B, D), CLAP's space."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, mels: torch.Tensor, is_longer: torch.Tensor) -> torch.Tensor:
        """Return the features in the dtype of the weights."""
        return features(self.model.get_audio_features(input_features=mels, is_longer=is_longer))


class PooledSound(nn.Module):
    """What a transformer for sound takes -> (B, D): its own pooling, or the mean over time."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the features in the dtype of the weights."""
        output = self.model(inputs)
        own = getattr(output, "pooler_output", None)
        if own is not None:
            pooled: torch.Tensor = own
            return pooled
        hidden = output.last_hidden_state
        return mean(hidden, torch.ones(hidden.shape[:2], dtype=torch.int64, device=hidden.device))
