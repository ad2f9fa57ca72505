"""Training: what is learned, what is noted, and that a killed run goes on as if unbroken."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.builders import SMALL, labels, rows, training
from worker.core.events import PAIRS, Modality
from worker.errors import FailedRunError, OperatorError
from worker.models.bundles.bundle import open_bundle
from worker.models.bundles.settings import Input
from worker.models.bundles.storing import write_bundle
from worker.models.fusion.model import OPERATORS
from worker.training.checkpoint import NAME, Checkpoint
from worker.training.dataset import Dataset, assemble
from worker.training.fit import Fitted, bundle_files, fit
from worker.training.loop import Training


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """A run with labels for half of the Moments."""
    found = rows(80)
    data = assemble(found, labels(found))
    return fit(training(tmp_path_factory.mktemp("work"), data, replace(SMALL, epochs=25)))


def files_of(fitted: Fitted, origin: str = "a made-up stream") -> dict[str, bytes]:
    inputs = {
        modality: Input.model_validate(
            {"feature": name, "dim": fitted.data.dims[modality], "encoder": "none", "digest": "0"}
        )
        for modality, name in fitted.data.features.items()
    }
    return bundle_files(
        fitted,
        inputs,
        frames_per_moment=4,
        window_seconds=1,
        projection_seed=0,
        origin=origin,
    )


def test_agreement_is_learned_without_labels_and_told_of_what_was_held_out(tmp_path: Path) -> None:
    done = fit(training(tmp_path, assemble(rows(80))))
    assert not done.data.has_labels
    for pair, usual in done.measures.calibration.agreement.items():
        assert usual.auroc is not None
        assert usual.auroc > 0.85, pair
        assert usual.centre > 0
    assert done.measures.confusion is None
    assert set(done.measures.calibration.agreement) == set(PAIRS)


def test_labels_teach_classes(fitted: Fitted) -> None:
    assert fitted.data.classes == ("normal", "fire")
    (normal, false), (missed, found) = fitted.measures.confusion or []
    assert normal + found > 4 * (false + missed)
    assert fitted.measures.reliability["classes"].error < 0.2


def test_each_epoch_is_noted_with_what_each_modality_adds(fitted: Fitted) -> None:
    stages = [each["stage"] for each in fitted.history]
    assert stages == sorted(stages)
    assert set(stages) == {1, 2}
    for each in fitted.history:
        assert set(each["contributions"]) == {"frame", "caption", "audio"}
        assert all(0 <= value <= 2 for value in each["contributions"].values())
    last = fitted.history[-1]
    assert set(last["trained"]) == {"contrastive", "agreement", "views", "classes", "unimodal"}


def test_a_bundle_is_read_as_it_was_fitted(fitted: Fitted, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", files_of(fitted))
    bundle = open_bundle(tmp_path / "bundle")
    for name, tensor in fitted.model.state_dict().items():
        assert torch.equal(bundle.model.state_dict()[name], tensor)
    assert bundle.architecture.classes == ("normal", "fire")
    assert {"MODEL_CARD.md", "fit.html", "history.json"} < set(bundle.files)
    for heading in ("Data", "Slices", "Intended use", "Limits", "Measured on what was held out"):
        assert f"## {heading}" in bundle.card


def test_the_page_needs_no_network_and_escapes_what_it_is_told(fitted: Fitted) -> None:
    page = files_of(fitted, "<script>alert(1)</script>")["fit.html"].decode()
    assert "<script>alert" not in page
    assert "http" not in page.replace("http-equiv", "")
    for title in ("Loss, stage 1", "Loss, stage 2", "What each modality adds", "Calibration"):
        assert title in page
    assert "True class" in page


def test_what_never_occurs_is_left_out_of_the_bundle(tmp_path: Path) -> None:
    data = assemble(rows(features=("frame_embedding", "text")))
    done = fit(training(tmp_path, data, replace(SMALL, epochs=2)))
    assert done.model.modalities == (Modality.FRAME, Modality.CAPTION)
    assert set(done.measures.calibration.agreement) == {"frame-caption"}


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator_can_be_fitted(tmp_path: Path, operator: str) -> None:
    found = rows(20)
    settings = replace(SMALL, operator=operator, epochs=2)
    done = fit(training(tmp_path, assemble(found, labels(found)), settings))
    assert all(torch.isfinite(each).all() for each in done.model.state_dict().values())


def state_after(run: Training, checkpoint: Checkpoint | None = None) -> dict[str, torch.Tensor]:
    return dict(fit(run, checkpoint).model.state_dict())


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = state_after(training(tmp_path / "whole"))
    command = [sys.executable, "-m", "tests.training.killed", str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 7:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    run = training(tmp_path / "killed")
    standing = run.checkpoint.read()
    assert (standing.stage, standing.epoch) >= (1, 6)
    resumed = state_after(run, run.checkpoint)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())


def test_a_loss_that_is_no_number_ends_the_run_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FailedRunError, match="no number any more in epoch") as caught:
        training(tmp_path, settings=replace(SMALL, learning_rate=1e30)).run()
    assert "\n" not in str(caught.value)


def begun(directory: Path, data: Dataset | None = None) -> Checkpoint:
    run = training(directory, data, replace(SMALL, epochs=1))
    run.run()
    return run.checkpoint


def test_a_run_is_not_gone_on_with_under_other_settings_or_data(tmp_path: Path) -> None:
    begun(tmp_path)
    other = training(tmp_path, settings=replace(SMALL, epochs=1, seed=1))
    with pytest.raises(OperatorError, match="other data or settings"):
        other.checkpoint.read()
    other = training(tmp_path, assemble(rows(61)), replace(SMALL, epochs=1))
    with pytest.raises(OperatorError, match="other data or settings"):
        other.checkpoint.read()


def test_there_is_nothing_to_go_on_with_where_nothing_was_begun(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nothing to go on with"):
        training(tmp_path).checkpoint.read()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04."])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(OperatorError, match="no checkpoint"):
        training(tmp_path).checkpoint.read()


def test_on_a_full_disk_the_last_checkpoint_stays(tmp_path: Path) -> None:
    before = begun(tmp_path).read()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(FailedRunError, match="make room and go on with --resume"):
            begun(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    after = training(tmp_path, settings=replace(SMALL, epochs=1)).checkpoint.read()
    assert after.history == before.history
