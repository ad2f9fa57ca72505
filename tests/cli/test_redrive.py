"""`mmworker dead-letters redrive` on a real Kafka."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.letters import (
    KEY,
    commit,
    config_of,
    dead_letter,
    envelope,
    execute,
    exhausted,
    invoke,
    late_event,
    rows,
)
from tests.e2e.footage import picture
from tests.e2e.site import COMMAND, Site
from worker.adapters.kafka.admin import KafkaAdmin, TopicSpec
from worker.adapters.kafka.transactional_sink import UNKNOWN_OUTCOME, TransactionalSink
from worker.config import KafkaSettings
from worker.core.messages.redrive import ATTEMPT, OF
from worker.core.partitioner import partition_for
from worker.core.ports import LogError, Output
from worker.demo.services import LocalKafka
from worker.errors import Reason

pytestmark = pytest.mark.kafka

SECONDS = 60.0  # of patience
MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(kafka_server: LocalKafka, tmp_path: Path) -> MakeSite:
    return lambda **settings: Site(
        kafka_server,
        tmp_path,
        {name.replace("__", "."): value for name, value in settings.items()},
        partitions=2,
    )


def stocked(site: Site) -> list[Output]:
    """Append some that can go back and some that cannot."""
    letters = [
        dead_letter(site, 0),
        dead_letter(site, 1, Reason.TIME_AHEAD, kind="caption", value=b"A dog."),
        dead_letter(site, 2, Reason.TOO_LARGE, value=b"123456", cap=5),
        exhausted(site, 3),
        dead_letter(site, 4, more=((ATTEMPT, b"2"), (OF, b"late"), ("x", None))),
        Output(site.config.topics.dead_letters, KEY, b"bare", (), 1),
    ]
    commit(site, letters)
    return letters


def inputs(site: Site) -> list[Output]:
    """Return what is in the input topics, by topic and offset."""
    return [
        Output(record.topic, record.key, record.value, record.headers, record.partition)
        for topic in site.inputs.values()
        for record in site.read(topic)
    ]


def put_back(attempt: int, of: str = "dead-letter") -> tuple[tuple[str, bytes], ...]:
    return ((ATTEMPT, str(attempt).encode()), (OF, of.encode()))


def ids(found: list[Output]) -> Counter[str]:
    return Counter((dict(output.headers)["ce_id"] or b"").decode() for output in found)


def test_records_go_back_to_their_topics_as_they_were_and_say_how_often(
    make_site: MakeSite,
) -> None:
    site = make_site()
    stocked(site)
    frames, captions = site.inputs["frame"], site.inputs["caption"]
    done = execute(site, "redrive", "--yes")
    assert done.returncode == 0
    assert done.stdout == (
        f"3 put back ({frames} 2, {captions} 1),"
        " 3 skipped (value_not_kept 1, max_attempts 1, no_input_topic 1);"
        " go on with --partition 0 --from-offset 6, --partition 1 --from-offset 2\n"
    )
    home = partition_for(KEY, 2, "murmur2")
    third = (*envelope(4), ("x", None), *put_back(3))
    assert inputs(site) == [
        Output(frames, KEY, picture(0), (*envelope(0), *put_back(1)), home),
        Output(frames, KEY, picture(4), third, home),
        Output(captions, KEY, b"A dog.", (*envelope(1, "caption"), *put_back(1)), home),
    ]


def test_going_on_where_it_ended_does_nothing_again(make_site: MakeSite) -> None:
    site = make_site()
    stocked(site)
    execute(site, "redrive", "--yes")
    again = execute(site, "redrive", "--yes", "--partition", 0, "--from-offset", 6)
    assert again.returncode == 0
    assert again.stdout == "0 put back, 0 skipped; go on with --partition 0 --from-offset 6\n"
    assert len(inputs(site)) == 3


def test_late_events_go_back_and_say_so(make_site: MakeSite) -> None:
    site = make_site()
    site.send([[late_event(site, 7)]])
    assert execute(site, "redrive", "--late", "--yes").returncode == 0
    (output,) = inputs(site)
    assert output.topic == site.inputs["audio"]
    assert output.value == b"sound"
    assert output.headers == (*envelope(7, "audio"), *put_back(1, "late"))


def test_a_dry_run_tells_what_would_happen_and_does_nothing(make_site: MakeSite) -> None:
    site = make_site()
    stocked(site)
    home = partition_for(KEY, 2, "murmur2")
    plain = execute(site, "redrive", "--dry-run", "--limit", 3)
    assert plain.stdout.splitlines() == [
        f"0:0 -> {site.inputs['frame']} {home}, attempt 1",
        f"0:1 -> {site.inputs['caption']} {home}, attempt 1",
        "0:2 skipped: value_not_kept",
        f"2 would be put back ({site.inputs['frame']} 1, {site.inputs['caption']} 1), 1 skipped"
        " (value_not_kept 1); go on with --partition 0 --from-offset 3,"
        " --partition 1 --from-offset 0",
    ]
    found = rows(execute(site, "redrive", "--dry-run", "--json", "--max-attempts", 9).stdout)
    to = {"topic": site.inputs["frame"], "partition": home}
    assert found[3] == {"partition": 0, "offset": 3, "to": to, "attempt": 4}
    assert found[-1]["dry_run"] is True
    assert found[-1]["from_offsets"] == {"0": 6, "1": 2}
    assert inputs(site) == []


def test_records_without_a_partitioner_go_back_to_their_partition(make_site: MakeSite) -> None:
    site = make_site(kafka__partitioner="any")
    other = b"/cameras/b" if partition_for(KEY, 2, "murmur2") == 0 else KEY
    assert partition_for(other, 2, "murmur2") == 1
    site.send([[dead_letter(site, 0, Reason.KEY_MISMATCH, key=other)]])
    assert execute(site, "redrive", "--yes").returncode == 0
    assert [output.partition for output in inputs(site)] == [0]


def test_a_record_of_the_wrong_partition_goes_where_its_key_belongs(make_site: MakeSite) -> None:
    site = make_site()
    other = b"/cameras/b" if partition_for(KEY, 2, "murmur2") == 0 else KEY
    site.send([[dead_letter(site, 0, Reason.WRONG_PARTITION, key=other)]])
    assert execute(site, "redrive", "--yes").returncode == 0
    assert [output.partition for output in inputs(site)] == [1]


def test_only_what_is_chosen_goes_back(make_site: MakeSite) -> None:
    site = make_site()
    stocked(site)
    done = execute(site, "redrive", "--yes", "--json", "--reason", "time_ahead")
    assert json.loads(done.stdout)["put_back"] == {site.inputs["caption"]: 1}
    assert ids(inputs(site)) == Counter(["caption-1"])


def test_each_transaction_has_at_most_a_hundred_records(make_site: MakeSite) -> None:
    site = make_site()
    commit(site, [dead_letter(site, number) for number in range(250)])
    assert execute(site, "redrive", "--yes", "--rate", 100_000).returncode == 0
    (partition,) = {output.partition for output in inputs(site)}
    end = next(
        end for place, end in site.ends().items() if place == (site.inputs["frame"], partition)
    )
    assert len(inputs(site)) == 250
    assert end == 250 + 3  # the end of each transaction takes an offset


def test_an_interrupted_redrive_goes_on_where_it_stopped(make_site: MakeSite) -> None:
    site = make_site()
    commit(site, [dead_letter(site, number) for number in range(40)])
    process = begin(site, "redrive", "--yes", "--rate", 4)
    await_inputs(site, 8)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, stderr
    assert "mmworker: stopped by a signal" in stderr
    done = len(inputs(site))
    assert 8 <= done < 40
    assert stdout.startswith(f"{done} put back ")
    match = re.search(r"--partition 0 --from-offset (\d+)", stdout)
    assert match
    rest = execute(
        site, "redrive", "--yes", "--rate", 100, "--partition", 0, "--from-offset", match.group(1)
    )
    assert rest.stdout.startswith(f"{40 - done} put back ")
    assert ids(inputs(site)) == Counter(f"frame-{number}" for number in range(40))


def test_a_killed_redrive_leaves_whole_batches_and_readers_do_not_wait_for_its_rest(
    make_site: MakeSite,
) -> None:
    site = make_site()
    commit(site, [dead_letter(site, number) for number in range(60)])
    process = begin(site, "redrive", "--yes", "--rate", 10)
    await_inputs(site, 10)
    process.kill()
    process.communicate()
    done = len(inputs(site))
    assert done % 10 == 0
    again = execute(site, "redrive", "--yes", "--limit", 1)
    assert again.returncode == 0
    assert len(inputs(site)) == done + 1


def test_a_second_redrive_of_the_topic_ends_the_first(make_site: MakeSite) -> None:
    site = make_site()
    commit(site, [dead_letter(site, number) for number in range(3)])
    name = f"{site.config.kafka.group_id}-redrive-{site.config.topics.dead_letters}"
    with TransactionalSink(site.config.kafka, name, max_record_bytes=10**6) as first:
        assert execute(site, "redrive", "--yes", "--limit", 1).returncode == 0
        with pytest.raises(LogError, match="another one like this has begun") as told:
            first.append([Output(site.inputs["frame"], KEY, b"x", (), 0)])
    assert told.value.reason == "fenced"
    assert ids(inputs(site)) == Counter(["frame-0"])


def test_what_a_topic_refuses_ends_the_run_and_nothing_of_its_batch_is_seen(
    kafka_server: LocalKafka, make_site: MakeSite
) -> None:
    frames = f"narrow-{uuid.uuid4().hex[:8]}"
    with KafkaAdmin(KafkaSettings(bootstrap_servers=kafka_server.bootstrap)) as admin:
        admin.create([TopicSpec(frames, 2, {"max.message.bytes": "20000"}, 1)])
    site = make_site(topics__frames=frames)
    good = [dead_letter(site, number) for number in range(5)]
    commit(site, [*good, dead_letter(site, 5, value=bytes(20_000))])
    done = execute(site, "redrive", "--yes", "--rate", 4)
    assert done.returncode == 1
    assert "mmworker: nothing of the last batch was put back" in done.stderr
    assert "--partition 0 --from-offset 4," in done.stdout
    assert ids(inputs(site)) == Counter(f"frame-{number}" for number in range(4))


def test_a_broker_that_does_not_answer_ends_a_batch_that_is_then_seen_by_nobody(
    kafka_server: LocalKafka, make_site: MakeSite
) -> None:
    site = make_site()
    output = Output(site.inputs["frame"], KEY, b"x", (), 0)
    sink = TransactionalSink(site.config.kafka, "s", max_record_bytes=10**6, commit_timeout=4)
    with sink:
        sink.append([output])
        os.kill(kafka_server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(LogError) as told:
                sink.append([output])
        finally:
            os.kill(kafka_server.pid, signal.SIGCONT)
    assert told.value.reason != UNKNOWN_OUTCOME
    with TransactionalSink(site.config.kafka, "s", max_record_bytes=10**6) as sink:
        sink.append([output])  # readers wait for nothing
    assert len(inputs(site)) == 2


def test_a_commit_that_is_not_waited_for_long_enough_has_an_unknown_outcome(
    make_site: MakeSite,
) -> None:
    site = make_site()
    with (
        TransactionalSink(
            site.config.kafka, "s", max_record_bytes=10**6, commit_timeout=1e-6
        ) as sink,
        pytest.raises(LogError) as told,
    ):
        sink.append([Output(site.inputs["frame"], KEY, b"x", (), 0)])
    assert told.value.reason == UNKNOWN_OUTCOME


@pytest.mark.parametrize(("answer", "code", "count"), [("y", 0, 3), ("n", 1, 0)])
def test_on_a_terminal_it_asks_before_it_writes(
    make_site: MakeSite, answer: str, code: int, count: int
) -> None:
    site = make_site()
    stocked(site)
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, "dead-letters", "redrive", *config_of(site)],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(ours, f"{answer}\n".encode())
        _, stderr = process.communicate(timeout=SECONDS)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == code
    assert "3 records to put back" in stderr
    assert len(inputs(site)) == count


def test_nothing_to_put_back_is_no_fault_and_asks_nothing(make_site: MakeSite) -> None:
    site = make_site()
    result = invoke(site, "redrive", "--yes")
    assert result.exit_code == 0
    assert result.stdout.startswith("0 put back, 0 skipped; ")


def begin(site: Site, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "dead-letters", *map(str, arguments), *config_of(site)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def await_inputs(site: Site, records: int) -> None:
    deadline = time.monotonic() + SECONDS
    while len(inputs(site)) < records:
        assert time.monotonic() < deadline
        time.sleep(0.1)
