"""A run that is to be killed: python -m tests.training.killed DIRECTORY."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.training.builders import training

if __name__ == "__main__":
    run = training(Path(sys.argv[1]), between=0)
    run.progress = lambda done: print(done, flush=True)  # noqa: T201 - told to the test
    run.run()
