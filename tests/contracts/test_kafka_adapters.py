"""What is particular to the real Kafka."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka import TopicPartition as ClientPartition

from tests.contracts.logs import KafkaWorld, Reader, joined, wait_for, write
from worker.adapters.kafka import input_log
from worker.adapters.kafka.admin import KafkaAdmin, TopicSpec
from worker.adapters.kafka.input_log import KafkaInputLog
from worker.adapters.kafka.outbox import KafkaOutbox
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.topic_checks import check_topics, specs
from worker.adapters.kafka.topic_watch import TopicWatch
from worker.config import KafkaSettings, TopicSettings
from worker.core.ports import Committed, CommitUnit, LogError, Output, Ownership, TopicPartition
from worker.demo.kafka_server import Listener
from worker.demo.processes import free_ports
from worker.demo.services import LocalKafka, local_kafka
from worker.errors import OperatorError

pytestmark = pytest.mark.kafka


@pytest.fixture
def world(kafka_server: LocalKafka) -> Iterator[KafkaWorld]:
    made = KafkaWorld(kafka_server.bootstrap, 2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def guarded(kafka_server: LocalKafka) -> Iterator[LocalKafka]:
    """A second broker, which wants a password; it may be stopped and continued.

    It soon forgets producers that are idle.
    """
    listener = Listener("SASL_PLAINTEXT", "SCRAM-SHA-256", {"admin": "a", "worker": "right one"})
    properties = {
        "transactional.id.expiration.ms": "3000",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "200",
    }
    with local_kafka(listener, properties=properties) as server:
        yield server


def login(server: LocalKafka, directory: Path, password: str) -> KafkaSettings:
    file = directory / "password"
    file.write_text(password + "\n")
    return KafkaSettings(
        bootstrap_servers=server.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username="worker",
        sasl_password_file=file,
    )


def frame(world: KafkaWorld, value: bytes = b"x") -> Output:
    return Output(world.inputs[0], b"camera", value, (), 0)


def test_without_a_broker_every_adapter_says_in_one_line_what_to_check() -> None:
    (port,) = free_ports(1)
    settings = KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}")
    began = time.monotonic()
    with root_log() as told_to_operators:
        for make in (
            lambda: KafkaAdmin(settings, 0.5),
            lambda: KafkaSink(settings, connect_timeout=0.5),
            lambda: KafkaOutbox(settings, "outbox", connect_timeout=0.5),
            lambda: KafkaInputLog(settings, ["frames"], connect_timeout=0.5),
        ):
            with pytest.raises(OperatorError, match=r"kafka\.bootstrap_servers") as told:
                make()
            assert str(port) in str(told.value)
            assert "\n" not in str(told.value)
    assert time.monotonic() - began < 8
    assert not [each for each in told_to_operators if "kafka" in each.name]


class Collected(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def root_log() -> Iterator[list[logging.LogRecord]]:
    """Collect what reaches the root: `caplog` listens at loggers that do not pass on, too."""
    handler, root = Collected(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler.records
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_a_wrong_password_is_named_as_such_and_never_shown(
    guarded: LocalKafka, tmp_path: Path
) -> None:
    with pytest.raises(OperatorError, match="sasl_password_file") as told:
        KafkaAdmin(login(guarded, tmp_path, "wrong one"), 2)
    assert "wrong one" not in str(told.value)


def test_a_login_where_none_is_wanted_does_not_pass_for_a_connection(
    kafka_server: LocalKafka, tmp_path: Path
) -> None:
    with pytest.raises(OperatorError, match=r"kafka\.security_protocol"):
        KafkaAdmin(login(kafka_server, tmp_path, "any"), 1.5)


def test_the_right_password_opens_the_whole_way(guarded: LocalKafka, tmp_path: Path) -> None:
    settings = login(guarded, tmp_path, "right one")
    with KafkaAdmin(settings) as admin:
        admin.create([TopicSpec("guarded", 1)])
    sink = KafkaSink(settings)
    sink.append(Output("guarded", b"k", b"v"))
    sink.flush()
    sink.close()
    log = KafkaInputLog(settings, ["guarded"])
    (reader,) = joined(log)
    wait_for(lambda: reader.count == 1, reader)
    log.close()


def test_a_topic_that_is_not_there_is_named_before_anything_is_read(world: KafkaWorld) -> None:
    with pytest.raises(OperatorError, match=r"no-such-topic.*mmworker topics create"):
        KafkaInputLog(world.settings, [*world.inputs[:2], "no-such-topic"])


def test_the_topics_that_are_created_pass_the_check(kafka_server: LocalKafka) -> None:
    topics = TopicSettings.model_validate(
        {name: f"{name}-checked" for name in TopicSettings.model_fields}
    )
    settings = KafkaSettings(bootstrap_servers=kafka_server.bootstrap)
    with KafkaAdmin(settings) as admin:
        missing = check_topics(admin, topics, 1_000_000)
        admin.create(specs(topics, 3, 1_000_000))
        admin.create(specs(topics, 3, 1_000_000))  # twice is no harm
        assert check_topics(admin, topics, 1_000_000) == []
        described = admin.describe([topics.frames])[topics.frames]
    assert len([each for each in missing if "there is no topic" in each.sentence]) == 9
    assert (described.partitions, described.replicas) == (3, 1)
    assert described.config["message.timestamp.type"] == "LogAppendTime"


def test_a_header_name_that_is_not_utf8_does_not_block_its_partition(world: KafkaWorld) -> None:
    class Raw(str):
        def encode(self, *_: Any) -> bytes:
            return b"bad\xff\xfe"

    values = [b"\xff\xfe value", b"bad\xff\xfe"]
    headers = (("good", b"1"), (Raw("bad"), b"bad\xff\xfe"), (Raw("bad"), None), ("good", b"2"))
    write(world, [Output(world.inputs[0], b"key\xff\xfe", each, headers, 0) for each in values])
    write(world, [frame(world, b"after")])
    (reader,) = joined(world.member())
    wait_for(lambda: reader.count == 3, reader)
    read = reader.records[TopicPartition(world.inputs[0], 0)]
    assert [each.value for each in read] == [*values, b"after"]
    assert read[0].key == b"key\xff\xfe"
    assert read[0].headers == (
        ("good", b"1"),
        ("bad??", b"bad\xff\xfe"),
        ("bad??", None),
        ("good", b"2"),
    )


def test_an_open_transaction_of_a_producer_does_not_keep_a_partition_from_being_caught_up(
    world: KafkaWorld,
) -> None:
    write(world, [frame(world)])
    producer = KafkaProducer(
        bootstrap_servers=world.settings.bootstrap_servers, transactional_id=world.results
    )
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(world.inputs[0], b"pending", b"camera", partition=0).get(10)
    partition = TopicPartition(world.inputs[0], 0)
    reader = Reader(world.member())
    wait_for(lambda: reader.last is not None and partition in reader.last.caught_up, reader)
    assert [each.value for each in reader.records[partition]] == [b"x"]
    producer.commit_transaction()
    wait_for(lambda: reader.count == 2, reader)
    producer.close()


def test_records_gone_before_they_were_read_are_an_error_and_not_a_jump(
    world: KafkaWorld,
) -> None:
    partition = TopicPartition(world.inputs[0], 0)
    write(world, [frame(world) for _ in range(5)])
    (reader,) = joined(world.member())
    wait_for(lambda: reader.count == 5, reader)
    world.outbox().submit(CommitUnit((), {partition: Committed(2)}), reader.ownership).result(20)
    reader.log.close()
    with KafkaAdmin(world.settings) as admin:
        admin._client.delete_records({ClientPartition(*partition): 4})
    second = Reader(world.member())
    with pytest.raises(LogError) as told:
        wait_for(lambda: second.count > 0, second)
    assert told.value.reason == "offset_out_of_range"
    assert not told.value.retriable


def test_records_larger_than_a_fetch_come_from_every_partition(world: KafkaWorld) -> None:
    large = bytes(5 * 1024 * 1024)
    outputs = [
        Output(topic, b"camera", large, (), partition)
        for topic in world.inputs
        for partition in (0, 1)
    ]
    write(world, [*outputs, *(frame(world) for _ in range(3)), *outputs])
    (reader,) = joined(world.member())
    wait_for(lambda: reader.count == 15, reader)


def test_an_evicted_member_sees_its_partitions_leave_and_come_back_at_the_committed_offset(
    world: KafkaWorld,
) -> None:
    write(world, [frame(world) for _ in range(5)])
    settings = world.settings.model_copy(
        update={"session_timeout_seconds": 1.5, "max_poll_interval_seconds": 2}
    )
    log = KafkaInputLog(settings, world.inputs)
    (reader,) = joined(log)
    wait_for(lambda: reader.count == 5, reader)
    before = reader.ownership
    time.sleep(4)
    seen = []
    wait_for(lambda: seen.append(reader.assignment) or reader.count == 10, reader)  # type: ignore[func-returns-value]  # notes and asks
    assert frozenset() in seen
    assert reader.ownership != before
    log.close()


def test_a_member_does_not_join_again_as_soon_as_it_hears_of_its_partitions(
    world: KafkaWorld,
) -> None:
    write(world, [frame(world) for _ in range(5)])

    def visit() -> int:
        (reader,) = joined(world.member())
        wait_for(lambda: reader.count == 5, reader)
        time.sleep(0.3)
        generation = reader.poll().ownership
        reader.log.close()
        assert generation is not None
        return generation.generation

    first, second, third = visit(), visit(), visit()
    assert second - first == third - second == 2  # leaving is a generation of its own


def test_partitions_that_are_added_while_a_member_reads_end_its_session(
    world: KafkaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_log, "_METADATA_MS", 500)
    with KafkaAdmin(world.settings) as admin:
        known = admin.describe(world.inputs)
        count = known[world.inputs[0]].partitions
        first, second = joined(world.member(), world.member())
        admin._client.create_partitions({world.inputs[0]: count + 1})
    for reader in (first, second):
        with pytest.raises(LogError, match=rf"got {count + 1} partitions and had {count}") as told:
            wait_for(lambda: False, reader)
        assert (told.value.reason, told.value.retriable) == ("partitions_added", False)
        reader.log.close()
    with pytest.raises(LogError, match="partitions"):  # another session of the same process
        KafkaInputLog(world.settings, world.inputs, known=known)


def test_a_leader_takes_up_a_join_for_added_partitions_however_short_its_polls(
    world: KafkaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_log, "_METADATA_MS", 500)
    monkeypatch.setattr(TopicWatch, "check", lambda self: None)
    log = world.member()
    (reader,) = joined(log)
    before = reader.ownership
    with KafkaAdmin(world.settings) as admin:
        admin._client.create_partitions({world.inputs[0]: 7})
    deadline = time.monotonic() + 20
    while log.poll(0.005).ownership in (before, None) or len(log.poll(0.005).assignment) < 7:
        assert time.monotonic() < deadline
    log.close()


def test_a_topic_that_is_created_anew_while_a_member_reads_ends_its_session(
    world: KafkaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_log, "_METADATA_MS", 500)
    write(world, [frame(world) for _ in range(3)])
    log = world.member()
    (reader,) = joined(log)
    wait_for(lambda: reader.count == 3, reader)
    with KafkaAdmin(world.settings) as admin:
        partitions = admin.describe(world.inputs)[world.inputs[0]].partitions
        admin._client.delete_topics([world.inputs[0]])
        wait_for(lambda: world.inputs[0] not in admin.describe(world.inputs))
        admin.create([TopicSpec(world.inputs[0], partitions)])
    write(world, [frame(world) for _ in range(8)])
    with pytest.raises(LogError, match="deleted and created anew") as told:
        wait_for(lambda: False, reader)
    assert (told.value.reason, told.value.retriable) == ("topic_created_anew", False)
    log.close()


def static(world: KafkaWorld, name: str) -> KafkaInputLog:
    settings = world.settings.model_copy(update={"group_instance_id": name})
    return KafkaInputLog(settings, world.inputs)


def test_a_static_member_that_comes_back_has_its_partitions_and_nobody_else_notices(
    world: KafkaWorld,
) -> None:
    write(world, [Output(world.inputs[0], b"camera", b"x", (), index) for index in (0, 1)])
    first, second = joined(static(world, "one"), static(world, "two"))
    wait_for(lambda: not first.assignment & second.assignment, first, second)
    before, generation = first.assignment, second.ownership.generation
    first.log.close()
    (again,) = joined(static(world, "one"))
    wait_for(lambda: again.count == 1, again, second)
    assert again.assignment == before
    assert again.ownership.generation == second.ownership.generation == generation
    with KafkaAdmin(world.settings) as admin:
        assert sorted(map(str, admin.members(world.settings.group_id))) == ["one", "two"]
    again.log.close()
    second.log.close()


def test_of_two_members_with_one_name_the_first_is_told_and_can_commit_no_more(
    world: KafkaWorld,
) -> None:
    write(world, [frame(world)])
    (first,) = joined(static(world, "one"))
    wait_for(lambda: first.count == 1, first)
    outbox, ownership = world.outbox(), first.ownership
    (second,) = joined(static(world, "one"))
    refused = outbox.submit(CommitUnit((), first.next_offsets), ownership).exception(20)
    assert isinstance(refused, LogError)
    assert (refused.reason, refused.retriable) == ("fenced_instance_id", False)
    with pytest.raises(LogError, match=r"give each worker an id of its own") as told:
        wait_for(lambda: False, first)
    assert not told.value.retriable
    second.log.close()
    first.log.close()


@contextmanager
def alone(
    server: LocalKafka, directory: Path, name: str, *others: str
) -> Iterator[tuple[KafkaSettings, Ownership]]:
    """Join a group of one that reads a topic of its own, both of this name; make the other ones."""
    settings = login(server, directory, "right one").model_copy(update={"group_id": name})
    with KafkaAdmin(settings) as admin:
        admin.create([TopicSpec(each, 1) for each in (name, *others)])
    with closing(KafkaInputLog(settings, [name])) as log:
        (reader,) = joined(log)
        assert reader.ownership is not None
        yield settings, reader.ownership


def unit_of(group: str, topic: str) -> CommitUnit:
    """Return one output to a topic, with the offset of the topic that the group reads."""
    return CommitUnit((Output(topic, b"k", b"v"),), {TopicPartition(group, 0): Committed(0)})


def test_a_commit_that_the_broker_does_not_answer_is_given_up(
    guarded: LocalKafka, tmp_path: Path
) -> None:
    with alone(guarded, tmp_path, "stopped") as (settings, ownership):
        outbox = KafkaOutbox(settings, "stopped", commit_timeout=1.5)
        unit = unit_of("stopped", "stopped")
        outbox.submit(unit, ownership).result(20)
        os.kill(guarded.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(LogError) as told:
                outbox.submit(unit, ownership).result(20)
            assert 1 < time.monotonic() - began < 4
        finally:
            os.kill(guarded.pid, signal.SIGCONT)
        assert told.value.retriable
        outbox.close(5)


def test_the_first_record_of_a_topic_waits_as_long_as_others_for_a_broker_that_is_away(
    guarded: LocalKafka, tmp_path: Path
) -> None:
    with alone(guarded, tmp_path, "away", "seldom") as (settings, ownership):
        outbox = KafkaOutbox(settings, "away", topics=["away", "seldom"], connect_timeout=1.0)
        outbox.submit(unit_of("away", "away"), ownership).result(20)
        os.kill(guarded.pid, signal.SIGSTOP)
        try:
            pending = outbox.submit(unit_of("away", "seldom"), ownership)
            time.sleep(2)
        finally:
            os.kill(guarded.pid, signal.SIGCONT)
        pending.result(20)
        outbox.close(5)


def test_a_new_outbox_gets_on_where_brokers_have_forgotten_an_idle_one(
    guarded: LocalKafka, tmp_path: Path
) -> None:
    with alone(guarded, tmp_path, "idle") as (settings, ownership):
        first, unit = KafkaOutbox(settings, "idle"), unit_of("idle", "idle")
        first.submit(unit, ownership).result(20)
        time.sleep(5)
        with pytest.raises(LogError) as told:
            first.submit(unit, ownership).result(20)
        assert (told.value.reason, told.value.retriable) == ("invalid_producer_id_mapping", True)
        first.close(2)
        second = KafkaOutbox(settings, "idle")
        second.submit(unit, ownership).result(20)
        second.close(2)


def test_a_second_outbox_with_the_same_id_fences_the_first(world: KafkaWorld) -> None:
    (reader,) = joined(world.member())
    unit = CommitUnit((), {TopicPartition(world.inputs[0], 0): Committed(0)})
    first = KafkaOutbox(world.settings, "same")
    first.submit(unit, reader.ownership).result(20)
    second = KafkaOutbox(world.settings, "same")
    second.submit(unit, reader.ownership).result(20)
    with pytest.raises(LogError):
        first.submit(unit, reader.ownership).result(20)
    first.close(2)
    second.close(2)


def test_a_record_above_the_topics_limit_surfaces_as_an_error(world: KafkaWorld) -> None:
    name = f"small-{world.results}"
    with KafkaAdmin(world.settings) as admin:
        admin.create([TopicSpec(name, 1, {"max.message.bytes": "2000"})])
    sink = world.sink()
    sink.append(Output(name, b"k", bytes(5000)))
    with pytest.raises(LogError):
        sink.flush()


def test_data_and_address_outlive_a_crash_of_the_broker() -> None:
    with local_kafka() as server:
        world = KafkaWorld(server.bootstrap, 1)
        write(world, [frame(world, b"kept")])
        server.kill()
        server.restart()
        (read,) = world.read_all(world.inputs[0])
        assert read.value == b"kept"
        world.close()
