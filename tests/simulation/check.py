"""One seed from its plan to its findings, as text that a failing test or the console shows."""

from __future__ import annotations

import hashlib
import traceback
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.audit import Finding, audit
from tests.simulation.plan import Fault, Plan, plan
from tests.simulation.play import play
from tests.simulation.reading import read
from tests.simulation.reference import replay
from tests.simulation.run import OUTPUTS, Run

SHOWN = 12  # findings, of perhaps hundreds that have one cause


@dataclass(frozen=True)
class Checked:
    """What became of one seed. `counts` says what it had in it; `digest` names its outputs."""

    seed: int
    findings: tuple[Finding, ...]
    counts: Counter[str]
    digest: str
    story: str = field(repr=False)

    @property
    def rules(self) -> frozenset[str]:
        return frozenset(finding.rule for finding in self.findings)


def check(seed: int, kinds: tuple[Fault, ...] = tuple(Fault)) -> Checked:
    """Play a seed with faults of these kinds, replay it without, and audit it."""
    planned = plan(seed, kinds)
    try:
        run = play(planned)
    except Exception as error:  # one that ends a worker for good is a finding like any other
        story = f"seed {seed}: {planned}\n{traceback.format_exc()}"
        finding = Finding(type(error).__name__, f"a worker ended: {error}")
        return Checked(seed, (finding,), Counter(), "", story)
    found = read(run.log)
    reference = replay(planned, run, found)
    findings = tuple(audit(planned, run, found, reference))
    lines = [
        f"seed {seed}: {planned}",
        *(f"  {step}" for step in run.steps),
        f"{len(findings)} findings:",
        *(f"  {finding.rule}: {finding.text[:400]}" for finding in findings[:SHOWN]),
        f"replay with: python -m tests.simulation {seed}{'' if kinds else ' --calm'}",
    ]
    return Checked(seed, findings, _counts(planned, run), _digest(run), "\n".join(lines))


def _counts(planned: Plan, run: Run) -> Counter[str]:
    counts = Counter({topic: len(run.log.read_all(topic)) for topic in OUTPUTS})
    inputs = ("frames", "captions", "audio")
    counts["events"] = sum(len(run.log.read_all(topic)) for topic in inputs)
    counts.update({f"fault: {fault}": number for fault, number in run.faults.items()})
    observations = [one.value or b"" for one in run.log.read_all("observations")]
    warm = [value for value in observations if b'"warming_up":false' in value]
    counts["words heeded"] = sum(value.count(b'"effect":') for value in observations)
    counts["texts of speech"] = sum(b'"from":"audio"' in value for value in observations)
    counts["speech not understood"] = sum(b"speech:failed" in value for value in observations)
    counts["judged in shadow"] = sum(b'"bundle":' in value for value in observations)
    counts["alerts in shadow"] = sum(map(_opens_in_shadow, observations))
    counts["frames reused"] = sum(b'"reused":' in value for value in observations)
    counts["drains"] = 1 if run.drained else 0
    counts["bundles promoted"] = 1 if run.drained and planned.promotes else 0
    counts["warm observations"] = len(warm)
    return counts


def _opens_in_shadow(observation: bytes) -> bool:
    return b'"shadow":{"kind":"open"' in observation


def _digest(run: Run) -> str:
    digest = hashlib.sha256()
    for topic in ("observations", "alerts"):
        for record in run.log.read_all(topic):
            digest.update(record.value or b"")
    return digest.hexdigest()
