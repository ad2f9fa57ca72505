"""Tries the chart on the cluster of KUBECONFIG: `make k8s`.

Each example lives through dry run, install, upgrade, rollback and uninstall in a namespace with Pod
Security `restricted`; KEDA then scales a release by the lag on a real Kafka. Meant for a cluster
that may be thrown away, best one of simulated nodes: pods need not run.
"""

from __future__ import annotations

import argparse
import sys

import typer

from tests.deploy.chart import EXAMPLES
from tests.deploy.cluster.release import Release
from tests.deploy.cluster.scaling import Scaling
from tests.deploy.cluster.surroundings import clean_up, missing_operator, prepare
from tests.deploy.cluster.tools import Report, has_kind, require_cluster, tool
from worker.demo.services import local_kafka


def main() -> int:
    """Return 0 where all that was run has passed, and something was run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", help="brokers that KEDA reaches; none: one on loopback")
    parser.add_argument("--only", choices=[*EXAMPLES, "scaling"], help="one part")
    given = parser.parse_args()
    for name in ("kubectl", "helm"):
        tool(name)
    require_cluster()
    report = Report()
    prepare()
    try:
        for name in EXAMPLES if given.only is None else {given.only} & set(EXAMPLES):
            _try(name, report)
        if given.only in (None, "scaling"):
            _scale(given.kafka, report)
    finally:
        clean_up()
    typer.echo(f"{report.passed} passed, {report.failed} failed")
    return 0 if report.passed and not report.failed else 1


def _try(name: str, report: Report) -> None:
    if (crd := missing_operator(name)) is not None:
        typer.echo(f"not run: {name}, the cluster does not know {crd}")
        return
    Release(name).life(report)


def _scale(brokers: str | None, report: Report) -> None:
    if not has_kind("scaledobjects.keda.sh"):
        typer.echo("not run: scaling, the cluster does not know scaledobjects.keda.sh")
    elif brokers is not None:
        Scaling(brokers).run(report)
    else:
        with local_kafka() as server:
            Scaling(server.bootstrap).run(report)


if __name__ == "__main__":
    sys.exit(main())
