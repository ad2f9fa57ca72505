"""Options that several commands share, and how the configuration is read for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from worker.config import Config, Loaded, load
from worker.errors import OperatorError

Backend = Literal["auto", "kafka", "embedded"]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML or TOML file.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Directory for the results.")]
Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", help="Kafka brokers, host:port; overrides the configuration."),
]


def read_config(path: Path | None, overrides: Mapping[str, object] | None = None) -> Loaded:
    """Return the configuration from file, environment and `overrides`. Raises OperatorError."""
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    return load(path, os.environ, given)


def config_of(path: Path | None, overrides: Mapping[str, object] | None = None) -> Config:
    """Return the effective values alone."""
    return read_config(path, overrides).config


def prepare_directory(directory: Path) -> None:
    """Make the directory and see that it can be written. Raises OperatorError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        message = f"{directory} cannot be written ({reason}): give another one with --output."
        raise OperatorError(message) from None
