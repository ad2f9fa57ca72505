"""Features of ordinary and of unusual Moments of one camera."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import PAIRS
from worker.scoring.experts import AUDIO_DIM, FUSED_DIM, VISUAL_DIM, agreement_feature

TEXT_DIM = 24
THEMES = 4  # of captions

Features = dict[str, NDArray[Any]]

_BANDS = AUDIO_DIM // 2


def normal(seed: int) -> Features:
    """Return an ordinary Moment: a still picture with sensor noise, hum, one of four captions.

    What the caption is about shows in the picture.
    """
    random = np.random.default_rng(seed)
    about = random.integers(0, THEMES)
    text = np.eye(TEXT_DIM)[about] + random.normal(0, 0.02, TEXT_DIM)
    features = {
        "visual": random.normal(0, 0.1, VISUAL_DIM) + 0.5 * np.eye(VISUAL_DIM)[about],
        "luminance": (scenery() + random.normal(0, 2, (48, 64))).clip(0, 255).round(),
        "sharpness": random.normal(0.5, 0.02, 1),
        "motion": random.normal(0.7, 0.1, 1),
        "audio_windows": random.normal(-6, 0.3, (4, AUDIO_DIM)),
        "text": text / np.linalg.norm(text),
        "text_danger": random.normal(-0.3, 0.02, 1),
        "fused": random.normal(0, 0.1, FUSED_DIM),
        **{agreement_feature(pair): random.normal(0, 1, 1) for pair in PAIRS},
        **{name: random.normal(-0.3, 0.02, 1) for name in ("trigger:fire", "trigger:fire:frame")},
    }
    return {name: value.astype(np.float16) for name, value in features.items()}


def unusual(seed: int) -> Features:
    """Return one of the same camera with something in it that was never there."""
    features = normal(seed)
    features["visual"] = features["visual"] + np.float16(1)
    features["luminance"][20:30, 20:30] = 250
    features["audio_windows"][2] += np.float16(5)
    features["text"] = np.eye(TEXT_DIM)[10].astype(np.float16)
    features["text_danger"] = np.array([0.4], np.float16)
    features["fused"] = features["fused"] - np.float16(1)
    for pair in PAIRS:
        features[agreement_feature(pair)] = np.array([-9], np.float16)
    for name in ("trigger:fire", "trigger:fire:frame"):
        features[name] = np.array([0.4], np.float16)
    return features


def contradicted(seed: int) -> Features:
    """Return an ordinary Moment, but for its caption: it is as ordinary, and about another one."""
    features = normal(seed)
    features["text"] = np.roll(features["text"][:THEMES], 1)
    features["text"] = np.pad(features["text"], (0, TEXT_DIM - THEMES))
    return features


def tampered(how: str, seed: int) -> Features:
    """Return one whose camera or microphone was tampered with: what an expert is named after."""
    features = normal(seed)
    random, picture = np.random.default_rng(seed), scenery()
    levels = {
        "camera_dark": picture * 0.04,
        "camera_covered": np.full((48, 64), 20) + random.normal(0, 1, (48, 64)),
        "camera_moved": np.roll(picture, 17, axis=1),
    }
    if how in levels:
        features["luminance"] = levels[how].clip(0, 255).round().astype(np.float16)
    if how == "camera_defocused":
        features["sharpness"] = np.array([-1], np.float16)
    if how == "camera_frozen":
        features["motion"] = np.array([-3], np.float16)
    if how == "audio_silent":
        features["audio_windows"] = np.full((4, AUDIO_DIM), -13.8, np.float16)
        features["audio_windows"][:, _BANDS:] = 0
    return features


def scenery() -> NDArray[np.float64]:
    """Return a picture (48, 64) with shapes in it."""
    picture = np.tile(np.linspace(60, 180, 64), (48, 1))
    picture[8:20, 10:24] = 40
    picture[28:40, 36:58] = 220
    return picture
