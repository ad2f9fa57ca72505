"""The CPU seconds of this process with one encoder made ready, imports included.

`python -m tests.benchmarks.start NAME MODALITY RUNTIME CACHE`; nothing else is imported here.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import cast

from worker.core.events import Modality
from worker.models.plan import Runtime
from worker.models.registry import build
from worker.models.settings import ModelSettings


def main(name: str, modality: str, runtime: str, cache: str) -> None:
    """Make the encoder ready, float32 on one thread, and write the seconds to stdout."""
    way = cast("Runtime", runtime)
    settings = ModelSettings("cpu", "float32", way, 1, 1, cache_directory=Path(cache))
    build(name, Modality(modality), settings)
    sys.stdout.write(str(time.process_time()))


if __name__ == "__main__":
    main(*sys.argv[1:])
