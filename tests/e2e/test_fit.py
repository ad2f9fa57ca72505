"""`mmworker fit` with the real encoders: from media to a bundle that the worker runs with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from tests.cli.letters import commit
from tests.e2e.site import Site
from tests.models.tiny import write_transformers
from worker.cli.app import app
from worker.cli.fit_data import START
from worker.cli.options import config_of
from worker.core.events import Modality
from worker.core.ports import Output
from worker.demo import embedded
from worker.demo.processes import free_ports
from worker.demo.services import LocalKafka
from worker.errors import OperatorError
from worker.feed import manifest
from worker.models.bundles.bundle import open_bundle
from worker.runtime.assemble import build_encoders

SECONDS = 24
SMALL = ("--dim", "16", "--epochs", "3")
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


@pytest.mark.kafka
def test_the_worker_s_own_topic_becomes_a_bundle(
    site: Path, tmp_path: Path, kafka_server: LocalKafka
) -> None:
    topics = Site(kafka_server, tmp_path, {"models.store_embeddings": True}, partitions=2)
    config = ("--config", tmp_path / "mmworker.yaml", "--output", tmp_path / "bundle")
    empty = fit(*config)
    assert isinstance(empty.exception, OperatorError)
    assert "the stream is empty" in str(empty.exception)

    rows = [json.loads(line) for line in (site / "manifest.jsonl").read_text().splitlines()]
    encoders = build_encoders(topics.config)
    events = manifest.events(manifest.read_manifest(site / "manifest.jsonl"), START)
    played = embedded.play(topics.config, encoders, events)
    topic = topics.config.topics.observations
    records = enumerate(played.records[topic])
    commit(
        topics,
        [Output(topic, one.key or b"", one.value, (), place % 2) for place, one in records],
    )
    done = fit(*config, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout[done.stdout.index("{") :])
    inputs = {name: given["feature"] for name, given in facts["preprocessing"]["inputs"].items()}
    assert inputs == {"frame": "frame_embedding", "caption": "text", "audio": "audio_embedding"}
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert f"{len(rows) // 3} Moments of 1 sources" in card
    assert "From the topic of Observations" in card

    tuned = fit(*config, "--tuning", "lora")
    assert isinstance(tuned.exception, OperatorError)
    assert "which Observations do not hold" in str(tuned.exception)


def fit(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["fit", *map(str, arguments), *SMALL])


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


def test_processes_that_torchrun_starts_tune_and_fit_as_one_does_in_two_parts(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for modality, kind in (("FRAME", "clip"), ("CAPTION", "bert")):
        name = write_transformers(kind, tmp_path / kind)
        monkeypatch.setenv(f"MMWORKER_MODELS__{modality}", name)
    options = ("--tuning", "lora", "--tune", "caption,frame", "--accumulate")
    alone = fit(site, "--output", tmp_path / "alone", *options, 2)
    assert alone.exit_code == 0, alone.output

    programs, port = Path(sys.executable).parent, str(free_ports(1)[0])
    command = [
        *(programs / "torchrun", "--nproc-per-node", 2, "--no-python"),
        *("--master-addr", "127.0.0.1", "--master-port", port, programs / "mmworker", "fit", site),
        *("--output", tmp_path / "bundle", *options, 1, *SMALL, "--json"),
    ]
    run = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["bundle"] == str(tmp_path / "bundle")  # one of them prints
    assert {path.name for path in tmp_path.iterdir()} == {"clip", "bert", "alone", "bundle"}

    shared, single = (open_bundle(tmp_path / name) for name in ("bundle", "alone"))
    for part, tensor in single.model.state_dict().items():
        assert torch.allclose(shared.model.state_dict()[part], tensor, atol=1e-2), part
    assert "- frame encoder: lora" in shared.card
    config = config_of(None, {"models.bundle": str(tmp_path / "bundle")})
    for modality, encoder in build_encoders(config).items():
        given = shared.preprocessing.inputs[modality]
        assert given.tuned == (modality is not Modality.AUDIO)
        assert encoder.digest == given.digest


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
