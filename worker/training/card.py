"""MODEL_CARD.md: what a bundle was made from, what it is for, and what it is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from worker.core.events import Modality
from worker.models.bundles.settings import Input
from worker.training.dataset import UNLABELLED, Dataset
from worker.training.measures import Measures
from worker.training.settings import FitSettings
from worker.training.tuning import Tuned

INTENDED = (
    "Scoring unusual moments of the cameras that it was fitted on, or of ones much like them, in"
    " streams that people watch over. Not for identifying people, matching faces, or judging"
    " emotions."
)
LIMITS = (
    "Figures are of Moments that were held out in whole blocks of time from the same recordings;"
    " other cameras, seasons and languages were not measured.",
    "Agreement is learned from what occurs together: what never changes in the data cannot be told"
    " apart, and two modalities that agree by chance look consistent.",
    "The classes' probabilities are calibrated on what was held out; alerts do not use them.",
)


def write_card(
    data: Dataset,
    settings: FitSettings,
    measures: Measures,
    inputs: Mapping[Modality, Input],
    origin: str,
    tuned: Mapping[Modality, Tuned],
) -> str:
    """Return the card, Markdown."""
    parts = [
        ["# Fitted fusion and agreement", "", f"From {origin}."],
        ["## Data", "", *_data(data)],
        ["## Slices", "", *_slices(data)],
        ["## Inputs", "", *_inputs(inputs)],
        ["## Training", "", *_training(settings), *_tuning(tuned)],
        ["## Measured on what was held out", "", *_measured(measures)],
        ["## Intended use", "", INTENDED],
        ["## Limits", "", *(f"- {limit}" for limit in LIMITS)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _data(data: Dataset) -> Iterator[str]:
    labelled = int((data.label != UNLABELLED).sum())
    yield (
        f"{len(data)} Moments of {len(data.sources)} sources, of which"
        f" {int(data.held_out.sum())} were held out; {labelled} labelled."
    )
    counts = Counter(data.classes[place] for place in data.label.tolist() if place >= 0)
    yield from (f"- {name}: {count}" for name, count in sorted(counts.items()))


def _slices(data: Dataset) -> Iterator[str]:
    names = ", ".join(data.z)
    yield f"| source | Moments | with {names} |"
    yield "|---|---|---|"
    for place, source in enumerate(data.sources):
        present = data.present[data.source == place]
        shares = " ".join(f"{float(share):.2f}" for share in present.float().mean(0))
        yield f"| {source} | {len(present)} | {shares} |"


def _inputs(inputs: Mapping[Modality, Input]) -> Iterator[str]:
    for modality, given in inputs.items():
        tuned = ", tuned" if given.tuned else ""
        yield (
            f"- {modality}: `{given.feature}` ({given.dim}) of {given.encoder}{tuned},"
            f" digest {given.digest[:12]}"
        )


def _training(settings: FitSettings) -> Iterator[str]:
    yield (
        f"Operator {settings.operator}, {settings.dim} dimensions; at most {settings.epochs} epochs"
        f" of each of two stages, batches of {settings.batch_size}, learning rate"
        f" {settings.learning_rate:g}, modality dropout {settings.dropout:g},"
        f" {settings.precision}{', OGM-GE' if settings.modulation else ''}, seed {settings.seed}."
    )


def _tuning(tuned: Mapping[Modality, Tuned]) -> Iterator[str]:
    for modality, each in tuned.items():
        pruned = f" {each.zeros:.0%} of its layers' weights are zero." if each.zeros else ""
        yield (
            f"- {modality} encoder: {each.way}, {each.parameters} numbers moved; loss on what was"
            f" held out {each.losses[0]:.3f} after the first epoch, {min(each.losses):.3f} at best."
            f"{pruned}"
        )


def _measured(measures: Measures) -> Iterator[str]:
    yield "| | AUROC | pairs | calibration error |"
    yield "|---|---|---|---|"
    for pair, usual in measures.calibration.agreement.items():
        auroc = "-" if usual.auroc is None else f"{usual.auroc:.3f}"
        yield f"| agreement of {pair} | {auroc} | {usual.pairs} | {_error(measures, pair)} |"
    if measures.confusion is not None:
        count = sum(map(sum, measures.confusion))
        yield f"| classes | - | {count} | {_error(measures, 'classes')} |"


def _error(measures: Measures, name: str) -> str:
    found = measures.reliability.get(name)
    return "-" if found is None else f"{found.error:.3f}"
