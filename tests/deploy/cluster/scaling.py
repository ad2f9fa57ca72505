"""KEDA scales the chart's workload by the lag on a real Kafka, up and down again."""

from __future__ import annotations

import json

from tests.deploy.chart import CHART
from tests.deploy.cluster.surroundings import namespace
from tests.deploy.cluster.tools import Report, apply, get, helm, kubectl, until
from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.offsets import move_offsets
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.topic_checks import inputs, specs
from worker.config import Config, KafkaSettings
from worker.core.ports import Output, TopicPartition

PARTITIONS = 6
THRESHOLD = 50  # records of frames per pod
_NAMESPACE = "mmworker-check-scaling"
_RELEASE, _NAME = "mm", "mm-multimodal-worker"
_PATIENCE_SECONDS = 120.0


class Scaling:
    """A release of which KEDA decides on the pods. Its checks raise CheckError."""

    def __init__(self, bootstrap: str) -> None:
        self._config = Config(kafka=KafkaSettings(bootstrap_servers=bootstrap))

    def run(self, report: Report) -> None:
        """Go through all of it; the later steps need the earlier ones."""
        apply(namespace(_NAMESPACE))
        steps = [
            ("KEDA reaches Kafka", self.install),
            ("lag for three pods brings three", lambda: self.grow(5 * THRESHOLD // 2, 3)),
            (
                "lag for twenty pods brings as many as there are partitions",
                lambda: self.grow(20 * THRESHOLD, PARTITIONS),
            ),
            ("without lag they leave again", self.shrink),
        ]
        for name, step in steps:
            if not report.check(f"scaling: {name}", step):
                break
        helm("uninstall", _RELEASE, "-n", _NAMESPACE, "--ignore-not-found", "--wait")
        kubectl("delete", "namespace", _NAMESPACE, "--wait=false")

    def install(self) -> None:
        """Make topics and release; wait until KEDA has asked the brokers."""
        with KafkaAdmin(self._config.kafka) as admin:
            largest = self._config.limits.max_record_bytes
            admin.create(specs(self._config.topics, PARTITIONS, largest))
        self._forget_lag()
        values = {
            "config": {"kafka": {"bootstrap_servers": self._config.kafka.bootstrap_servers}},
            "topics": {"create": "none", "partitions": PARTITIONS},
            "keda": {
                "enabled": True,
                "maxReplicas": PARTITIONS,
                "lagThreshold": {"frames": THRESHOLD},
            },
        }
        flags = ["-n", _NAMESPACE, "--set-json", f"keda={json.dumps(values['keda'])}"]
        flags += ["--set-json", f"config={json.dumps(values['config'])}"]
        flags += ["--set-json", f"topics={json.dumps(values['topics'])}"]
        helm("install", _RELEASE, str(CHART), *flags, "--wait", "--timeout", "120s")
        scaled = ("scaledobject", _NAME, "-n", _NAMESPACE)
        kubectl("wait", "--for=condition=Ready", *scaled, "--timeout=90s")

    def grow(self, records: int, pods: int) -> str:
        """Let records wait; pods are to come."""
        sink = KafkaSink(self._config.kafka)
        for number in range(records):
            sink.append(Output(self._config.topics.frames, b"camera-%d" % number, b"x"))
        sink.flush()
        sink.close()
        return self._until(pods)

    def shrink(self) -> str:
        """Let nothing wait; pods are to leave. The chart's slow scale-down is put aside here."""
        swift = {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 5}],
        }
        behaviour = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": swift}}}
        patch = json.dumps({"spec": {"advanced": behaviour}})
        scaled = ("scaledobject", _NAME, "-n", _NAMESPACE)
        kubectl("patch", *scaled, "--type=merge", "-p", patch)
        self._forget_lag()
        return self._until(1)

    def _forget_lag(self) -> None:
        partitions = [
            TopicPartition(topic, index)
            for topic in inputs(self._config.topics)
            for index in range(PARTITIONS)
        ]
        move_offsets(self._config.kafka, partitions, "latest")

    def _until(self, pods: int) -> str:
        def arrived() -> bool:
            status = get("deployment", _NAME, "-n", _NAMESPACE)["status"]
            return bool(status.get("replicas") == status.get("readyReplicas") == pods)

        took = until(arrived, _PATIENCE_SECONDS, f"{pods} pods")
        return f"{pods} pods after {took:.0f} s"
