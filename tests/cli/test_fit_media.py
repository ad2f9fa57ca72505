"""The media of Moments once more: trained on and encoded as the worker itself takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.runtime.builders import START, config, encoders, hum, picture
from worker.cli.fit_data import Opened, encode
from worker.cli.fit_media import encoded_anew, shelf_of
from worker.cli.fit_session import Run, Wishes
from worker.cli.fit_tuning import media_of
from worker.cli.observed import from_file
from worker.core.events import Modality
from worker.core.rfc3339 import seconds
from worker.errors import OperatorError
from worker.feed.events import FeedEvent
from worker.training.dataset import Row, read_rows
from worker.training.processes import ALONE
from worker.training.settings import TuningSettings, tuning_settings

SECONDS, FRAMES = 8, 6  # more frames of a Moment than are encoded
BROKEN = 2
FORMS = {
    Modality.FRAME: "image/png",
    Modality.AUDIO: "audio/L16;rate=16000",
    Modality.CAPTION: "text/plain",
}


def media() -> Iterator[FeedEvent]:
    """Yield two cameras' pictures, sounds, and captions that are carried; two sounds are broken."""
    for second in range(SECONDS):
        for part in range(FRAMES):
            for source in ("/cameras/a", "/cameras/b"):
                time = START + seconds(second + part / FRAMES)
                yield made(source, Modality.FRAME, time, picture(40 * second + 5 * part))
                if not part:
                    sound = b"odd" if second == BROKEN else hum(second)
                    yield made(source, Modality.AUDIO, time, sound)
                if not part and second % 3 == 0:
                    yield made(source, Modality.CAPTION, time, f"second {second}".encode())


def made(source: str, modality: Modality, time: int, payload: bytes) -> FeedEvent:
    return FeedEvent(source, modality, f"{modality}-{time}", time, FORMS[modality], payload)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    wishes = Wishes(None, tmp_path, None, None, None, TuningSettings(), False, False)
    used = config(models__store_embeddings=True)
    return Run(used, wishes, tmp_path, tmp_path, encoders(), "", Console(quiet=True), ALONE)


@pytest.fixture
def rows(run: Run) -> list[Row]:
    kept = run.work / "observations.jsonl"
    encode(Opened("made up", None, media), run.config, run.encoders, kept, lambda _: None)
    return read_rows(from_file(kept))[0]


def never() -> Iterator[FeedEvent]:
    raise AssertionError("the media were read again")


def test_moments_encoded_anew_have_the_vectors_that_the_worker_gave_them(
    run: Run, rows: list[Row]
) -> None:
    bare = [Row(row.source, row.start, row.end, {}, row.events) for row in rows]
    bundled = config(models__store_embeddings=True, models__bundle="/made/for/other/encoders")
    run = replace(run, config=bundled)
    anew = encoded_anew(run, bare, media, run.encoders, "key")
    for row, other in zip(rows, anew, strict=True):
        heard = {"audio_embedding"} if row.start != START + seconds(BROKEN) else set()
        assert set(other.inputs) == {"frame_embedding", "text", *heard}
        for name, vector in other.inputs.items():
            assert np.array_equal(vector, row.inputs[name]), name
    again = encoded_anew(run, bare, never, run.encoders, "key")
    assert all(
        np.array_equal(vector, other.inputs[name])
        for row, other in zip(anew, again, strict=True)
        for name, vector in row.inputs.items()
    )


@pytest.mark.parametrize("modality", Modality)
def test_each_moment_gives_one_content_as_its_encoder_takes_it(
    run: Run, rows: list[Row], modality: Modality
) -> None:
    shelf = shelf_of(run, rows, media, modality, "key")
    silent = {2 * BROKEN, 2 * BROKEN + 1} if modality is Modality.AUDIO else set()
    assert set(shelf) == set(range(2 * SECONDS)) - silent
    if modality is Modality.CAPTION:
        assert [str(shelf[place]) for place in (0, 1, 4, 15)] == [
            *("second 0", "second 0"),
            *("second 0", "second 6"),
        ]
    else:
        shape = {Modality.FRAME: (224, 224, 3), Modality.AUDIO: (1600,)}[modality]
        assert all(content.shape == shape for content in shelf.values())
    assert len(shelf_of(run, rows, never, modality, "key")) == len(shelf)


def test_a_modality_that_never_occurs_cannot_be_tuned(run: Run, rows: list[Row]) -> None:
    silent = [
        Row(row.source, row.start, row.end, {}, tuple(e for e in row.events if e[0] != "audio"))
        for row in rows
    ]
    with pytest.raises(OperatorError, match="there is no audio to learn from"):
        shelf_of(run, silent, media, Modality.AUDIO, "key")


@pytest.mark.parametrize(
    ("changes", "wish", "told"),
    [
        ({"models__audio": "logmel"}, ("lora", "audio"), "no network that can be trained"),
        (
            {"models__speech": "transformers:/models/whisper"},
            ("head", None, 3),
            "are not encoded anew",
        ),
    ],
)
def test_what_cannot_be_tuned_is_told_before_anything_is_encoded(
    changes: dict[str, str], wish: tuple[Any, ...], told: str
) -> None:
    with pytest.raises(OperatorError, match=told):
        media_of(config(**changes), tuning_settings(*wish), Opened("made up", None, media))
