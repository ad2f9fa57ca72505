"""`mmworker run` whose producer goes through a proxy, and whose decoder can be made slow.

    python -m tests.bounds.worker_process CONFIG --proxy http://127.0.0.1:1234 --slow-while FILE

All else is the real thing. `--small` has small honest encoders in place of the shipped models.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kafka import KafkaProducer

from tests.runtime.builders import encoders
from worker.adapters.kafka import transactions
from worker.cli import run, service
from worker.core.events import Event, Modality
from worker.errors import FailedRunError, OperatorError
from worker.media import gathering
from worker.media.decode import decode
from worker.media.limits import Limits

SLOW_SECONDS = 2.0  # per frame


def behind(proxy: str) -> Callable[..., Any]:
    """Return what makes the client's producer, connected through a proxy."""

    def make(**configs: Any) -> Any:
        return KafkaProducer(**(configs | {"proxy_url": proxy}))

    return make


def slow_while(file: Path) -> Callable[[Event, Limits, int], Any]:
    """Return a decoder that takes its time for a frame while there is such a file."""

    def decode_slowly(event: Event, limits: Limits, side: int) -> Any:
        if event.modality is Modality.FRAME and file.exists():
            time.sleep(SLOW_SECONDS)
        return decode(event, limits, side)

    return decode_slowly


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--proxy", required=True, metavar="URL", help="for the producer")
    parser.add_argument("--slow-while", type=Path, required=True, metavar="FILE")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    with ExitStack() as patches:
        for target, name, value in (
            (transactions, "KafkaProducer", behind(options.proxy)),
            (gathering, "decode", slow_while(options.slow_while)),
        ):
            patches.enter_context(patch.object(target, name, value))
        if options.small:
            patches.enter_context(patch.object(service, "measured_encoders", lambda *_: encoders()))
        try:
            run.run(options.config)
        except (OperatorError, FailedRunError) as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
