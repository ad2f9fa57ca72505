"""Replays one seed, or runs many on all cores."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.check import check
from tests.simulation.many import processes, run_many
from tests.simulation.plan import Fault
from worker.runtime import logs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="replay this one and tell its story")
    parser.add_argument("--calm", action="store_true", help="without faults")
    parser.add_argument("--seeds", type=int, default=0, help="run so many, from 0 on")
    options = parser.parse_args()
    logs.configure("error", "json")
    if options.seed is not None:
        checked = check(options.seed, () if options.calm else tuple(Fault))
        sys.stdout.write(checked.story + "\n")
        return 1 if checked.findings else 0
    with processes() as pool:
        total = run_many(range(options.seeds), pool, progress=_show)
    sys.stdout.write("\n" + total.summary() + "\n")
    return 1 if total.failed else 0


def _show(text: str) -> None:
    sys.stderr.write(f"\r{text}")


if __name__ == "__main__":
    sys.exit(main())
