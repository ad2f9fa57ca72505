"""Writes `deploy/helm/files/alerts.yaml` and `dashboard.json`: `make monitoring`."""

from __future__ import annotations

from pathlib import Path

from deploy.monitoring.alerts import alerts
from deploy.monitoring.dashboard import as_json
from deploy.monitoring.pace import Pace
from deploy.monitoring.recordings import recordings
from deploy.monitoring.rules import as_yaml, rules_file

FILES = Path(__file__).parents[1] / "helm" / "files"
COMMAND = "make monitoring"


def rules_text(pace: Pace) -> str:
    """Return the rules file at a pace."""
    return as_yaml(rules_file(recordings(pace), alerts(pace)), COMMAND)


def documents() -> dict[str, str]:
    """Return the generated files by name."""
    return {"alerts.yaml": rules_text(Pace()), "dashboard.json": as_json()}


def main() -> None:
    """Write them."""
    FILES.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (FILES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
