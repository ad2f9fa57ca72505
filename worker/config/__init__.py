"""The configuration: read once, validated, frozen; each module receives only its section."""

from worker.config.alerting import MaintenanceSettings, SourceSettings
from worker.config.analysis import (
    LimitSettings,
    ModalityName,
    ModelSettings,
    PairingSettings,
    ScoringSettings,
)
from worker.config.load import load
from worker.config.model import Config, Loaded
from worker.config.secrets import read_file, read_secret, redact_url
from worker.config.services import (
    HttpSettings,
    KafkaSettings,
    LogSettings,
    RedisSettings,
    TopicSettings,
)
from worker.config.show import config_hash, json_schema, markdown_table, meaning, show_rows

__all__ = [
    "Config",
    "HttpSettings",
    "KafkaSettings",
    "LimitSettings",
    "Loaded",
    "LogSettings",
    "MaintenanceSettings",
    "ModalityName",
    "ModelSettings",
    "PairingSettings",
    "RedisSettings",
    "ScoringSettings",
    "SourceSettings",
    "TopicSettings",
    "config_hash",
    "json_schema",
    "load",
    "markdown_table",
    "meaning",
    "read_file",
    "read_secret",
    "redact_url",
    "show_rows",
]
