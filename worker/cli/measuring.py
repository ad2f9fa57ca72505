"""The measurement of encoders in a process of its own.

It needs torch and every runtime, a gigabyte that a process never gives back: the worker only takes
up what is kept on disk.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import yaml

from worker.config import Config
from worker.core.events import Modality
from worker.models.base import Encoder
from worker.models.kept_files import can_keep, kept_directory
from worker.models.settings import Unmeasured
from worker.runtime.assemble import build_encoders

if TYPE_CHECKING:
    from worker.models.bundles.bundle import Bundle

log = structlog.get_logger(__name__)


def measured_encoders(config: Config, bundle: Bundle | None) -> dict[Modality, Encoder]:
    """Return the encoders; where it is not known yet how they run best, let a child find out.

    What the child cannot do is done here. Raises OperatorError as `build_encoders` does.
    """
    if not can_keep(kept_directory(None)):
        return build_encoders(config, bundle)
    try:
        return build_encoders(config, bundle, measures=False)
    except Unmeasured:
        _measure(config)
        return build_encoders(config, bundle)


def _measure(config: Config) -> None:
    """Run `mmworker models show`, which measures what is not kept."""
    log.info("measuring_encoders")
    values = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    with tempfile.TemporaryDirectory(dir=kept_directory(None)) as directory:
        file = Path(directory) / "config.yaml"
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        command = [sys.executable, "-m", "worker", "models", "show", "--config", str(file)]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own command
