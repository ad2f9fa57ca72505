"""Which partition a key belongs to, as the common Kafka producers decide it."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Literal

from worker.core.ports import Output

_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C
_M = 0x5BD1E995


@lru_cache(maxsize=65536)
def murmur2(key: bytes) -> int:
    """Return the 32-bit MurmurHash2 of `key`, unsigned.

    As in Apache Kafka's `org.apache.kafka.common.utils.Utils.murmur2`.
    """
    words = len(key) // 4
    state = (_SEED ^ len(key)) & _MASK
    for start in range(0, 4 * words, 4):
        state = (state * _M & _MASK) ^ _mixed(int.from_bytes(key[start : start + 4], "little"))
    if rest := key[4 * words :]:
        state = (state ^ int.from_bytes(rest, "little")) * _M & _MASK
    state = (state ^ state >> 13) * _M & _MASK
    return state ^ state >> 15


def _mixed(word: int) -> int:
    word = word * _M & _MASK
    return (word ^ word >> 24) * _M & _MASK


def crc32(key: bytes) -> int:
    """Return the CRC-32 of `key` (IEEE polynomial, as zlib's), unsigned."""
    return zlib.crc32(key)


def partition_for(key: bytes, partitions: int, partitioner: Literal["murmur2", "crc32"]) -> int:
    """Return the partition of `key` in `[0, partitions)`.

    `murmur2`: the Java client's default for records with a key; the sign bit is dropped, as its
    `toPositive` does. `crc32`: librdkafka's `consistent`; its default, `consistent_random`, agrees
    for keys that are not empty.
    """
    if partitions < 1:
        raise ValueError(f"a topic has at least one partition, not {partitions}")
    if partitioner == "murmur2":
        return (murmur2(key) & 0x7FFFFFFF) % partitions
    return crc32(key) % partitions


def placement(output: Output, partitions: int) -> int:
    """Return the partition to append to: its own, else murmur2's by key, else the first."""
    if output.partition is not None:
        return output.partition
    return 0 if output.key is None else partition_for(output.key, partitions, "murmur2")
