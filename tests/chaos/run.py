"""The chaos proof: `make chaos`; `python -m tests.chaos.run --help` tells what can be chosen."""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.auditor import Finding
from tests.chaos.driver import AS_OF, STRICT, Chaos, Recovery, Setup, begin, chaos
from tests.chaos.faults import FAULTS, KILLS, OTHERS, apply

_OTHERS_EVERY = 4  # kills of each kind for one more round of all other faults


@dataclass(frozen=True)
class Result:
    """What a run has found."""

    seed: int
    kills: int
    seconds: float
    recoveries: Sequence[Recovery]
    ended: Sequence[str]
    findings: Sequence[Finding]

    @property
    def holds(self) -> bool:
        return all(finding.holds for finding in self.findings)

    def lines(self) -> list[str]:
        """Return the report: recovery times by fault, ends of workers, invariants."""
        return [
            *_recovery_lines(self.recoveries),
            *(f"a worker ended by itself: {each}" for each in self.ended),
            *(line for finding in self.findings for line in finding.lines()),
            f"seed {self.seed}: {self.kills} kills, {len(self.recoveries)} faults,"
            f" {self.seconds:.0f} s: {'all invariants hold' if self.holds else 'VIOLATED'}",
        ]

    def document(self) -> dict[str, object]:
        """Return the same for programs."""
        return {
            "seed": self.seed,
            "kills": self.kills,
            "seconds": round(self.seconds, 1),
            "holds": self.holds,
            "recoveries": [{"fault": r.fault, "seconds": r.seconds} for r in self.recoveries],
            "ended": list(self.ended),
            "findings": [
                {
                    "invariant": finding.invariant,
                    "looked_at": finding.looked_at,
                    "violations": list(finding.violations),
                }
                for finding in self.findings
            ],
        }


def schedule(seed: int, kills: int, only: Sequence[str]) -> list[str]:
    """Return the faults in their order: `kills` kills of all kinds, others in between.

    >>> len([name for name in schedule(1, 100, []) if name in KILLS])
    100
    """
    chosen = [name for name in KILLS if not only or name in only]
    others = [name for name in OTHERS if not only or name in only]
    deaths = [chosen[number % len(chosen)] for number in range(kills)] if chosen else []
    rounds = max(1, kills // (len(KILLS) * _OTHERS_EVERY))
    faults = [*deaths, *(others * rounds)]
    random.Random(seed).shuffle(faults)
    return faults


def perform(setup: Setup, faults: Sequence[str], directory: Path, minutes: float) -> Result:
    """Run it all; faults that are not begun within `minutes` are left out."""
    began = time.monotonic()

    def tell(text: str) -> None:
        _say(f"{time.monotonic() - began:7.1f} s  {text}")

    with chaos(setup, directory, tell) as run:
        begin(run)
        _harm(run, faults, began + 60 * minutes)
        findings = run.audit()
        ended = time.monotonic() - began
        return Result(setup.seed, run.crew.kills, ended, run.recoveries, run.crew.ended, findings)


def _harm(run: Chaos, faults: Sequence[str], until: float) -> None:
    for number, name in enumerate(faults):
        if time.monotonic() > until:
            run.tell(f"time is up: {len(faults) - number} faults are left out")
            return
        apply(run, name)


def _recovery_lines(recoveries: Sequence[Recovery]) -> list[str]:
    lines = []
    for name in dict.fromkeys(each.fault for each in recoveries):
        times = sorted(r.seconds for r in recoveries if r.fault == name and r.seconds is not None)
        if times:
            middle = times[len(times) // 2]
            lines.append(
                f"{name}: {len(times)} times, recovered in {middle:.1f} s (median),"
                f" {times[-1]:.1f} s (longest)"
            )
    return lines


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 100_000)
    parser.add_argument("--kills", type=int, default=102, help="of workers, all kinds together")
    parser.add_argument("--minutes", type=float, default=90, help="after which no fault begins")
    parser.add_argument("--only", action="append", default=[], choices=[*FAULTS, "none"])
    parser.add_argument("--workers", type=int, default=3, help="one without faults is a control")
    parser.add_argument("--as-of-captions", action="store_true", help="do not wait for captions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go")
    options = parser.parse_args(arguments)
    faults = schedule(options.seed, options.kills, options.only)
    _say(f"seed {options.seed}: {len(faults)} faults")
    logging.getLogger("worker").addHandler(logging.NullHandler())  # the broker's deaths are ours
    awaited = AS_OF if options.as_of_captions else STRICT
    setup = Setup(options.seed, workers=options.workers, awaited=awaited)
    with tempfile.TemporaryDirectory(prefix="mmworker-chaos-") as directory:
        result = perform(setup, faults, Path(directory), options.minutes)
    _say("\n".join(result.lines()))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result.document(), indent=2), encoding="utf-8")
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
