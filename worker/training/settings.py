"""How a bundle is fitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from worker.training.steps import Precision


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Defaults of the command. `epochs` are at most so many, of each of the two stages.

    `patience`: epochs without a lower loss on what is held out, after which a stage ends.
    `dropout`: the probability that a modality is left out of a Moment in the second stage.
    `accumulate`, `precision`: see `worker.training.steps`; `modulation`: see `.modulation`.
    """

    operator: str = "attention"
    dim: int = 256
    agreement_dim: int = 128
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.3
    patience: int = 8
    seed: int = 0
    accumulate: int = 1
    precision: Precision = "float32"
    modulation: bool = False

    def key(self) -> str:
        """Return a text that is equal for equal settings."""
        return repr(sorted(asdict(self).items()))
