"""Records to and from kafka-python, byte for byte, where the client is stricter than Kafka is."""

from __future__ import annotations

from typing import Any

from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint
from kafka.serializer import Serializer

from worker.core.events import Record
from worker.core.ports import Output


class OutputKey(Serializer):  # type: ignore[misc]  # kafka-python has no types
    """Makes a producer take whole Outputs: the key, and the headers, which it adds in place.

    `send` itself refuses a null header value, and a null key together with a null value. Both are
    legal in Kafka and come with dead letters. Serializers run behind those checks.
    """

    def serialize(self, topic: str, headers: list[Any], data: Output) -> bytes | None:  # noqa: ARG002 - the client's interface
        """Return the Output's key."""
        headers.extend(data.headers)
        return data.key


class OutputValue(Serializer):  # type: ignore[misc]  # kafka-python has no types
    """The value's part of the same."""

    def serialize(self, topic: str, headers: list[Any], data: Output) -> bytes | None:  # noqa: ARG002 - the client's interface
        """Return the Output's value."""
        return data.value


OUTPUT_SERIALIZERS = {"key_serializer": OutputKey(), "value_serializer": OutputValue()}


class _Headers(list[tuple[str, bytes | None]]):
    """Headers that the client does not measure: it would ask a null value for its length."""

    def __bool__(self) -> bool:
        return False


def send(producer: Any, output: Output, partition: int) -> Any:
    """Give the output to a producer made with OUTPUT_SERIALIZERS; return its future."""
    return producer.send(
        output.topic, key=output, value=output, headers=_Headers(), partition=partition
    )


def to_record(consumed: Any) -> Record:
    """Return a ConsumerRecord as ours; Kafka's time is in milliseconds."""
    return Record(
        topic=consumed.topic,
        partition=consumed.partition,
        offset=consumed.offset,
        timestamp=consumed.timestamp * 1000,
        key=consumed.key,
        value=consumed.value,
        headers=tuple(consumed.headers),
    )


class _LenientBatch(DefaultRecordBatch):  # type: ignore[misc]  # kafka-python has no types
    """Reads header names that are not UTF-8 as the Java client does: with replacements.

    Otherwise one such record would make every poll raise, and nobody could read past it.
    """

    __slots__ = ()

    def _read_msg(self) -> Any:
        try:
            return super()._read_msg()
        except UnicodeDecodeError:
            _make_ascii(self._buffer, self._pos)
            return super()._read_msg()


def _make_ascii(buffer: bytearray, start: int) -> None:
    """Replace what is not ASCII in the header names of the record that starts here."""
    position = start
    for _ in range(4):  # length, attributes, time, offset
        _, position = decode_varint(buffer, position)
    for _ in range(2):  # key, value
        position = _skip(buffer, position)
    count, position = decode_varint(buffer, position)
    for _ in range(count):
        size, position = decode_varint(buffer, position)
        name = buffer[position : position + size]
        buffer[position : position + size] = bytes(b if b < 0x80 else ord("?") for b in name)
        position = _skip(buffer, position + size)


def _skip(buffer: bytearray, position: int) -> int:
    size, position = decode_varint(buffer, position)
    return int(position + max(size, 0))


def read_leniently() -> None:
    """Let all consumers of this process read such records."""
    memory_records.DefaultRecordBatch = _LenientBatch
