"""Curves in the format of TensorBoard, without its package: records of protobuf events.

    record   length uint64, crc(length) uint32, data, crc(data) uint32       little endian
    data     Event {wall_time = 1, step = 2, file_version = 3, summary = 5}
    summary  {value = 1 {tag = 1, simple_value = 2}}

crc is CRC-32C, rotated and moved (tensorflow/core/lib/hash/crc32c.h); fields are those of
tensorflow/core/util/event.proto. Epochs stand for times: equal runs give equal bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crc32c import crc32c

_VERSION = b"brain.Event:2"


def events(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the file for what was noted of each epoch; steps go on over the stages."""
    records = [_record(_double(1, 0.0) + _bytes(3, _VERSION))]
    for step, each in enumerate(history, 1):
        values = b"".join(
            _bytes(1, _bytes(1, tag.encode()) + _float(2, value)) for tag, value in _scalars(each)
        )
        records.append(_record(_double(1, float(step)) + _varint(2, step) + _bytes(5, values)))
    return b"".join(records)


def _scalars(entry: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for kind in ("trained", "held_out"):
        terms: Mapping[str, float] = entry[kind]
        yield f"loss/{kind}", sum(terms.values())
        for name, value in terms.items():
            yield f"{name}/{kind}", value
    for name, value in entry["contributions"].items():
        yield f"contribution/{name}", value
    yield "stage", float(entry["stage"])


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return bytes([field << 3 | 5]) + struct.pack("<f", value)


def _varint(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _number(value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _number(len(value)) + value


def _number(value: int) -> bytes:
    """Return a base-128 varint, the lowest seven bits first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
