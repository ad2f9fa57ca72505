"""helm and kubectl against the cluster of KUBECONFIG, each check told in a line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

FOLDER = "MMWORKER_K8S"  # its bin/ has helm and kubectl, where they are not on the path
_POLL_SECONDS = 0.5


class CheckError(Exception):
    """Something is not as it should be; the message says what."""


def tool(name: str) -> str:
    """Return the path of a program, or end with a sentence that says how to give one."""
    folder = Path(os.environ.get(FOLDER, "")) / "bin"
    found = shutil.which(name, path=f"{folder}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        sys.exit(f"make k8s needs `{name}`: put it on the path, or into bin/ of a folder {FOLDER}.")
    return found


def require_cluster() -> None:
    """End with a sentence where no API server answers."""
    if not os.environ.get("KUBECONFIG"):
        sys.exit("make k8s needs KUBECONFIG: the file that leads to a cluster to try the chart on.")
    done = _run("kubectl", "version", "--request-timeout=5s")
    if done.returncode:
        sys.exit(f"no API server answers by KUBECONFIG: {_last_line(done)}")


def kubectl(*arguments: str, given: str | None = None) -> str:
    """Return what kubectl prints. Raises CheckError."""
    return _done("kubectl", *arguments, given=given)


def helm(*arguments: str) -> str:
    """Return what Helm prints. Raises CheckError."""
    return _done("helm", *arguments)


def apply(*documents: dict[str, Any]) -> None:
    """Make or change the objects, as the server sees them."""
    items = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    flags = ("--server-side", "--force-conflicts", "--validate=false", "-f", "-")
    kubectl("apply", *flags, given=json.dumps(items))


def get(*arguments: str) -> dict[str, Any]:
    """Return an object, or a list of them."""
    found: dict[str, Any] = json.loads(kubectl("get", *arguments, "-o", "json"))
    return found


def has_kind(name: str) -> bool:
    """Tell whether the API server knows a custom resource, `plural.group`."""
    return _run("kubectl", "get", "crd", name).returncode == 0


def runs_keda() -> bool:
    """Tell whether KEDA itself runs, not its kinds only: the API server passes questions to it."""
    wanted = ("apiservice/v1beta1.external.metrics.k8s.io", "--timeout=5s")
    return _run("kubectl", "wait", "--for=condition=Available", *wanted).returncode == 0


def until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something holds; return after how many seconds. Raises CheckError."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise CheckError(f"not within {seconds:g} s: {what}")
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - began


class Report:
    """Counts checks, and tells each in a line."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def check(self, name: str, run: Callable[[], object]) -> bool:
        """Run a check; return whether it passed. What it returns is told beside its name."""
        began = time.monotonic()
        try:
            told = run()
        except CheckError as error:
            self.failed += 1
            typer.echo(f"FAIL  {name}: {error}")
            return False
        self.passed += 1
        detail = f"{told}, " if isinstance(told, str) else ""
        typer.echo(f"ok    {name} ({detail}{time.monotonic() - began:.1f} s)")
        return True


def _done(name: str, *arguments: str, given: str | None = None) -> str:
    done = _run(name, *arguments, given=given)
    if done.returncode:
        raise CheckError(f"{name} {' '.join(arguments[:2])}: {_last_line(done)}")
    return done.stdout + done.stderr if name == "helm" else done.stdout


def _run(name: str, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool(name), *arguments], input=given, capture_output=True, text=True, check=False
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return " ".join(lines[-3:])[:600]
