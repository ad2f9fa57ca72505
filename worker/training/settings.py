"""How a bundle is fitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from worker.core.events import MODALITIES, Modality
from worker.errors import OperatorError
from worker.training.steps import Precision

Tuning = Literal["head", "lora", "full"]


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """What of the encoders is trained before fusion is fitted, of which `modalities`.

    `pretraining`: epochs in which the caption encoder reads the captions first. `pruned`: the share
    of the weights of linear and convolutional layers that is set to zero before `full` tuning.
    """

    way: Tuning = "head"
    modalities: tuple[Modality, ...] = ()
    pretraining: int = 0
    pruned: float = 0.0

    @property
    def changes(self) -> tuple[Modality, ...]:
        """The modalities whose encoders become other ones."""
        read = (Modality.CAPTION,) if self.pretraining else ()
        return tuple(each for each in MODALITIES if each in (*self.modalities, *read))


def tuning_settings(
    way: Tuning, tuned: str | None, pretraining: int = 0, pruned: float = 0.0
) -> TuningSettings:
    """Return the settings; `tuned` names modalities, with commas. Raises OperatorError.

    >>> tuning_settings("lora", "audio,frame").modalities
    (<Modality.FRAME: 'frame'>, <Modality.AUDIO: 'audio'>)
    """
    named = {each.strip() for each in (tuned or Modality.CAPTION).split(",")}
    if not named <= set(MODALITIES):
        raise OperatorError(
            f"--tune is {tuned!r}: name {', '.join(MODALITIES)}, with commas between them."
        )
    if way == "head" and tuned is not None:
        raise OperatorError("--tune says what --tuning lora or full is to train: give that too.")
    if pruned and way != "full":
        raise OperatorError(
            "--prune needs --tuning full: what is left of a network has to be trained."
        )
    modalities = tuple(each for each in MODALITIES if each in named and way != "head")
    return TuningSettings(way, modalities, pretraining, pruned)


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
