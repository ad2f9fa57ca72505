"""Bundles: what is written is what is loaded, and what is not whole is refused in one sentence."""

from __future__ import annotations

import json
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tests.models.bundles import random_bundle
from tests.runtime.builders import HashEncoder, config, encoders
from worker.cli.app import app
from worker.core.events import MODALITIES, Modality
from worker.errors import FailedRunError, OperatorError
from worker.models.bundles.bundle import open_bundle
from worker.models.bundles.manifest import MANIFEST
from worker.models.bundles.storing import check_target, write_bundle, write_file
from worker.runtime.assemble import build_encoders, build_pipeline

Spoil = Callable[[Path], object]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return random_bundle(tmp_path / "bundle", encoders())


def change_byte(place: Path) -> None:
    data = bytearray((place / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (place / "model.safetensors").write_bytes(data)


def change_manifest(place: Path, **fields: Any) -> None:
    manifest = json.loads((place / MANIFEST).read_text())
    (place / MANIFEST).write_text(json.dumps({**manifest, **fields}))


def rewrite(place: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change a file and write the bundle anew, with a manifest that fits."""
    contents = {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    contents[name] = json.dumps(change(json.loads(contents[name]))).encode()
    write_bundle(place, contents)


def of_another_modality(place: Path) -> None:
    def change(document: Any) -> Any:
        document["inputs"]["thermal"] = document["inputs"].pop("caption")
        return document

    rewrite(place, "preprocessing.json", change)


def test_a_bundle_that_is_written_and_read_gives_the_same_numbers(place: Path) -> None:
    one, other = open_bundle(place), open_bundle(place)
    assert one.digest == other.digest
    assert one.modalities == MODALITIES
    states = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)


def test_the_digest_is_of_the_models_alone(tmp_path: Path, place: Path) -> None:
    before = open_bundle(place).digest
    again = random_bundle(tmp_path / "again", encoders())
    other = random_bundle(tmp_path / "other", encoders(), seed=1)
    assert open_bundle(again).digest == before != open_bundle(other).digest


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (change_byte, "does not have the SHA-256"),
        (lambda place: change_manifest(place, version=2), "bundle of version 2"),
        (lambda place: change_manifest(place, digest="0" * 64), "it was changed"),
        (lambda place: change_manifest(place, files={"../x": "0"}), "it was changed"),
        (lambda place: (place / "model.safetensors").unlink(), "lacks model.safetensors"),
        (lambda place: (place / "calibration.json").unlink(), "lacks calibration.json"),
        (lambda place: (place / MANIFEST).unlink(), "lacks manifest.json"),
        (lambda place: (place / MANIFEST).write_text("[]"), "not the manifest of a bundle"),
        (shutil.rmtree, "is no directory"),
        (of_another_modality, "for other modalities (thermal)"),
        (
            lambda place: rewrite(place, "config.json", lambda found: {**found, "dim": 32}),
            "have tensors of another shape",
        ),
        (
            lambda place: rewrite(place, "config.json", lambda found: {**found, "operator": "sum"}),
            "config.json: operator",
        ),
        (
            lambda place: rewrite(place, "calibration.json", lambda found: {**found, "mean": 1}),
            "calibration.json: mean",
        ),
    ],
)
def test_a_bundle_that_cannot_be_used_is_refused_in_one_sentence(
    place: Path, spoil: Spoil, told: str
) -> None:
    spoil(place)
    with pytest.raises(OperatorError) as caught:
        open_bundle(place)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bundle_without_an_awaited_modality_is_refused(tmp_path: Path) -> None:
    pair = (Modality.FRAME, Modality.CAPTION)
    place = random_bundle(tmp_path / "bundle", encoders(), modalities=pair)
    with pytest.raises(OperatorError, match="fitted without audio"):
        build_pipeline(config(models__bundle=str(place)), encoders())
    assert build_pipeline(
        config(models__bundle=str(place), pairing__await=["frame"]), encoders()
    ).pairs == ("frame-caption",)


def test_a_bundle_that_is_not_the_pinned_one_is_refused(place: Path) -> None:
    digest = open_bundle(place).digest
    open_bundle(place, pinned=digest[:12])
    with pytest.raises(OperatorError, match="not the bundle that was pinned"):
        open_bundle(place, pinned="0" * 8)


def test_a_bundle_of_another_encoder_is_refused(place: Path) -> None:
    other = HashEncoder(Modality.FRAME)
    other.digest = "f" * 64
    with pytest.raises(OperatorError, match="was fitted on frame vectors of hash-frame"):
        build_pipeline(config(models__bundle=str(place)), encoders(frame=other))


def test_a_missing_bundle_stops_the_worker_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="is no directory"):
        build_encoders(config(models__bundle=str(tmp_path / "none")))


def test_a_bundle_is_described_with_the_digest_that_can_be_pinned(place: Path) -> None:
    shown = CliRunner().invoke(app, ["config", "show", "--bundle", str(place)])
    assert shown.exit_code == 0
    assert open_bundle(place).digest in shown.stdout
    assert "A bundle of random weights" in shown.stdout
    told = CliRunner().invoke(app, ["config", "show", "--bundle", str(place), "--json"])
    assert json.loads(told.stdout)["architecture"]["operator"] == "attention"


@pytest.fixture
def small_files() -> Any:
    """Let no file grow beyond 4 KiB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_on_a_full_disk_the_old_bundle_stays(place: Path, small_files: object) -> None:
    before = open_bundle(place).digest
    with pytest.raises(FailedRunError, match=r"cannot be written .*the bundle that was there"):
        write_bundle(place, {"model.safetensors": bytes(10_000)})
    assert open_bundle(place).digest == before
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_on_a_full_disk_a_file_stays_as_it_was(tmp_path: Path, small_files: object) -> None:
    file = tmp_path / "checkpoint"
    write_file(file, b"old")
    with pytest.raises(OSError, match="large"):
        write_file(file, bytes(10_000))
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_bundle_takes_the_place_of_the_old_one(tmp_path: Path, place: Path) -> None:
    (place / "stray").write_text("of another program")
    random_bundle(place, encoders(), seed=1)
    other = random_bundle(tmp_path / "other", encoders(), seed=1)
    assert open_bundle(place).digest == open_bundle(other).digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "other"]


def test_a_directory_that_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(OperatorError, match="is no bundle"):
        random_bundle(tmp_path, encoders())
    assert (tmp_path / "thesis.txt").exists()


def test_a_process_that_ends_between_the_renames_loses_no_bundle(place: Path) -> None:
    before = open_bundle(place).digest
    place.rename(place.with_name(".bundle.before"))
    check_target(place)
    assert open_bundle(place).digest == before
