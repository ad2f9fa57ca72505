"""Writes `deploy/helm/files/alerts.yaml` and `dashboard.json`: `make monitoring`.

Without Helm: `python -m deploy.monitoring --output DIR --runbook-url URL`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.monitoring import runbook
from deploy.monitoring.alerts import alerts
from deploy.monitoring.dashboard import as_json
from deploy.monitoring.pace import Pace
from deploy.monitoring.recordings import recordings
from deploy.monitoring.rules import as_yaml, rules_file

FILES = Path(__file__).parents[1] / "helm" / "files"
COMMAND = "make monitoring"


def rules_text(pace: Pace, runbook_url: str = runbook.BASE) -> str:
    """Return the rules file at a pace."""
    return as_yaml(rules_file(recordings(pace), alerts(pace), runbook_url), COMMAND)


def documents(runbook_url: str = runbook.BASE) -> dict[str, str]:
    """Return the generated files by name."""
    return {"alerts.yaml": rules_text(Pace(), runbook_url), "dashboard.json": as_json(runbook_url)}


def main(arguments: list[str] | None = None) -> None:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m deploy.monitoring")
    parser.add_argument("--output", type=Path, default=FILES, help="directory to write to")
    parser.add_argument(
        "--runbook-url", default=runbook.BASE, help="where your people read deploy/RUNBOOK.md"
    )
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, text in documents(options.runbook_url).items():
        (options.output / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
