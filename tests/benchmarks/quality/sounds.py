"""What a scene sounds like, and what incidents do to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tests.benchmarks.quality.material import SHARP_SOUNDS, Array, sound

RATE = 16_000

Whole = Callable[[int, np.random.Generator, str], Array]  # seconds, draws, part -> samples


def ambience(name: str, seconds: int, random: np.random.Generator) -> Array:
    """Return the scene's own sound: its recording again and again, each time a bit different."""
    once = sound(name)
    rounds: list[Array] = []
    while sum(each.size for each in rounds) < seconds * RATE:
        start = int(random.integers(0, len(once) // 2))
        rounds.append(once[start:] * np.float32(10 ** (random.normal(0, 0.8) / 20)))
    joined = np.concatenate(rounds)[: seconds * RATE]
    return joined + random.normal(0, 8e-4, len(joined)).astype(np.float32)


def _blast(seconds: int, random: np.random.Generator, part: str) -> Array:
    names = SHARP_SOUNDS[part]
    once = sound(names[int(random.integers(len(names)))])[: seconds * RATE]
    return np.pad(once, (0, seconds * RATE - len(once))) * np.float32(random.uniform(0.3, 0.8))


def _time(seconds: int) -> Array:
    return np.arange(seconds * RATE, dtype=np.float32) / RATE


def _alarm(seconds: int, random: np.random.Generator, part: str) -> Array:
    t = _time(seconds)
    base = random.uniform(700, 1200)
    if part == "held":  # a siren that goes up and down
        sweep = np.sin(2 * np.pi * (base * t + 120 * np.sin(2 * np.pi * 0.7 * t)))
        return np.asarray(0.06 * sweep, np.float32)
    beep = np.sin(2 * np.pi * base * t) * (np.sin(2 * np.pi * 2.5 * t) > 0)
    return np.asarray(0.05 * beep, np.float32)


def _shout(seconds: int, random: np.random.Generator, part: str) -> Array:
    t = _time(seconds)
    pitch = random.uniform(180, 320) * (1 + 0.15 * np.sin(2 * np.pi * 1.3 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(n * phase) / n for n in range(1, 12))
    return np.asarray(0.05 * np.maximum(0, np.sin(2 * np.pi * 0.9 * t)) * voice, np.float32)


def _glass(seconds: int, random: np.random.Generator, part: str) -> Array:
    t = _time(seconds)
    rings = sum(
        np.sin(2 * np.pi * random.uniform(2500, 7000) * t) * np.exp(-t * random.uniform(4, 14))
        for _ in range(14)
    )
    crack = random.normal(0, 1, len(t)) * np.exp(-t * 25)
    return np.asarray(0.02 * rings + 0.15 * crack, np.float32)


def _rising_hum(seconds: int, random: np.random.Generator, part: str) -> Array:
    t = _time(seconds)
    base = random.uniform(90, 160) * (1.0 if part == "chosen" else 2.6)
    tone = sum(np.sin(2 * np.pi * base * n * t) / n for n in (1, 2, 3, 5))
    return np.asarray(0.02 * t / seconds * tone, np.float32)


def _hiss(level: float) -> Whole:
    def whole(seconds: int, random: np.random.Generator, part: str) -> Array:
        return random.normal(0, level, seconds * RATE).astype(np.float32)

    return whole


def _wind(seconds: int, random: np.random.Generator, part: str) -> Array:
    white = random.normal(0, 1, seconds * RATE + 64)
    low = np.convolve(white, np.hanning(64) / 32, "same")[: seconds * RATE]
    gusts = 1 + 0.7 * np.sin(2 * np.pi * random.uniform(0.2, 0.5) * _time(seconds))
    return np.asarray(0.006 * gusts * low, np.float32)


ADDED: Mapping[str, Whole] = {
    "blast": _blast,
    "alarm": _alarm,
    "shout": _shout,
    "glass": _glass,
    "rising_hum": _rising_hum,
    "rain": _hiss(2e-3),
    "wind": _wind,
}


def gain(kind: str, random: np.random.Generator) -> float:
    """Return the factor on all that is heard."""
    if kind == "dead_microphone":
        return 0.0
    if kind == "microphone_gain":
        return float(10 ** (random.choice([-5.0, -3.0, 3.0, 5.0]) / 20))
    return 1.0
