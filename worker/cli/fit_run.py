"""Reads, trains, measures, and writes a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import typer
from rich.console import Console

from worker.cli.bundle import facts_of, print_bundle
from worker.cli.fit_data import Opened, encode, keep, media_key, open_data
from worker.cli.fit_session import Run, Wishes
from worker.cli.fit_tuning import Changed, configured, kept_encoders, media_of, tune_encoders
from worker.cli.observed import from_file, from_topic, kafka_failures
from worker.cli.progress import bar
from worker.config import Config
from worker.config.alerting import ShadowSettings
from worker.core.events import Modality
from worker.core.rfc3339 import MICROSECONDS
from worker.errors import OperatorError
from worker.evaluation.labels import read_labels
from worker.models.bundles.bundle import directory_of, open_bundle
from worker.models.bundles.manifest import names_below
from worker.models.bundles.serving import made_by
from worker.models.bundles.settings import Input
from worker.models.bundles.storing import check_target, write_bundle
from worker.runtime.assemble import build_encoders, build_pipeline
from worker.training.checkpoint import Checkpoint
from worker.training.dataset import Dataset, Row, assemble, read_rows
from worker.training.fit import PAGE, Fitted, bundle_files, fit
from worker.training.labelling import labels_of
from worker.training.loop import STAGES, Training
from worker.training.model import make_model, run_key
from worker.training.processes import Processes, together
from worker.training.settings import FitSettings

KEPT, KEY = "observations.jsonl", "observations.key"


def run_fit(config: Config, wishes: Wishes, settings: FitSettings) -> None:
    """Fit and write, with others where `torchrun` has started several.

    Raises OperatorError or FailedRunError, one sentence.
    """
    with together() as processes:
        _run(config, wishes, settings, processes)


def _run(config: Config, wishes: Wishes, settings: FitSettings, processes: Processes) -> None:
    # one thread suffices for batches of this size, and more spin where others are at work
    torch.set_num_threads(config.models.threads or 1)
    check_target(wishes.output)
    opened = None if wishes.data is None else open_data(wishes.data, wishes.seconds, wishes.fps)
    events = media_of(config, wishes.tuning, opened)
    stored_rows = _stored_rows(config, wishes, opened)  # mistakes are told before models load
    labels = None if wishes.labels is None else read_labels(wishes.labels)
    run = _begin(config, wishes, processes)
    rows, model = stored_rows or read_rows(from_file(_encoded(run, opened)))
    _check_model(run, model)
    known = None if labels is None else labels_of(rows, labels)
    data, changed = assemble(rows, known), Changed(rows)
    if events is not None:
        changed = tune_encoders(run, rows, data, events, settings)
        data = assemble(changed.rows, known)
        run = replace(run, encoders={**run.encoders, **changed.encoders})
    fitted = _fit(run, data, settings)
    if not processes.leads:
        return
    kept = kept_encoders(config, changed.encoders)
    files = bundle_files(
        replace(fitted, tuned=changed.tuned),
        _inputs(data, run, [*changed.encoders, *_modalities_of(kept)]),
        frames_per_moment=config.models.frames_per_moment,
        window_seconds=config.pairing.window_seconds,
        projection_seed=config.scoring.seed,
        origin="the topic of Observations" if opened is None else opened.origin,
    )
    write_bundle(wishes.output, {**files, **kept, **changed.files})
    shutil.rmtree(run.work, ignore_errors=True)
    _tell(wishes)


def _begin(config: Config, wishes: Wishes, processes: Processes) -> Run:
    """Load the encoders, with Observations that keep embeddings and have nothing in shadow."""
    work, own = _work(wishes, processes)
    storing = config.models.model_copy(update={"store_embeddings": True})
    plain = config.scoring.model_copy(update={"shadow": ShadowSettings()})
    config = config.model_copy(update={"models": storing, "scoring": plain})
    console = Console(stderr=True, quiet=not processes.leads)
    with console.status("Loading the encoders (the first time they are measured for seconds)"):
        encoders = build_encoders(config)
        model = build_pipeline(config, encoders).digest
    return Run(config, wishes, work, own, encoders, model, console, processes)


def _work(wishes: Wishes, processes: Processes) -> tuple[Path, Path]:
    """Return the directory beside the bundle, which a new run begins with empty.

    Each process that does not lead has one of its own in it, the second one here.
    """
    work = wishes.output.with_name(f"{wishes.output.name}.fit")
    if wishes.resume and not work.is_dir():
        raise OperatorError(f"there is no {work} to go on with: begin without --resume.")
    own = work if processes.leads else work / f"process-{processes.rank}"
    try:
        if processes.leads and not wishes.resume:
            shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        processes.wait()
        own.mkdir(exist_ok=True)
    except OSError as error:
        raise OperatorError(f"{work} cannot be made ({error.strerror}).") from None
    return work, own


def _stored_rows(
    config: Config, wishes: Wishes, opened: Opened | None
) -> tuple[list[Row], str] | None:
    """Return what Observations hold that are there already; None where media are to be encoded."""
    if opened is None:
        from worker.adapters.kafka.reading import TopicReader

        with kafka_failures(), TopicReader(config.kafka) as reader:
            return read_rows(from_topic(reader, config), wishes.seconds)
    if opened.observations is None:
        return None
    return read_rows(from_file(opened.observations), wishes.seconds)


def _check_model(run: Run, model: str) -> None:
    if model != run.model:
        raise OperatorError(
            f"the Observations were made by other models ({model[:12]}) than those configured"
            f" ({run.model[:12]}): fit with the configuration of the worker that wrote them."
        )


def _encoded(run: Run, opened: Opened | None) -> Path:
    """Return the file of the encoded media, which the process that leads has made."""
    if run.processes.leads:
        _encode(run, opened)
    run.processes.wait()
    return run.work / KEPT


def _encode(run: Run, opened: Opened | None) -> None:
    wishes, kept = run.wishes, run.work / KEPT
    key = media_key(wishes.data or Path(), run.model, wishes.seconds, wishes.fps)
    noted = run.work / KEY
    if wishes.resume and noted.exists() and noted.read_text(encoding="utf-8") == key:
        return
    with bar(run.console, "Encoding", wishes.seconds) as advance:
        first: list[int] = []

        def progress(reached: int) -> None:
            if reached:  # the clock has been set
                first.append(reached)
                advance((reached - first[0]) / MICROSECONDS)

        encode(opened, run.config, run.encoders, kept, progress)
    keep(noted, key.encode())


def _fit(run: Run, data: Dataset, settings: FitSettings) -> Fitted:
    checkpoint = Checkpoint(run.work, run_key(data, settings))
    epochs = settings.epochs * len(STAGES)
    with bar(run.console, "Fitting", epochs, "epochs at most") as advance:
        training = Training(
            make_model(data, settings),
            data,
            settings,
            checkpoint,
            advance,
            processes=run.processes,
        )
        return fit(training, checkpoint if run.wishes.resume and checkpoint.exists() else None)


def _modalities_of(files: Mapping[str, bytes]) -> list[Modality]:
    """Return the modalities of tuned encoders by their files' names."""
    return [each for each in Modality if names_below(files, directory_of(each))]


def _inputs(data: Dataset, run: Run, tuned: Sequence[Modality]) -> dict[Modality, Input]:
    """Return what goes in, and who made it; `tuned` are the encoders in the bundle."""
    found = {}
    for modality, feature in data.features.items():
        name, digest = made_by(feature, modality, run.encoders)
        found[modality] = Input.model_validate(
            {
                "feature": feature,
                "dim": data.dims[modality],
                "encoder": configured(run.config, modality) if modality in tuned else name,
                "digest": digest,
                "tuned": modality in tuned,
            }
        )
    return found


def _tell(wishes: Wishes) -> None:
    bundle = open_bundle(wishes.output)
    if wishes.as_json:
        typer.echo(json.dumps(facts_of(bundle), indent=2))
        return
    print_bundle(bundle, Console())
    typer.echo(f"Look at {wishes.output / PAGE}")
