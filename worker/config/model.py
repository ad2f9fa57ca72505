"""The whole configuration, and the keys in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from pydantic import model_validator
from pydantic.fields import FieldInfo

from worker.config.analysis import LimitSettings, ModelSettings, PairingSettings, ScoringSettings
from worker.config.base import DAY, Section
from worker.config.services import (
    HttpSettings,
    KafkaSettings,
    LogSettings,
    RedisSettings,
    TopicSettings,
)


class Config(Section):
    """The whole configuration, validated and frozen."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    redis: RedisSettings = RedisSettings()
    pairing: PairingSettings = PairingSettings()
    models: ModelSettings = ModelSettings()
    scoring: ScoringSettings = ScoringSettings()
    limits: LimitSettings = LimitSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.pairing.max_buffered_bytes < self.limits.max_record_bytes:
            raise ValueError(
                "pairing.max_buffered_bytes must hold limits.max_record_bytes at least"
            )
        self._check_budgets()
        return self

    def _check_budgets(self) -> None:
        most = DAY / self.pairing.window_seconds / 4  # at more, half of all Moments are unusual
        shadow = self.scoring.shadow
        budgets = {
            "scoring.false_alarms_per_day": self.scoring.false_alarms_per_day,
            "scoring.shadow.false_alarms_per_day": shadow.false_alarms_per_day,
        }
        for key, sources in (
            ("scoring.sources", self.scoring.sources),
            ("scoring.shadow.sources", shadow.sources or ()),
        ):
            budgets |= {
                f"{key}: false_alarms_per_day of {each.match!r}": each.false_alarms_per_day
                for each in sources
            }
        for key, budget in budgets.items():
            if budget is not None and budget > most:
                raise ValueError(
                    f"{key} must be at most {most:.16g}, a quarter of the Moments of a day of one"
                    f" source with pairing.window_seconds {self.pairing.window_seconds:g}"
                )


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, and where each `section.field` comes from.

    Origins are `default`, `file PATH`, `environment NAME` or `command line`.
    """

    config: Config
    origins: Mapping[str, str]


def known_fields() -> dict[str, FieldInfo]:
    """Return the fields of all sections by key, `section.field`, in the order of the sections."""
    return {
        f"{section}.{field.alias or name}": field
        for section, info in Config.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
        for name, field in info.annotation.model_fields.items()
    }
