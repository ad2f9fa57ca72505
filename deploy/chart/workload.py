"""Values about the pods: image, replicas, GPU, resources, where and how they run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deploy.chart.base import Digest, FreeForm, Labels, ObjectName, Port, Quantity, Values

PinnedImage = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64})?$")]
SubPath = Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$")]


class Image(Values):
    """The container image."""

    repository: str = Field(
        default="multimodal-worker",
        pattern=r"^[a-z0-9]([a-z0-9._/:-]*[a-z0-9])?$",
        description="where your cluster finds the image",
    )
    tag: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$",
        description="empty: the chart's appVersion, with `-cuda` for a GPU",
    )
    digest: Digest = Field(default="", description="`sha256:...`; wins over the tag")
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="when the node asks the registry"
    )
    pull_secrets: list[ObjectName] = Field(
        default=[], description="names of Secrets for a private registry"
    )


class Gpu(Values):
    """A GPU for every pod; needs the `cuda` image."""

    enabled: bool = Field(default=False, description="run the encoders on a GPU")
    resource_name: str = Field(
        default="",
        pattern=r"^([a-z0-9.-]+/[a-z0-9.-]+)?$",
        description="what the device plugin calls it: `nvidia.com/gpu`, `nvidia.com/gpu.shared`,"
        " `nvidia.com/mig-1g.10gb`",
    )
    count: int = Field(default=1, ge=1, le=1, description="a worker uses one")
    runtime_class_name: ObjectName = Field(
        default="", description="runtime class where GPUs need one, such as `nvidia`"
    )


class ResourceList(Values):
    """Amounts of CPU and memory."""

    cpu: Quantity | None = Field(default=None, description="cores")
    memory: Quantity | None = Field(default=None, description="bytes")
    ephemeral_storage: Quantity | None = Field(
        default=None, alias="ephemeral-storage", description="bytes"
    )


class Resources(Values):
    """What a pod asks for and may use."""

    requests: ResourceList = Field(
        default=ResourceList(cpu="2", memory="2Gi"),
        description="what the scheduler keeps for a pod; `cpu` is also how many threads the worker"
        " uses, unless `models.threads` is set",
    )
    limits: ResourceList = Field(
        default=ResourceList(memory="4Gi"),
        description="what a pod may use at most; no CPU limit: throttling shows as lag. At four"
        " fifths of the memory the worker reads no more, unless `limits.max_resident_bytes` is set",
    )


class Toleration(Values):
    """A taint that the pods accept."""

    key: str = Field(default="", description="of the taint")
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="how to compare")
    value: str = Field(default="", description="of the taint")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="", description="empty: any"
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, description="how long, with NoExecute"
    )


class Scheduling(Values):
    """Where pods run."""

    priority_class_name: ObjectName = Field(default="", description="name of a PriorityClass")
    node_selector: Labels = Field(default={}, description="labels that a node must have")
    tolerations: list[Toleration] = Field(default=[], description="taints that the pods accept")
    affinity: FreeForm = Field(default={}, description="as in a pod's specification")
    spread_over: list[str] = Field(
        default=["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
        description="node labels over which pods are spread evenly, where there is room",
    )


class Probe(Values):
    """How often a probe asks, and how often it may be wrong."""

    period_seconds: int = Field(default=10, ge=1, le=300, description="between two questions")
    timeout_seconds: int = Field(default=3, ge=1, le=60, description="for one answer")
    failure_threshold: int = Field(
        default=3, ge=1, le=120, description="wrong answers in a row that count"
    )


class Probes(Values):
    """The worker's own endpoints; they ask neither Kafka nor Redis."""

    startup: Probe = Field(
        default=Probe(period_seconds=5, failure_threshold=60),
        description="`/startupz`: weights loaded and warm; a new pod measures its encoders first",
    )
    liveness: Probe = Field(
        default=Probe(period_seconds=20), description="`/livez`: the poll loop comes round"
    )
    readiness: Probe = Field(
        default=Probe(period_seconds=5),
        description="`/readyz`: a member of the group whose state is known",
    )


class Weights(Values):
    """Where weights are that `config.models` names as `FAMILY:/models/...`; mounted read-only."""

    volume_claim: ObjectName = Field(
        default="", description="name of a PersistentVolumeClaim, mounted at `/models`"
    )
    image: PinnedImage = Field(
        default="",
        description="or an image volume (Kubernetes 1.33 or newer), by digest: `name@sha256:...`",
    )
    sub_path: SubPath = Field(default="", description="directory inside the volume that is mounted")


class Bundle(Values):
    """A fitted bundle of models; without a source the weights in the image are used."""

    source: Literal["none", "volumeClaim", "image", "download"] = Field(
        default="none", description="where it comes from; mounted read-only, sets `models.bundle`"
    )
    volume_claim: ObjectName = Field(
        default="", description="name of a PersistentVolumeClaim that holds it"
    )
    image: PinnedImage = Field(
        default="",
        description="image volume (Kubernetes 1.33 or newer), by digest: `name@sha256:...`",
    )
    url: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+\.tar\.gz)?$",
        description="`.tar.gz` that an init container fetches",
    )
    sha256: str = Field(
        default="", pattern=r"^([0-9a-f]{64})?$", description="of that file; else it is refused"
    )
    sub_path: SubPath = Field(default="", description="directory of the bundle inside the volume")


class ServiceAccount(Values):
    """Its token is never mounted: the worker does not speak to the API server."""

    create: bool = Field(default=True, description="make one for this release")
    name: ObjectName = Field(default="", description="empty: the release's name, or `default`")
    annotations: Labels = Field(default={}, description="for example of a cloud's identity")


class DisruptionBudget(Values):
    """How many pods a drain may take at once."""

    enabled: bool = Field(default=True, description="make a PodDisruptionBudget")
    max_unavailable: int = Field(
        default=1, ge=1, le=1000, description="pods; one at a time means one rebalance at a time"
    )


class Service(Values):
    """A headless Service, for scraping without an operator; a StatefulSet has it anyway."""

    enabled: bool = Field(default=False, description="make a headless Service")
    port: Port = Field(default=9108, description="its port")
