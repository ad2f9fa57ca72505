"""`mmworker fit`: from a worker's own stream, or media, to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from worker.cli.options import AsJson, Bootstrap, ConfigFile, config_of

Operator = Literal["attention", "gated", "weighted", "concat", "product", "poe", "adapter"]


def fit(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Observations (JSON lines), a manifest, media, or a directory of them;"
            " none: the topic of Observations."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the bundle.")] = Path(
        "bundle"
    ),
    labels: Annotated[
        Path | None, typer.Option(help="Labelled events, CSV or JSON lines, as for evaluate.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Learn from so much of the beginning alone.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second to look at.")] = None,
    operator: Annotated[Operator, typer.Option(help="How modalities are fused.")] = "attention",
    dim: Annotated[int, typer.Option(min=4, max=4096, help="Of the fused vector.")] = 256,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="At most, per stage.")] = 60,
    batch_size: Annotated[int, typer.Option(min=2, max=65_536, help="Moments per step.")] = 64,
    learning_rate: Annotated[float, typer.Option(min=1e-9, help="Of AdamW.")] = 1e-3,
    dropout: Annotated[
        float, typer.Option(min=0, max=0.95, help="How often a modality is left out.")
    ] = 0.3,
    patience: Annotated[
        int, typer.Option(min=1, max=10_000, help="Epochs without progress that end a stage.")
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, max=65_535, help="Of all that is drawn.")] = 0,
    tuning: Annotated[
        Literal["head", "lora", "full"],
        typer.Option(help="What of the encoders is trained: nothing, low-rank updates, or all."),
    ] = "head",
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="MODALITIES",
            help="Whose encoders --tuning trains, e.g. frame,audio.",
            show_default="caption",
        ),
    ] = None,
    prune: Annotated[
        float,
        typer.Option(
            min=0, max=0.99, help="Share of their weights set to zero first, with --tuning full."
        ),
    ] = 0.0,
    pretrain: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Epochs that the caption encoder reads captions first."),
    ] = 0,
    accumulate: Annotated[
        int, typer.Option(min=1, max=1024, help="Parts of a step, one after the other.")
    ] = 1,
    precision: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Of products of matrices in training.")
    ] = "float32",
    modulation: Annotated[
        bool, typer.Option("--ogm-ge", help="Slow down a modality that outruns the others.")
    ] = False,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was ended.")] = False,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Learn how this site's modalities belong together; labels are welcome, not needed."""
    effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    from worker.cli.fit_run import run_fit
    from worker.cli.fit_session import Wishes
    from worker.training.settings import FitSettings, tuning_settings

    settings = FitSettings(
        operator=operator,
        dim=dim,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        dropout=dropout,
        patience=patience,
        seed=seed,
        accumulate=accumulate,
        precision=precision,
        modulation=modulation,
    )
    wish = tuning_settings(tuning, tune, pretrain, prune)
    wishes = Wishes(data, output, labels, seconds, fps, wish, resume, as_json)
    run_fit(effective, wishes, settings)
