"""All values of the chart."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deploy.chart.around import Keda, Monitoring, NetworkPolicy, Secrets, Topics, Tracing
from deploy.chart.base import FreeForm, Labels, ObjectName, Quantity, Values
from deploy.chart.workload import (
    Bundle,
    DisruptionBudget,
    Gpu,
    Image,
    Probes,
    Resources,
    Scheduling,
    Service,
    ServiceAccount,
    Weights,
)


class ChartValues(Values):
    """The values of a release."""

    name_override: ObjectName = Field(default="", max_length=40, description="instead of the chart")
    fullname_override: ObjectName = Field(
        default="", max_length=40, description="instead of release and chart"
    )
    kind: Literal["Deployment", "StatefulSet"] = Field(
        default="Deployment",
        description="`StatefulSet`: static membership, so that a pod that restarts within"
        " `kafka.session_timeout_seconds` gets its partitions back without a rebalance",
    )
    replicas: int = Field(
        default=2, ge=0, le=1000, description="pods, unless KEDA decides; 0 stops all work"
    )
    task: list[str] = Field(
        default=[],
        description="instead of workers one Job that runs `mmworker` with these arguments:"
        " `[run, --drain]`, `[topics, check]`, `[topics, offsets, --to, committed, --yes]`;"
        " without it workers start again",
    )
    image: Image = Field(default=Image(), description="container image")
    config: FreeForm = Field(
        default={},
        description="the worker's configuration, as in its file: `section: {field: value}`; file"
        " paths and the HTTP address are set by the chart",
    )
    secrets: Secrets = Field(default=Secrets(), description="existing Secrets, mounted as files")
    topics: Topics = Field(default=Topics(), description="how the topics come to be")
    bundle: Bundle = Field(default=Bundle(), description="model weights other than the image's")
    gpu: Gpu = Field(default=Gpu(), description="a GPU for each pod")
    resources: Resources = Field(default=Resources(), description="CPU and memory")
    scheduling: Scheduling = Field(default=Scheduling(), description="where pods run")
    probes: Probes = Field(default=Probes(), description="the three probes")
    termination_grace_period_seconds: int = Field(
        default=75,
        ge=65,
        le=3600,
        description="more than the 60 s within which a worker finishes, commits and leaves",
    )
    keda: Keda = Field(default=Keda(), description="scaling by consumer lag")
    disruption_budget: DisruptionBudget = Field(
        default=DisruptionBudget(), description="what a drain may take"
    )
    network_policy: NetworkPolicy = Field(default=NetworkPolicy(), description="who speaks to whom")
    monitoring: Monitoring = Field(default=Monitoring(), description="Prometheus and Grafana")
    cache_size: Quantity = Field(
        default="512Mi",
        description="ephemeral storage for what the start-up measurement found and for converted"
        " networks: three times the weights of your encoders; those of the image take 100 MB, twice"
        " that while they are written",
    )
    tracing: Tracing = Field(default=Tracing(), description="OpenTelemetry")
    models: Weights = Field(default=Weights(), description="weights of encoders of your own")
    service: Service = Field(default=Service(), description="headless Service")
    service_account: ServiceAccount = Field(
        default=ServiceAccount(), description="identity of the pods"
    )
    pod_annotations: Labels = Field(default={}, description="of the pods")
    pod_labels: Labels = Field(default={}, description="of the pods, beside the chart's own")
