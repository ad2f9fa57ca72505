"""The life of a release of one example: dry run, install, upgrade, rollback, uninstall."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from tests.deploy.chart import CHART, workload
from tests.deploy.cluster.surroundings import namespace
from tests.deploy.cluster.tools import (
    CheckError,
    Report,
    apply,
    get,
    helm,
    kubectl,
    runs_keda,
    until,
)

_RELEASE = "mm"
_WAIT = ("--wait", "--timeout", "120s")
_READY_SECONDS = 60.0
_COMPONENT = "app.kubernetes.io/component"
_TASK = f"{_COMPONENT}=task"
# of what an uninstalled release may leave nothing; its hooks stay until the next release
_KINDS = (
    "deployments,statefulsets,services,serviceaccounts,poddisruptionbudgets,networkpolicies,"
    "horizontalpodautoscalers"
)


class Release:
    """One example in a namespace of its own. Its checks raise CheckError.

    `beside` are the objects that it expects to be there.
    """

    def __init__(
        self, name: str, flags: tuple[str, ...] = (), beside: Iterable[dict[str, Any]] = ()
    ) -> None:
        self.namespace = f"mmworker-check-{name}"
        self._beside = list(beside)
        self._chart = [str(CHART), "-n", self.namespace, *flags]
        self._chart += ["-f", str(CHART / "ci" / f"{name}-values.yaml")]

    def life(self, report: Report) -> None:
        """Go through all of it; the later steps need the earlier ones."""
        apply(namespace(self.namespace))
        for each in self._beside:
            each["metadata"]["namespace"] = self.namespace
        if self._beside:
            apply(*self._beside)
        steps = [
            ("server dry run, strict, no warning", self.dry_run),
            ("install", self.install),
            ("pods admitted, ready, as many as asked for", self.pods),
            *([("KEDA logs in and scales", self.scaled)] if self._is_scaled else []),
            ("live objects hold what is rendered", self.drift),
            ("upgrade starts new pods", self.upgrade),
            ("rollback brings the old configuration back", self.rollback),
            ("a task runs in the place of the workers, which come back", self.task),
            ("uninstall leaves nothing", self.uninstall),
        ]
        for name, step in steps:
            if not report.check(f"{self.namespace.removeprefix('mmworker-check-')}: {name}", step):
                break
        kubectl("delete", "namespace", self.namespace, "--wait=false")

    def dry_run(self) -> None:
        """Let the server judge each object, fields it does not know included."""
        flags = ("--dry-run=server", "--validate=strict", "-n", self.namespace, "-f", "-")
        told = kubectl("apply", *flags, given=self._rendered())
        if "warning" in told.lower():
            raise CheckError(told)

    def install(self) -> None:
        """Install, and wait for the pods."""
        told = helm("install", _RELEASE, *self._chart, *_WAIT)
        if "Warning" in told:
            raise CheckError(told)

    def pods(self) -> str:
        """See that nothing kept a pod from being made and that all are ready."""
        for each in get("replicasets", "-n", self.namespace)["items"]:
            for condition in each["status"].get("conditions", []):
                raise CheckError(condition["message"])
        until(self._is_complete, _READY_SECONDS, "all pods ready")
        return f"{self._workload()['spec']['replicas']} pods"

    def scaled(self) -> str:
        """See that KEDA, where it runs, has logged in and found the lag."""
        found = get("scaledobjects.keda.sh", "-n", self.namespace)["items"]
        for each in found:
            name = f"scaledobject/{each['metadata']['name']}"
            kubectl("wait", "--for=condition=Ready", name, "-n", self.namespace, "--timeout=90s")
            kubectl("wait", "--for=condition=Fallback=False", name, "-n", self.namespace)
        return f"{len(found)} ScaledObjects"

    def drift(self) -> None:
        """See that the live objects hold what the chart renders."""
        for document in yaml.safe_load_all(self._rendered()):
            if document:
                kind, name = document["kind"], document["metadata"]["name"]
                place = document["metadata"].get("namespace", self.namespace)
                if path := difference(document, get(kind, name, "-n", place)):
                    raise CheckError(f"{kind} {name} has another {path}")

    def upgrade(self) -> None:
        """Change the configuration."""
        before = self._checksum()
        helm("upgrade", _RELEASE, *self._chart, "--set", "config.log.level=debug", *_WAIT)
        if self._checksum() == before or not self._configured("level: debug"):
            raise CheckError("the configuration has not changed")
        self.pods()

    def rollback(self) -> None:
        """Undo that."""
        helm("rollback", _RELEASE, "1", "-n", self.namespace, *_WAIT)
        if self._configured("level: debug"):
            raise CheckError("the configuration is still the new one")
        self.pods()

    def task(self) -> None:
        """Stop the workers for one command, as a drain wants it, and start them again."""
        helm("upgrade", _RELEASE, *self._chart, "--set", "task={run,--drain}", *_WAIT)
        until(lambda: not self._pods("worker"), _READY_SECONDS, "all workers are gone")
        until(self._has_task_run, _READY_SECONDS, "the task's pod is admitted")
        helm("upgrade", _RELEASE, *self._chart, *_WAIT)
        until(lambda: bool(self._pods("worker")), _READY_SECONDS, "workers are started")
        self.pods()
        if get("jobs", "-n", self.namespace, "-l", _TASK)["items"]:
            raise CheckError("the task is still there")

    def uninstall(self) -> None:
        """Remove the release."""
        helm("uninstall", _RELEASE, "-n", self.namespace, *_WAIT)
        left = [
            f"{each['kind']} {each['metadata']['name']}"
            for each in get(_KINDS, "-n", self.namespace)["items"]
            if each["metadata"]["name"] != "default"  # the namespace's own service account
        ]
        if left:
            raise CheckError(", ".join(left))

    def _rendered(self) -> str:
        return helm("template", _RELEASE, *self._chart)

    @property
    def _is_scaled(self) -> bool:
        return "kind: ScaledObject" in self._rendered() and runs_keda()

    def _is_complete(self) -> bool:
        live = self._workload()
        return bool(live["status"].get("readyReplicas", 0) == live["spec"]["replicas"])

    def _pods(self, component: str) -> list[Any]:
        found = get("pods", "-n", self.namespace, "-l", f"{_COMPONENT}={component}")
        return list(found["items"])

    def _has_task_run(self) -> bool:
        jobs = get("jobs", "-n", self.namespace, "-l", _TASK)["items"]
        status = jobs[0]["status"] if jobs else {}
        return bool(status.get("active") or status.get("succeeded"))

    def _workload(self) -> dict[str, Any]:
        return workload(get("deployments,statefulsets", "-n", self.namespace)["items"])

    def _checksum(self) -> str:
        annotations = self._workload()["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    def _configured(self, words: str) -> bool:
        name = self._workload()["metadata"]["name"]
        return words in get("configmap", name, "-n", self.namespace)["data"]["config.yaml"]


def difference(wanted: Any, live: Any) -> str | None:
    """Return where a live object lacks what was wanted, or None; it may have more."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        pairs = [(str(key), value, live.get(key)) for key, value in wanted.items()]
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        pairs = [(str(place), *pair) for place, pair in enumerate(zip(wanted, live, strict=True))]
    else:
        return None if wanted == live else ""
    for key, below, other in pairs:
        if (path := difference(below, other)) is not None:
            return f"{key}.{path}" if path else key
    return None
