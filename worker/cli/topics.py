"""`mmworker topics`: plan, make the topics as the worker needs them, and check them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.offsets import Target, move_offsets
from worker.adapters.kafka.topic_checks import check_topics, inputs, specs, unlike
from worker.cli.options import AsJson, Bootstrap, ConfigFile, config_of
from worker.cli.topics_plan import plan
from worker.core.ports import TopicPartition
from worker.errors import OperatorError

app = typer.Typer(help="Plan, create and check the Kafka topics.", no_args_is_help=True)
app.command("plan")(plan)


@app.command("create")
def create(
    partitions: Annotated[int, typer.Option(min=1, max=100_000, help="Of every topic.")] = 6,
    replication_factor: Annotated[
        int, typer.Option(min=-1, help="-1: as the cluster does by default.")
    ] = -1,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Fail where an input has another number of partitions."),
    ] = False,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Create the topics that are missing; existing ones are left as they are."""
    effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    largest = effective.limits.max_record_bytes
    with KafkaAdmin(effective.kafka) as admin:
        wanted = specs(effective.topics, partitions, largest, replication_factor)
        before = admin.describe(spec.name for spec in wanted)
        if exact and (other := unlike(effective.topics, before, partitions)):
            raise OperatorError("; ".join(finding.sentence for finding in other))
        admin.create(wanted)
        for spec in wanted:
            count = before[spec.name].partitions if spec.name in before else spec.partitions
            state = "exists" if spec.name in before else "created"
            typer.echo(f"{spec.name}: {state}, {count} partitions")


@app.command("offsets")
def offsets(
    to: Annotated[Target, typer.Option(help="committed: stay there, with a state of nothing.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Let a stopped group begin anew: its sources warm up again, open windows are read again."""
    effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    with KafkaAdmin(effective.kafka) as admin:
        found = admin.describe((*inputs(effective.topics), effective.topics.feedback))
    group = effective.kafka.group_id
    if not yes:
        typer.confirm(f"Give up the state of group {group} and begin at {to}?", abort=True)
    partitions = [
        TopicPartition(name, index)
        for name, topic in found.items()
        for index in range(topic.partitions)
    ]
    for each, offset in move_offsets(effective.kafka, partitions, to).items():
        typer.echo(f"{each.topic}-{each.partition}: {offset}")


@app.command("check")
def check(config: ConfigFile = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Say what is wrong with the topics; exit 1 where the worker would not start."""
    effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    with KafkaAdmin(effective.kafka) as admin:
        findings = check_topics(admin, effective.topics, effective.limits.max_record_bytes)
    if as_json:
        rows = [{"severity": each.severity, "finding": each.sentence} for each in findings]
        typer.echo(json.dumps(rows, indent=2))
    else:
        for each in findings:
            typer.echo(f"{each.severity}: {each.sentence}")
        if not findings:
            typer.echo("The topics are fine.")
    if any(each.severity == "error" for each in findings):
        raise typer.Exit(1)
