"""`mmworker replay`: what other settings would have decided about what was seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.letter_options import time_option
from worker.cli.observed import from_file, from_topic, kafka_failures
from worker.cli.options import AsJson, Bootstrap, ConfigFile, config_of
from worker.config import Config, meaning
from worker.core.messages import Observation
from worker.errors import OperatorError

Observed = Callable[[], Iterator[Observation]]


def replay(
    other: Annotated[
        Path | None,
        typer.Option(
            "--with",
            help="Configuration to decide by, YAML or TOML file; none: what was in shadow, as it is"
            " on record.",
        ),
    ] = None,
    observations: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines that demo or analyze wrote; none: the topic.", dir_okay=False
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Print the alerts of this source only.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Alerts that opened at this event time or after it, RFC 3339."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Alerts that opened before this time.")] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Decide anew from stored Observations under two configurations, and print the difference.

    They may have different bundles: Observations keep what those were fitted on. All Observations
    are read, since what is usual is learned from the beginning.
    """
    running = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    changed = None
    if other is not None:
        changed = config_of(other, {"kafka.bootstrap_servers": bootstrap})
        _refuse_other_meaning(running, changed)
    begin, end = time_option("--since", since), time_option("--until", until)
    from worker.cli.replay_run import Wanted, compare_shadow, report, run_replay

    with kafka_failures(), _observed(running, observations) as observed:
        if changed is None:
            compared = compare_shadow(observed(), running)
        else:
            compared = run_replay(observed, running, changed)
    wanted = Wanted(source, begin, end)
    if as_json:
        typer.echo(json.dumps(compared.document(wanted), indent=2, ensure_ascii=False))
    else:
        report(compared, wanted)


@contextmanager
def _observed(config: Config, path: Path | None) -> Iterator[Observed]:
    if path is not None:
        yield lambda: from_file(path)
        return
    from worker.adapters.kafka.reading import TopicReader

    with TopicReader(config.kafka) as reader:
        yield lambda: from_topic(reader, config)


def _refuse_other_meaning(running: Config, changed: Config) -> None:
    before, after = meaning(running), meaning(changed)
    differing = [
        key
        for key, value in before.items()
        if not key.startswith("scoring.") and key != "models.bundle" and after[key] != value
    ]
    if differing:
        raise OperatorError(
            f"a replay decides about what was seen, which {', '.join(differing)} would change:"
            " only scoring and models.bundle may differ between the two configurations."
        )
    if running.models.bundle and not changed.models.bundle:
        raise OperatorError(
            "a replay cannot go back to fusion as shipped, which needs more than Observations keep:"
            " name a bundle in the other configuration too."
        )
