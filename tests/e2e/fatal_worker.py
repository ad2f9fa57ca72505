"""`mmworker run` with small honest encoders and a decoder that aborts the process over one content.

python -m tests.e2e.fatal_worker --config CONFIG
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.runtime.builders import encoders
from worker.cli import run, service
from worker.core.events import Event
from worker.media.decode import decode
from worker.media.limits import Limits

FATAL = b"this ends the process"  # behind the picture


def main() -> None:
    def abort_over(event: Event, limits: Limits, side: int) -> Any:
        if event.payload.endswith(FATAL):
            os.abort()  # as a native library does, beyond any handler
        return decode(event, limits, side)

    with (
        patch("worker.media.gathering.decode", abort_over),
        patch.object(service, "measured_encoders", lambda *_: encoders()),
    ):
        run.run(Path(sys.argv[sys.argv.index("--config") + 1]))


if __name__ == "__main__":
    main()
