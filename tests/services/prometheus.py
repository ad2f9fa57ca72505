"""A real Prometheus that scrapes workers twice a second."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from worker.demo.processes import Process, free_ports, listening

READY_SECONDS = 30.0
JOB = "mmworker"


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def values(self, expression: str) -> list[float]:
        """Return what an expression is now; empty where it is false or unknown."""
        return [float(series["value"][1]) for series in self.asked("query", query=expression)]

    def asked(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """Return what an endpoint of its API lists; nothing while it is still starting."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                data = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return []
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error
        if isinstance(data, list):
            return data
        return data.get("result") or data.get("alerts") or data.get("groups") or []

    def firing(self) -> dict[str, dict[str, Any]]:
        """Return the alerts that fire, by name."""
        alerts = self.asked("alerts")
        return {one["labels"]["alertname"]: one for one in alerts if one["state"] == "firing"}

    def await_up(self) -> None:
        """Return once a worker was scraped."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.values(f"up{{job='{JOB}'}} == 1"):
            assert time.monotonic() < deadline, "Prometheus has not scraped the worker"
            time.sleep(0.2)


@contextmanager
def prometheus(target: str, directory: Path, rules: str = "") -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes `target`, host:port, and evaluates `rules`, a file's text."""
    (port,) = free_ports(1)
    (directory / "rules.yaml").write_text(rules or "groups: []\n")
    configuration = {
        "global": {
            "scrape_interval": "500ms",
            "scrape_timeout": "500ms",
            "evaluation_interval": "500ms",
        },
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [target]}]}],
    }
    process = Process(_command(configuration, directory, port), directory / "prometheus.log")
    try:
        process.wait_until(lambda: listening(port), READY_SECONDS, "Prometheus")
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.stop()


def _command(configuration: Mapping[str, object], directory: Path, port: int) -> list[str]:
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    options = {
        "config.file": file,
        "storage.tsdb.path": directory / "data",
        "web.listen-address": f"127.0.0.1:{port}",
        "enable-feature": "exemplar-storage",
    }
    return ["prometheus", *(f"--{name}={value}" for name, value in options.items())]
