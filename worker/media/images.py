"""JPEG, PNG and WebP to RGB arrays.

The size is read from the header by our own few lines or by the JPEG library, before any decoder
allocates; what the decoder then finds must agree with it.
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from worker.core.events import ContentType
from worker.errors import InvalidEventError, Reason
from worker.media.limits import Limits

Pixels = NDArray[np.uint8]

_LUMINANCE_APART = ("YCbCr", "Gray")  # colour spaces of JPEG
_PILLOW_FORMATS = {"image/png": "PNG", "image/webp": "WEBP"}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def check_image(payload: bytes, content_type: ContentType, limits: Limits) -> tuple[int, int]:
    """Return (width, height) in pixels from the header alone.

    Raises InvalidEventError: UNDECODABLE_IMAGE where the header is not of the content type's
    format, IMAGE_TOO_LARGE above `limits.max_pixels`.
    """
    try:
        width, height = _SIZES[content_type.name](payload)
    except Exception:  # hostile bytes: whatever a parser says, there is no size to be had
        raise _undecodable(content_type) from None
    if width < 1 or height < 1:
        raise _undecodable(content_type)
    if width * height > limits.max_pixels:
        message = f"the image is {width} x {height}, more than {limits.max_pixels} pixels"
        raise InvalidEventError(Reason.IMAGE_TOO_LARGE, message)
    return width, height


def decode_image(
    payload: bytes, content_type: ContentType, limits: Limits, side: int = 224
) -> Pixels:
    """Return RGB (H, W, 3), reduced as far as is cheap while min(H, W) >= `side`.

    An image that is smaller than that keeps its size. Transparency is dropped; of an animation
    the first picture counts. Raises InvalidEventError as `check_image` does, and
    UNDECODABLE_IMAGE for truncated or broken pixel data.
    """
    size = check_image(payload, content_type, limits)
    try:
        if content_type.name == "image/jpeg":
            return _decode_jpeg(payload, size, side, "RGB")
        return _decode_with_pillow(payload, _PILLOW_FORMATS[content_type.name], size, side)
    except Exception:  # hostile bytes: decoders raise nearly anything, and all of it means this
        raise _undecodable(content_type) from None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's luminance (H, W), ITU-R BT.601, and its RGB (H, W, 3), both uint8.

    `colours` are None where they take a decoding of their own, which then succeeds as well.
    """

    grey: Pixels
    colours: Pixels | None


def decode_picture(
    payload: bytes, content_type: ContentType, limits: Limits, side: int = 224
) -> Picture:
    """Return what can be had of a picture without its colours, where that is cheaper.

    Reduced, and raises, as `decode_image`.
    """
    if content_type.name == "image/jpeg":
        size = check_image(payload, content_type, limits)
        try:
            if simplejpeg.decode_jpeg_header(payload)[2] in _LUMINANCE_APART:
                return Picture(_decode_jpeg(payload, size, side, "GRAY")[..., 0], None)
        except Exception:  # hostile bytes, as in `decode_image`
            raise _undecodable(content_type) from None
    colours = decode_image(payload, content_type, limits, side)
    return Picture(np.asarray(Image.fromarray(colours).convert("L")), colours)


def resize_square(image: Pixels, side: int) -> Pixels:
    """Return (side, side, 3): the whole picture, squeezed, with antialiasing."""
    resized = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def thumbnail(image: Pixels, width: int = 64, height: int = 48) -> Pixels:
    """Return the luminance (ITU-R BT.601) as (height, width), each the mean of its area.

    `image` is RGB (H, W, 3), or the luminance itself.
    """
    picture = Image.fromarray(image)
    grey = picture if picture.mode == "L" else picture.convert("L")
    if grey.width % width or grey.height % height:
        return np.asarray(grey.resize((width, height), Image.Resampling.BOX))
    return np.asarray(grey.reduce((grey.width // width, grey.height // height)))  # twice as fast


def _undecodable(content_type: ContentType) -> InvalidEventError:
    message = f"the payload is not a complete {content_type.name} image"
    return InvalidEventError(Reason.UNDECODABLE_IMAGE, message)


def _jpeg_size(payload: bytes) -> tuple[int, int]:
    height, width, _, _ = simplejpeg.decode_jpeg_header(payload, strict=True)
    return width, height


def _png_size(payload: bytes) -> tuple[int, int]:
    if not payload.startswith(_PNG_SIGNATURE):
        raise ValueError("no PNG header")
    width, height = struct.unpack_from(">II", payload, 16)
    return width, height


def _webp_size(payload: bytes) -> tuple[int, int]:
    """Read the canvas size of the three kinds of WebP (RFC 9649, sections 2.5 to 2.7)."""
    riff, size, kind = struct.unpack_from("<4sI8s", payload)
    if riff != b"RIFF" or size + 8 > len(payload):
        raise ValueError("no WebP header, or truncated")
    if kind == b"WEBPVP8X":
        packed = int.from_bytes(payload[24:30], "little")
        return 1 + (packed & 0xFFFFFF), 1 + (packed >> 24)
    if kind == b"WEBPVP8L":
        (packed,) = struct.unpack_from("<I", payload, 21)
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", payload, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("not a WebP")


_SIZES = {"image/jpeg": _jpeg_size, "image/png": _png_size, "image/webp": _webp_size}


def _decode_jpeg(payload: bytes, size: tuple[int, int], side: int, colorspace: str) -> Pixels:
    """Let the inverse DCT do the reducing; `strict` refuses truncated data.

    Of its scales only the powers of two are fast: 7/8 takes two and a half times as long as 1. The
    exact DCT is as fast as the one that is called so, and gives what other decoders give.
    """
    halvings = next((n for n in (8, 4, 2) if min(size) >= n * side), 1)
    width, height = (math.ceil(each / halvings) for each in size)
    pixels: Pixels = simplejpeg.decode_jpeg(
        payload,
        colorspace=colorspace,
        fastdct=False,
        min_height=height,
        min_width=width,
        strict=True,
    )
    return pixels


def _decode_with_pillow(payload: bytes, form: str, size: tuple[int, int], side: int) -> Pixels:
    with Image.open(io.BytesIO(payload), formats=[form]) as image:
        if image.size != size:
            raise ValueError("two headers that do not agree")
        image.load()
        rgb = _as_rgb(image)
    return np.asarray(rgb.reduce(max(1, min(size) // side)))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow's conversion would clip
        wide: NDArray[Any] = np.asarray(image)
        image = Image.fromarray((wide >> 8).astype(np.uint8))
    if image.mode == "P":  # its transparency may be a table, which needs the step through RGBA
        image = image.convert("RGBA")
    return image.convert("RGB")
