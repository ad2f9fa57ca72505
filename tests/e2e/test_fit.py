"""`mmworker fit` with the real encoders: from media to a bundle that the worker runs with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner, Result

from worker.cli.app import app
from worker.errors import OperatorError

SECONDS = 24
SIGHTS = ("A red wall.", "A green meadow.", "The blue sea.")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of a picture, a tone and a caption per second, that tell of the same colour."""
    directory = tmp_path_factory.mktemp("site")
    draws = np.random.default_rng(0)
    lines = []
    for second in range(SECONDS):
        colour = int(draws.integers(3))
        noise = draws.integers(0, 60, (96, 128, 3)).astype(np.uint8)
        noise[..., colour] += 150
        Image.fromarray(noise).save(directory / f"{second}.png")
        hertz = 300 * (colour + 1)
        tone = 0.2 * np.sin(np.arange(16_000) * 2 * np.pi * hertz / 16_000)
        soundfile.write(directory / f"{second}.wav", tone, 16_000)
        lines += [
            {"time": second, "modality": "frame", "path": f"{second}.png"},
            {"time": second, "modality": "audio", "path": f"{second}.wav"},
            {"time": second, "modality": "caption", "text": SIGHTS[colour]},
        ]
    content = "".join(json.dumps({"source": "/cameras/a", **line}) + "\n" for line in lines)
    (directory / "manifest.jsonl").write_text(content)
    return directory


@pytest.fixture(autouse=True)
def _plain_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the encoders in a way that needs neither measuring nor tracing."""
    for name, value in {
        "RUNTIME": "torch",
        "DTYPE": "float32",
        "BATCH_SIZE": 4,
        "THREADS": 1,
    }.items():
        monkeypatch.setenv(f"MMWORKER_MODELS__{name}", str(value))


def fit(*arguments: object) -> Result:
    options = ("--dim", "16", "--epochs", "3")
    return CliRunner().invoke(app, ["fit", *map(str, arguments), *options])


def test_media_become_a_bundle_and_the_worker_runs_with_it(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle"
    done = fit(site, "--output", bundle, "--tuning", "lora", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout[done.stdout.index("{") :])
    assert set(facts["calibration"]["agreement"]) == {
        "frame-caption",
        "frame-audio",
        "caption-audio",
    }
    assert facts["preprocessing"]["inputs"]["caption"]["tuned"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]

    monkeypatch.setenv("MMWORKER_MODELS__BUNDLE", str(bundle))
    video = tmp_path / "gate"
    video.mkdir()
    for second in range(SECONDS):
        picture = Image.open(site / f"{second}.png")
        picture.convert("RGB").save(video / f"{second}.jpg")
    captions = tmp_path / "gate.jsonl"
    captions.write_text(
        "".join(json.dumps({"start_s": n, "text": SIGHTS[n % 3]}) + "\n" for n in range(SECONDS))
    )
    run = CliRunner().invoke(
        app,
        [
            *("analyze", str(video), str(captions), "--output", str(tmp_path / "out")),
            *("--fps", "1", "--calibration-moments", "20"),
        ],
    )
    assert run.exit_code == 0, run.output
    lines = (tmp_path / "out" / "observations.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert all(one["embedding"]["dim"] == 16 for one in told)
    assert any("agreement_frame-caption" in one["features"] for one in told)

    monkeypatch.delenv("MMWORKER_MODELS__BUNDLE")
    refused = fit(tmp_path / "out", "--output", tmp_path / "second")
    assert isinstance(refused.exception, OperatorError)
    assert "were made by other models" in str(refused.exception)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "holds nothing to learn from"),
        ({"manifest.csv": "source,time,modality\n"}, "lists no event"),
        ({"observations.jsonl": "{}\n"}, "is no Observation"),
    ],
)
def test_a_directory_that_teaches_nothing_is_refused(
    tmp_path: Path, content: dict[str, str], told: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, text in content.items():
        (data / name).write_text(text)
    refused = fit(data, "--output", tmp_path / "bundle")
    assert isinstance(refused.exception, OperatorError)
    assert told in str(refused.exception)
    assert not (tmp_path / "bundle").exists()
