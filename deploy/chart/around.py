"""Values about what is around the pods: secrets, topics, scaling, monitoring, network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deploy.chart.base import FileName, FreeForm, Labels, ObjectName, Port, Values


class SecretFile(Values):
    """A key of a Secret that exists, mounted as a file."""

    name: ObjectName = Field(default="", description="name of the Secret; empty: none")
    key: FileName = Field(default="password", description="key in it")


class KafkaCa(Values):
    """Whom to trust as a broker, with TLS."""

    name: ObjectName = Field(default="", description="Secret with the brokers' CA")
    key: FileName = Field(default="ca.crt", description="key in it")
    public: bool = Field(
        default=False, description="trust the image's public CAs instead: for managed Kafka"
    )


class ClientCertificate(Values):
    """The worker's own certificate, for mutual TLS."""

    name: ObjectName = Field(default="", description="Secret with certificate and private key")
    certificate_key: FileName = Field(default="tls.crt", description="key of the certificate")
    private_key_key: FileName = Field(default="tls.key", description="key of the private key")


class KafkaToken(Values):
    """The token for OAUTHBEARER: from a Secret, or of the pod's own service account."""

    name: ObjectName = Field(default="", description="Secret that somebody renews; empty: none")
    key: FileName = Field(default="token", description="key in it")
    audience: str = Field(
        default="",
        max_length=253,
        description="instead of a Secret: a token of the pod's service account for this audience,"
        " renewed by the kubelet; the brokers check it with the cluster's keys",
    )
    expiration_seconds: int = Field(
        default=3600, ge=600, le=86_400, description="lifetime of that token"
    )


class Secrets(Values):
    """Secrets that exist in the namespace; they are mounted as files and their paths configured."""

    kafka_password: SecretFile = Field(default=SecretFile(), description="password of SASL")
    kafka_token: KafkaToken = Field(default=KafkaToken(), description="token of OAUTHBEARER")
    kafka_ca: KafkaCa = Field(default=KafkaCa(), description="whom to trust as a broker")
    kafka_client: ClientCertificate = Field(
        default=ClientCertificate(), description="the worker's certificate"
    )
    redis_password: SecretFile = Field(default=SecretFile(), description="password of Redis")
    redis_ca: SecretFile = Field(
        default=SecretFile(key="ca.crt"), description="CA of Redis, with `rediss://`"
    )


class Strimzi(Values):
    """Topics and user as resources of the Strimzi operator."""

    cluster: ObjectName = Field(default="", description="name of the Kafka resource")
    namespace: ObjectName = Field(
        default="", description="where its operators look; empty: the release's namespace"
    )
    api_version: Literal["kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"] = Field(
        default="kafka.strimzi.io/v1", description="v1beta2 before Strimzi 0.49"
    )
    user: ObjectName = Field(
        default="", description="KafkaUser to make, with the rights that a worker needs"
    )
    authentication: Literal["tls", "scram-sha-512"] = Field(
        default="tls", description="of that user"
    )


class Topics(Values):
    """How the topics come to be."""

    create: Literal["job", "strimzi", "none"] = Field(
        default="job",
        description="`job`: `mmworker topics create` before each install and upgrade, which leaves"
        " topics that exist as they are, and fails where they have other `partitions`",
    )
    partitions: int = Field(
        default=6,
        ge=1,
        le=100_000,
        description="of every topic, and the largest number of workers that have work",
    )
    replication_factor: int = Field(
        default=3, ge=-1, le=32_767, description="-1: as the cluster does by default"
    )
    strimzi: Strimzi = Field(default=Strimzi(), description="for `create: strimzi`")


class LagThresholds(Values):
    """Records behind, per topic and pod, that call for one pod more.

    The lag of committed offsets never reaches zero: records of open windows are not committed.
    Stay well above what a pod holds open:
    (pairing.window_seconds + pairing.grace_seconds) x records per second.
    """

    frames: int = Field(default=1000, ge=1, description="video frames")
    captions: int = Field(default=100, ge=1, description="captions")
    audio: int = Field(default=200, ge=1, description="audio clips")


