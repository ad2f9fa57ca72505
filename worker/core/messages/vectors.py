"""Arrays of float16 as base64 text: little endian, in C order."""

from __future__ import annotations

import binascii

import numpy as np
import numpy.typing as npt

Float16Array = npt.NDArray[np.float16]
_LITTLE_ENDIAN = np.dtype("<f2")


def encode(array: Float16Array) -> str:
    """Return the base64 text of the array.

    Raises ValueError where it is not float16 (rounding here would hide that scores were computed
    from other numbers than those written) or not finite.
    """
    if array.dtype != np.float16:
        raise ValueError(f"round the vector to float16 before it is scored; it is {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError("the vector has values that are not finite")
    data = array.astype(_LITTLE_ENDIAN, copy=False).tobytes()
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode(text: str, shape: tuple[int, ...]) -> Float16Array:
    """Return the array, read only. Raises ValueError where text and shape do not fit."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ValueError("the vector is not base64") from None
    try:
        array = np.frombuffer(data, _LITTLE_ENDIAN).reshape(shape)
    except (ValueError, OverflowError):
        raise ValueError(f"the vector's {len(data)} bytes do not fit its shape") from None
    if not np.isfinite(array).all():
        raise ValueError("the vector has values that are not finite")
    return array.astype(np.float16, copy=False)
