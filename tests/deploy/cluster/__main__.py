"""Tries the chart on the cluster of KUBECONFIG: `make k8s`.

Each example lives through dry run, install, upgrade, rollback and uninstall in a namespace with Pod
Security `restricted`; KEDA, where it runs, logs in to a real Kafka as each example says, and scales
a release by the lag. Meant for a cluster that may be thrown away, best one of simulated nodes: pods
need not run, and KEDA is to reach this machine's loopback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import typer

from tests.deploy.chart import EXAMPLES
from tests.deploy.cluster.brokers import Brokers, brokers
from tests.deploy.cluster.release import Release
from tests.deploy.cluster.scaling import Scaling
from tests.deploy.cluster.surroundings import claims, clean_up, missing_operator, prepare
from tests.deploy.cluster.tools import Report, require_cluster, runs_keda, tool


def main() -> int:
    """Return 0 where all that was run has passed, and something was run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*EXAMPLES, "scaling"], help="one part")
    given = parser.parse_args()
    for name in ("kubectl", "helm"):
        tool(name)
    require_cluster()
    report = Report()
    prepare()
    try:
        with tempfile.TemporaryDirectory() as directory, brokers(Path(directory)) as found:
            for name in EXAMPLES if given.only is None else {given.only} & set(EXAMPLES):
                _try(name, found, report)
            if given.only in (None, "scaling"):
                _scale(found.bootstrap, report)
    finally:
        clean_up()
    typer.echo(f"{report.passed} passed, {report.failed} failed")
    return 0 if report.passed and not report.failed else 1


def _try(name: str, found: Brokers, report: Report) -> None:
    if (crd := missing_operator(name)) is not None:
        typer.echo(f"not run: {name}, the cluster does not know {crd}")
        return
    Release(name, found.flags(name), [*found.objects(name), *claims(name)]).life(report)


def _scale(bootstrap: str, report: Report) -> None:
    if runs_keda():
        Scaling(bootstrap).run(report)
    else:
        typer.echo("not run: scaling, KEDA does not run in the cluster")


if __name__ == "__main__":
    sys.exit(main())
