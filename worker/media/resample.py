"""Band-limited change of the sample rate, by the discrete Fourier transform of the whole clip."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_EDGE = 1_024  # samples mirrored at both ends: the transform takes the clip for periodic
_TAPER = 0.05  # share of the kept band that fades out, against ringing


def resample(samples: NDArray[np.float32], rate: int, target: int) -> NDArray[np.float32]:
    """Return the samples (N,), N >= 1, at `target` Hz: (max(1, floor(N target / rate)),).

    The spectrum is cut above the lower of the two Nyquist frequencies. The clip is padded to a
    whole number of periods of both rates, so that no rate, however odd, is approximated; the
    time is O(n log n) for any two rates.
    """
    if rate == target:
        return samples
    divisor = math.gcd(rate, target)
    step, scale = rate // divisor, target // divisor
    edge = math.ceil(_EDGE / step) * step
    length = _smooth(math.ceil((len(samples) + 2 * edge) / step)) * step
    padded = np.pad(samples, (edge, length - len(samples) - edge), mode="symmetric")
    output = length // step * scale
    spectrum = _fitted(np.fft.rfft(padded), output // 2 + 1)
    result = np.fft.irfft(spectrum, output) * (output / length)
    start = edge // step * scale
    count = max(1, len(samples) * target // rate)
    return result[start : start + count].astype(np.float32)


def _smooth(count: int) -> int:
    """Return the next number without a prime factor above 11: transforms of it are fast.

    >>> [_smooth(count) for count in (1, 13, 97, 1_000_003)]
    [1, 14, 98, 1000188]
    """
    while not _is_smooth(count):
        count += 1
    return count


def _is_smooth(count: int) -> bool:
    for prime in (2, 3, 5, 7, 11):
        while count % prime == 0:
            count //= prime
    return count == 1


def _fitted(spectrum: NDArray[np.complexfloating], bins: int) -> NDArray[np.complexfloating]:
    """Cut the spectrum to `bins`, fading its upper end, or fill it up with zeros."""
    kept = min(bins, len(spectrum))
    fitted = np.zeros(bins, spectrum.dtype)
    fitted[:kept] = spectrum[:kept]
    faded = int(kept * _TAPER)
    if faded:
        fade = np.cos(np.linspace(0.0, np.pi / 2, faded, dtype=np.float32))
        fitted[kept - faded : kept] *= fade
    return fitted
