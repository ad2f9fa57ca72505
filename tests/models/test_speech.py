"""Speech as text: what counts as speech, what is recognised in it, and which models are refused.

`speech.ogg` is "Help me! There is a fire." by espeak-ng, 2.5 s.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import WhisperFeatureExtractor

from tests.models.tiny import tokenizer, transformers_model, write_transformers
from worker.demo import scene
from worker.errors import OperatorError
from worker.feed.audio import decode
from worker.models.families import whisper
from worker.models.logmel import SAMPLE_RATE
from worker.models.settings import ModelSettings
from worker.models.speech import MAX_SECONDS, SpeechReader, build
from worker.models.voice import STEP, VoiceDetector, spans
from worker.models.weights import SILERO_VAD

Clip = NDArray[np.float32]
WORDS = Path(__file__).with_name("speech.ogg")
SECONDS = np.arange(3 * SAMPLE_RATE, dtype=np.float64) / SAMPLE_RATE


def spoken_words() -> Clip:
    samples, rate = soundfile.read(WORDS, dtype="float32")
    assert rate == SAMPLE_RATE
    return np.asarray(samples, np.float32)


def noise(scale: float = 0.1) -> Clip:
    samples = np.random.default_rng(0).standard_normal(len(SECONDS)) * scale
    return samples.astype(np.float32)


def chord(*frequencies: float) -> Clip:
    tones = [np.sin(2 * np.pi * each * SECONDS) for each in frequencies]
    return np.asarray(0.5 * np.mean(tones, axis=0), np.float32)


NO_SPEECH = {
    "silence": np.zeros_like(SECONDS, np.float32),
    "noise": noise(),
    "loud noise": noise(0.4).clip(-1, 1),
    "noise that is cut": np.where(np.sin(8 * np.pi * SECONDS) > 0, noise(0.3), 0),
    "tone": chord(440),
    "chord": chord(220, 330, 440, 660),
    "siren": np.sin(2 * np.pi * (600 * SECONDS + 40 * np.cos(3 * SECONDS))).astype(np.float32),
    "click": np.eye(1, len(SECONDS), 9000, dtype=np.float32)[0],
    "one sample": np.zeros(1, np.float32),
}


@pytest.fixture(scope="module")
def voice() -> VoiceDetector:
    return VoiceDetector()


def test_words_are_speech_from_the_first_to_the_last(voice: VoiceDetector) -> None:
    words = spoken_words()
    quiet = np.zeros(SAMPLE_RATE, np.float32)
    found = voice.spans(np.concatenate([quiet, words, quiet]))
    assert found
    begin, end = found[0][0], found[-1][1]
    assert SAMPLE_RATE - 2 * STEP <= begin < SAMPLE_RATE + 4 * STEP
    assert end > SAMPLE_RATE + 0.8 * len(words)
    assert end <= SAMPLE_RATE + len(words) + STEP


@pytest.mark.parametrize("name", NO_SPEECH)
def test_other_sounds_are_no_speech(name: str, voice: VoiceDetector) -> None:
    assert voice.spans(NO_SPEECH[name].astype(np.float32)) == []


def test_a_plaza_is_no_speech(voice: VoiceDetector) -> None:
    sounds = [*scene.PLAZA.glob("audio/*.ogg"), *scene.PLAZA.glob("audio/events/*")]
    assert len(sounds) == 7
    for path in sounds:
        for _, clip in decode(path, 20):
            assert voice.spans(clip) == [], path.name


def test_probabilities_and_spans_are_those_of_the_package(voice: VoiceDetector) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own scripts
        from silero_vad import get_speech_timestamps, load_silero_vad

        network = load_silero_vad()
    for clip in (spoken_words(), noise()[:20_000]):
        padded = np.pad(clip, (0, -len(clip) % STEP)).reshape(-1, STEP)
        network.reset_states()
        with torch.inference_mode():
            theirs = [network(torch.from_numpy(each), SAMPLE_RATE).item() for each in padded]
            told = get_speech_timestamps(torch.from_numpy(clip), network)
        assert voice.probabilities(clip) == pytest.approx(theirs, abs=1e-3)
        assert voice.spans(clip) == [(each["start"], each["end"]) for each in told]


def test_a_clip_is_judged_by_itself_whatever_was_before_and_beside_it(
    voice: VoiceDetector,
) -> None:
    clips = [spoken_words(), noise(), spoken_words()[:9_000], chord(440)]
    alone = [VoiceDetector().probabilities(clip).tobytes() for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(voice.probabilities, clips * 5))
    assert [each.tobytes() for each in beside] == alone * 5


def test_short_pauses_are_part_of_speech_and_short_sounds_are_none() -> None:
    steps = [0.9] * 10 + [0.4] * 9 + [0.1] * 3 + [0.9] * 10 + [0.1] * 20 + [0.9] * 7 + [0.1] * 9
    assert spans(steps, len(steps) * STEP) == [(0, 32 * STEP + 480)]
    assert spans([0.9] * 8, 4_000) == []
    assert spans([0.9] * 8, 4_096) == [(0, 4_096)]
    assert spans([], 0) == []


def test_without_its_package_the_sentence_says_what_to_install() -> None:
    with pytest.raises(OperatorError, match="Install silero-vad"):
        VoiceDetector(replace(SILERO_VAD, package="silero_vad_of_nobody"))
    with pytest.raises(OperatorError, match="Reinstall silero-vad"):
        VoiceDetector(replace(SILERO_VAD, sha256="0" * 64))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("whisper")
    write_transformers("whisper", where)
    return where


@pytest.fixture(scope="module")
def reader(directory: Path) -> SpeechReader:
    return build(f"transformers:{directory}", ModelSettings("cpu"))


def greedy(clip: Clip, directory: Path, limit: int = 36) -> str:
    """Return what the most likely tokens, one after the other, say."""
    model = transformers_model("whisper")
    extractor = WhisperFeatureExtractor.from_pretrained(directory)
    inputs = extractor(clip, sampling_rate=SAMPLE_RATE, return_tensors="pt")["input_features"]
    tokens = [model.config.decoder_start_token_id]
    with torch.inference_mode():
        while len(tokens) <= limit and tokens[-1] != model.config.eos_token_id:
            logits = model(inputs, decoder_input_ids=torch.tensor([tokens])).logits[0, -1]
            tokens.append(int(logits.argmax()))
    text: str = tokenizer(padded=True).decode(tokens, skip_special_tokens=True)
    return " ".join(text.split())


def test_the_text_is_that_of_the_most_likely_tokens(directory: Path, reader: SpeechReader) -> None:
    texts = {greedy(clip, directory) for clip in (spoken_words(), noise())}
    assert {reader.text(clip) for clip in (spoken_words(), noise())} == texts
    assert len(texts) == 2


def test_a_text_depends_on_its_clip_alone(directory: Path, reader: SpeechReader) -> None:
    clips = [spoken_words(), noise(), spoken_words()[:100], noise(0.4), spoken_words()]
    together = [reader.text(clip) for clip in clips]
    assert together[0] == together[-1]
    other = build(f"transformers:{directory}", ModelSettings("cpu"))
    for clip, text in zip(reversed(clips), reversed(together), strict=True):
        assert other.text(clip) == text
    assert all(text.isprintable() for text in together)


def test_only_what_holds_speech_is_recognised_and_no_more_than_is_allowed(
    reader: SpeechReader,
) -> None:
    assert reader.spoken(noise()) is None
    words = spoken_words()
    part = reader.spoken(np.concatenate([np.zeros(SAMPLE_RATE, np.float32), words]))
    assert part is not None
    assert 0.8 * len(words) < len(part) < len(words) + 4 * STEP
    long = reader.spoken(np.tile(words, 14))
    assert long is not None
    assert len(long) == MAX_SECONDS * SAMPLE_RATE


def test_a_text_has_no_more_tokens_than_are_allowed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper, "MAX_TOKENS", 5)
    short = build(f"transformers:{directory}", ModelSettings("cpu"))
    assert short.text(noise()) == greedy(noise(), directory, 5)


LANGUAGES = {
    "is_multilingual": True,
    "lang_to_id": {"<|en|>": 40, "<|de|>": 41},
    "task_to_id": {"transcribe": 42, "translate": 43},
    "no_timestamps_token_id": 44,
}


def rules(directory: Path, **changes: object) -> None:
    path = directory / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_language_is_recognised_or_named_by_the_directory(
    tmp_path: Path, reader: SpeechReader
) -> None:
    name = write_transformers("whisper", tmp_path)
    rules(tmp_path, **LANGUAGES)
    free = build(name, ModelSettings("cpu"))
    assert free.text(spoken_words()) == free.text(spoken_words())
    digests = {reader.digest, free.digest}
    for language in ("en", "de"):
        rules(tmp_path, language=language)
        named = build(name, ModelSettings("cpu"))
        assert named.text(spoken_words())
        digests.add(named.digest)
    assert len(digests) == 4


def test_rules_of_the_directory_cannot_make_it_random_or_endless(
    tmp_path: Path, reader: SpeechReader
) -> None:
    name = write_transformers("whisper", tmp_path)
    rules(tmp_path, do_sample=True, num_beams=3, temperature=2.0, max_length=4, dither=1.0)
    extractor = tmp_path / "preprocessor_config.json"
    extractor.write_text(json.dumps(json.loads(extractor.read_text()) | {"dither": 0.5}))
    wild = build(name, ModelSettings("cpu"))
    assert [wild.text(spoken_words()) for _ in range(2)] == [reader.text(spoken_words())] * 2


def spoil_tensor(directory: Path) -> None:
    path = directory / "model.safetensors"
    state = load_file(path)
    del state["model.decoder.layers.1.fc1.weight"]
    save_file(state, path)


def spoil_cut(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def spoil_pickle(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(b"\x80\x04")


def spoil_rate(directory: Path) -> None:
    path = directory / "preprocessor_config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"sampling_rate": 8000, "feature_size": 4})
    )


def without(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (shutil.rmtree, "is not a directory"),
        (spoil_pickle, r"only as pytorch_model\.bin"),
        (spoil_cut, "not a complete safetensors file"),
        (spoil_tensor, r"lack tensors of the model: model\.decoder\.layers\.1\.fc1\.weight"),
        (spoil_rate, "not for 16 kHz"),
        (without("generation_config.json"), r"no generation_config\.json that can be used"),
        (without("preprocessor_config.json"), "no feature extractor that can be used"),
        (without("tokenizer.json"), "no tokenizer"),
        (lambda directory: write_transformers("bert", directory), "type bert, which is none for"),
    ],
)
def test_a_bad_directory_is_refused_in_one_sentence(
    spoil: Callable[[Path], Any], sentence: str, directory: Path, tmp_path: Path
) -> None:
    shutil.copytree(directory, tmp_path / "model")
    spoil(tmp_path / "model")
    with pytest.raises(OperatorError, match=sentence) as caught:
        build(f"transformers:{tmp_path / 'model'}", ModelSettings("cpu"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["transformers:org/whisper", "minilm"])
def test_a_hub_is_never_asked(name: str) -> None:
    with pytest.raises(OperatorError, match=r"models\.speech is .* a directory"):
        build(name, ModelSettings("cpu", allow_hub=True))


def test_what_is_pinned_is_checked(directory: Path, reader: SpeechReader) -> None:
    name = f"transformers:{directory}"
    assert build(name, ModelSettings("cpu"), reader.digest[:12]).digest == reader.digest
    with pytest.raises(OperatorError, match=r"models\.speech_digest is 00000000 but"):
        build(name, ModelSettings("cpu"), "00000000")
    assert build(name, ModelSettings("cpu", dtype="int8")).digest == reader.digest
    half = build(name, ModelSettings("cpu", dtype="bfloat16"))
    assert half.digest != reader.digest
    assert isinstance(half.text(spoken_words()), str)
