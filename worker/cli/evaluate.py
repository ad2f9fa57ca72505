"""`mmworker evaluate` and `mmworker labels`: decisions against what is known to have happened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from worker.cli.options import AsJson, Bootstrap, ConfigFile, Output, config_of, prepare_directory
from worker.errors import OperatorError

labels_app = typer.Typer(help="Labelled events.", no_args_is_help=True)


def evaluate(
    observations: Annotated[
        list[Path], typer.Argument(help="JSON lines of one run each, of the same footage and time.")
    ],
    labels: Annotated[Path, typer.Option(help="Labelled events, CSV or JSON lines.")],
    output: Output,
    config: ConfigFile = None,
    block_seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="Length of the blocks of the bootstrap.")
    ] = 60.0,
    resamples: Annotated[int, typer.Option(min=20, max=10_000, help="Of the bootstrap.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure how well runs found labelled events; write evaluation.json and evaluation.html."""
    effective = config_of(config)
    if not observations:
        raise OperatorError("name at least one file of Observations.")
    prepare_directory(output)
    from worker.cli.evaluate_run import How, run_evaluation

    how = How(block_seconds, resamples, seed)
    run_evaluation(effective, observations, labels, output, how, as_json=as_json)


@labels_app.command("heard")
def heard_labels(
    observations: Annotated[
        Path | None, typer.Option(help="JSON lines of Observations; else those of the topic.")
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Print the alerts that people have called an anomaly as labels, CSV."""
    from worker.cli.observed import from_file, from_topic, kafka_failures
    from worker.evaluation.heard import heard
    from worker.evaluation.labels import write_csv

    if observations is not None:
        found = heard(from_file(observations))
    else:
        from worker.adapters.kafka.reading import TopicReader

        effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
        with kafka_failures(), TopicReader(effective.kafka) as reader:
            found = heard(from_topic(reader, effective))
    write_csv(found, typer.get_text_stream("stdout"))


@labels_app.command("convert")
def convert_labels(
    annotations: Annotated[Path, typer.Argument(help="The annotation file of the data set.")],
    data_set: Annotated[
        Literal["xd-violence", "ucf-crime"], typer.Option("--from", help="Which data set it is of.")
    ],
    fps: Annotated[
        float | None,
        typer.Option(min=0.1, max=1000, help="Frames per second; else 24 (XD) or 30 (UCF)."),
    ] = None,
) -> None:
    """Print the annotations of a published data set as labels, CSV."""
    from worker.evaluation.annotations import convert
    from worker.evaluation.labels import write_csv

    try:
        with annotations.open(encoding="utf-8") as lines:
            found = convert(lines, data_set, fps)
    except UnicodeDecodeError:
        raise OperatorError(f"{annotations} must be UTF-8.") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OperatorError(f"{annotations} cannot be read ({reason}).") from None
    write_csv(found, typer.get_text_stream("stdout"))
