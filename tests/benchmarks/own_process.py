"""Measures in a process of its own, so that nothing of what was measured before is left in it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from worker.errors import FailedRunError


def told_by(module: str, *arguments: str) -> Any:
    """Return what a module, run as a program, writes to stdout as JSON. Raises FailedRunError."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedRunError(f"{' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)
