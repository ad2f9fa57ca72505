"""Partitioners must agree with the producers that other programs use."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner import murmur2 as client_murmur2

from worker.core.partitioner import crc32, murmur2, partition_for

# Apache Kafka, UtilsTest.testMurmur2 (Java's signed integers)
JAVA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "signed"), JAVA_VECTORS.items())
def test_murmur2_gives_the_values_of_the_java_client(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF


@given(st.binary(max_size=70))
def test_murmur2_agrees_with_the_kafka_client_in_use(key: bytes) -> None:
    assert murmur2(key) == client_murmur2(key)


def test_a_negative_hash_loses_its_sign_bit_before_the_modulo() -> None:
    assert partition_for(b"21", 7, "murmur2") == (-973932308 & 0x7FFFFFFF) % 7


def test_crc32_is_the_ieee_checksum_that_librdkafka_uses() -> None:
    assert crc32(b"123456789") == 0xCBF43926  # the check value of CRC-32/ISO-HDLC
    assert partition_for(b"123456789", 17, "crc32") == 0xCBF43926 % 17


@given(st.binary(max_size=40), st.integers(1, 100))
def test_the_partition_is_within_the_topic(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions, "murmur2") < partitions
    assert 0 <= partition_for(key, partitions, "crc32") < partitions


def test_the_two_partitioners_disagree_for_some_key() -> None:
    keys = [f"/cameras/{n}".encode() for n in range(50)]
    assert any(partition_for(k, 6, "murmur2") != partition_for(k, 6, "crc32") for k in keys)


def test_a_topic_without_partitions_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one partition"):
        partition_for(b"key", 0, "murmur2")


def test_known_keys_are_looked_up_quickly() -> None:
    keys = [f"/cameras/north-gate-{n}".encode() for n in range(1000)]
    for key in keys:
        partition_for(key, 12, "murmur2")
    began = time.perf_counter()
    for key in keys * 100:
        partition_for(key, 12, "murmur2")
    assert time.perf_counter() - began < 1.0  # 100000 records; computing takes several times that