class Keda(Values):
    """Scaling by consumer lag, by KEDA."""

    enabled: bool = Field(default=False, description="make a ScaledObject, one trigger per topic")
    min_replicas: int = Field(
        default=1, ge=1, le=1000, description="never 0: open windows would stay open"
    )
    max_replicas: int = Field(
        default=6, ge=1, le=1000, description="at most `topics.partitions`; more would be idle"
    )
    scale_down_window_seconds: int = Field(
        default=300,
        ge=300,
        le=3600,
        description="the highest need of so long counts: a rebalance is not free",
    )
    fallback_replicas: int = Field(
        default=2, ge=1, le=1000, description="pods while KEDA cannot reach Kafka, unless more run"
    )
    lag_threshold: LagThresholds = Field(
        default=LagThresholds(), description="lag per pod that calls for one more"
    )
    authentication_ref: ObjectName = Field(
        default="",
        description="a TriggerAuthentication of yours; empty: one made from `secrets`",
    )


class PodMonitor(Values):
    """Scraping, by the Prometheus Operator."""

    enabled: bool = Field(default=False, description="make a PodMonitor")
    interval: str = Field(
        default="15s", pattern=r"^[1-9][0-9]*(ms|s|m)$", description="between two scrapes"
    )
    additional_labels: Labels = Field(
        default={}, description="labels by which your Prometheus finds it"
    )


class Labelled(Values):
    """An object that an operator or a side-car finds by its labels."""

    enabled: bool = Field(default=False, description="make it")
    additional_labels: Labels = Field(default={}, description="labels by which it is found")


class Dashboard(Labelled):
    """The Grafana dashboard, as a ConfigMap that Grafana's side-car loads."""

    label: str = Field(default="grafana_dashboard", description="label that the side-car looks for")
    folder: str = Field(default="", description="folder, as annotation `grafana_folder`")


class Monitoring(Values):
    """What the Prometheus Operator and Grafana get."""

    pod_monitor: PodMonitor = Field(default=PodMonitor(), description="scraping")
    prometheus_rule: Labelled = Field(default=Labelled(), description="alert and recording rules")
    dashboard: Dashboard = Field(default=Dashboard(), description="Grafana dashboard")
    runbook_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s#]+)?$",
        description="where your people read `deploy/RUNBOOK.md`; alerts and panels link to its"
        " headings. Empty: no links",
    )
    series_labels: Labels = Field(
        default={},
        description="labels by which Prometheus tells this release's series from others', for"
        " rules and dashboard; empty: `namespace`, and with `podMonitor` the `job` that it gives",
    )


class Tracing(Values):
    """Traces, by OpenTelemetry's protocol over HTTP."""

    endpoint: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?]*)?)?$",
        description="collector, such as `http://collector.tracing:4318`; empty: no traces",
    )


class Destination(Values):
    """Where packets may go."""

    to: list[FreeForm] = Field(
        default=[], description="NetworkPolicy peers; empty: anywhere, on these ports"
    )
    ports: list[Port] = Field(default=[], description="empty: those of the configuration")


class NetworkPolicy(Values):
    """Nothing in but scrapes, nothing out but DNS, Kafka, Redis and what you add."""

    enabled: bool = Field(default=True, description="make a NetworkPolicy")
    scrape_from: list[FreeForm] = Field(
        default=[],
        description="peers that may reach the HTTP port; empty: anyone. Probes of the kubelet are"
        " let through by the network plugin",
    )
    dns: list[FreeForm] = Field(
        default=[], description="peers that answer DNS; empty: anyone on port 53"
    )
    kafka: Destination = Field(default=Destination(), description="the brokers")
    redis: Destination = Field(default=Destination(), description="the cache")
    tracing: Destination = Field(default=Destination(), description="the collector of traces")
    extra_egress: list[FreeForm] = Field(
        default=[], description="further egress rules, such as for a bundle's download"
    )
