"""`mmworker feedback` and `mmworker learn-anew`: a person's word, into the feedback topic."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from worker.adapters.kafka.reading import TopicReader
from worker.adapters.kafka.sink import KafkaSink
from worker.cli.observed import kafka_failures
from worker.cli.options import Bootstrap, ConfigFile, config_of
from worker.config import Config
from worker.core.envelope import MAX_NAME_CHARS
from worker.core.messages import Alert, Feedback, Label, output_headers, read_alert, to_json
from worker.core.messages.feedback import MAX_AUTHOR, MAX_COMMENT
from worker.core.partitioner import partition_for
from worker.core.ports import Output
from worker.errors import OperatorError

_ID = re.compile(r"[0-9a-f]{32}")
Who = Annotated[str | None, typer.Option(help="A pseudonym, for the audit.")]
Comment = Annotated[str | None, typer.Option(help="For people.")]


def feedback(
    alert: Annotated[str, typer.Argument(metavar="ALERT_ID", help="As report and alerts have it.")],
    verdict: Annotated[Label, typer.Option(help="What the alert was about.")],
    who: Who = None,
    comment: Comment = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Say whether an alert was about something normal or an anomaly."""
    if not _ID.fullmatch(alert):
        raise OperatorError(f"{alert!r} is no alert id: give the 32 hexadecimal digits of one.")
    _check_texts(who, comment)
    effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    with kafka_failures():
        opened = _opened(effective, alert)
        said = Feedback(
            source=opened.source,
            label=verdict,
            time=time.time_ns() // 1000,
            alert_id=alert,
            observation_id=opened.evidence.observation_id,
            author=who,
            comment=comment,
        )
        _send(effective, said, [each.partition for each in opened.inputs])
    typer.echo(
        f"{verdict} was said about the alert of {opened.source}"
        f" (observation {opened.evidence.observation_id})"
    )


def learn_anew(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As ce_source has it.")],
    who: Who = None,
    comment: Comment = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Let what is usual for a source be learned anew, as after a camera was moved."""
    if not 1 <= len(source) <= MAX_NAME_CHARS:
        raise OperatorError(f"SOURCE must have from 1 to {MAX_NAME_CHARS} characters.")
    _check_texts(who, comment)
    effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    if effective.kafka.partitioner == "any":
        raise OperatorError(
            "with kafka.partitioner any nobody can tell which partition the source is in: name one"
            " of its alerts, mmworker feedback ALERT_ID --verdict learn_anew"
        )
    now = time.time_ns() // 1000
    said = Feedback(source, "learn_anew", now, author=who, comment=comment)
    with kafka_failures():
        with TopicReader(effective.kafka) as reader:
            _check_topic(reader, "feedback", effective.topics.feedback)
        _send(effective, said, ())
    typer.echo(f"{source} is learned anew from its next Moment on")


def _check_texts(who: str | None, comment: str | None) -> None:
    for option, text, most in (("--who", who, MAX_AUTHOR), ("--comment", comment, MAX_COMMENT)):
        if text is not None and not 1 <= len(text) <= most:
            raise OperatorError(f"{option} must have from 1 to {most} characters.")


def _check_topic(reader: TopicReader, key: str, topic: str) -> None:
    """Raise OperatorError where there is no such topic."""
    if not reader.partitions(topic):
        raise OperatorError(
            f"there is no topic {topic}: check topics.{key} and kafka.bootstrap_servers,"
            " or run `mmworker topics create`"
        )


def _opened(config: Config, alert_id: str) -> Alert:
    """Return the message that opened an alert. Raises OperatorError."""
    topics = config.topics
    with TopicReader(config.kafka) as reader:
        for key, topic in (("alerts", topics.alerts), ("feedback", topics.feedback)):
            _check_topic(reader, key, topic)
        wanted = alert_id.encode()
        for record in reader.read_all(topics.alerts):
            if record.value is not None and wanted in record.value:
                found = _alert(record.value)
                if found is not None and found.alert_id == alert_id and found.type == "open":
                    return found
    raise OperatorError(f"topic {topics.alerts} has no alert {alert_id}: it is unknown or too old.")


def _alert(value: bytes) -> Alert | None:
    """Return the Alert, or None: others may write to the topic too."""
    try:
        return read_alert(value)
    except ValueError:
        return None


def _send(config: Config, said: Feedback, places: Sequence[int]) -> None:
    """Append it where its source's records are: whoever reads those reads it.

    `places` are partitions in which records of the source were, for want of a partitioner.
    """
    headers = output_headers("feedback", said.message_id, said.source, said.time, None)
    key, partitioner = said.source.encode(), config.kafka.partitioner
    if partitioner == "any":
        partition = next(iter(places), None)
    else:
        with TopicReader(config.kafka) as reader:
            count = len(reader.partitions(config.topics.feedback))
        partition = partition_for(key, count, partitioner)
    sink = KafkaSink(config.kafka)
    try:
        sink.append(Output(config.topics.feedback, key, to_json(said), headers, partition))
        sink.flush()
    finally:
        sink.close()
