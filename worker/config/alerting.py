"""Entries of `scoring`: triggers, what is otherwise for some sources, neighbours, a shadow."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AwareDatetime,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from worker.config.base import DAY, Section

_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_Pattern = Annotated[str, Field(min_length=1, max_length=512)]
Neighbours = Annotated[  # patterns for source ids, `*`, `?` and `[...]` as in a shell
    tuple[_Pattern, ...],
    Field(min_length=1, max_length=1000, examples=["[/cameras/gate*, /cameras/yard]"]),
]
Time = Annotated[AwareDatetime, Field(examples=["2026-01-31T22:00:00Z"])]


class MaintenanceSettings(Section):
    """A span of event time `[begin, end)` in which a source does not alert."""

    begin: Time = Field(description="its first moment, with a zone")
    end: Time = Field(description="the first moment after it, with a zone")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end <= self.begin:
            raise ValueError("end must be after begin")
        return self


class TriggerSettings(Section):
    """A watch phrase: an alert is raised where Moments are unusually near to what `text` says."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$",
        examples=["fire"],
        description="as in the reason `trigger:NAME`",
    )
    text: str = Field(
        max_length=500, examples=["smoke or flames"], description="what is watched for, in words"
    )
    severity: Literal["low", "medium", "high", "critical"] = Field(
        default="medium", description="how severe an alert for it is at least"
    )
    match: str = Field(
        default="*",
        min_length=1,
        max_length=512,
        examples=["/cameras/gate*"],
        description="source ids, with `*`, `?` and `[...]` as in a shell",
    )

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not any(map(str.isalnum, text)):
            raise ValueError("must say what is watched for, in words")
        return text


_Share = Annotated[float, Field(ge=0, le=1)]


class AreaSettings(Section):
    """A rectangle of the picture, in shares of its width and height from the upper left corner."""

    left: _Share = Field(default=0, description="where it begins, of the width")
    top: _Share = Field(default=0, description="where it begins, of the height")
    right: _Share = Field(default=1, description="where it ends, of the width")
    bottom: _Share = Field(default=1, description="where it ends, of the height")

    @model_validator(mode="after")
    def _is_part(self) -> Self:
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("right must be greater than left, and bottom than top")
        if (self.left, self.top, self.right, self.bottom) == (0, 0, 1, 1):
            raise ValueError("must leave something of the picture")
        return self


class SourceSettings(Section):
    """What holds for the sources that `match` names; what is left out is as for all sources."""

    match: str = Field(
        min_length=1,
        max_length=512,
        examples=["/cameras/gate*"],
        description="source ids, with `*`, `?` and `[...]` as in a shell",
    )
    false_alarms_per_day: float | None = Field(
        default=None, ge=0, le=DAY, description="their budget; 0: no alerts"
    )
    cooldown_seconds: float | None = Field(
        default=None, ge=0, le=DAY, description="their quiet time after an alert has closed"
    )
    mute: bool = Field(default=False, description="no alerts, but Observations as ever")
    schedule: str | None = Field(
        default=None,
        pattern=f"^{_CLOCK}-{_CLOCK}$",
        examples=["22:00-06:00"],
        description="alerts in this part of the day only",
    )
    time_zone: str = Field(
        default="UTC", max_length=64, examples=["Europe/Berlin"], description="of `schedule`"
    )
    maintenance: tuple[MaintenanceSettings, ...] = Field(
        default=(), max_length=100, description="spans `{begin, end}` without alerts"
    )
    masked: tuple[AreaSettings, ...] = Field(
        default=(),
        max_length=32,
        description="areas `{left, top, right, bottom}` of the picture that are not looked at",
    )

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"must be a time zone such as Europe/Berlin, not {name!r}") from None
        return name

    @field_validator("schedule")
    @classmethod
    def _not_empty(cls, schedule: str | None) -> str | None:
        if schedule is not None and len(set(schedule.split("-"))) == 1:
            raise ValueError("must not begin and end at once: leave it out for the whole day")
        return schedule


class ShadowSettings(Section):
    """What is tried beside what holds: alert rules, a bundle; what is left out is as there."""

    false_alarms_per_day: float | None = Field(
        default=None, ge=0, le=DAY, description="budget of one source; 0: no alerts"
    )
    false_discovery_rate: float | None = Field(
        default=None,
        ge=0,
        le=0.99,
        description="share of false alerts that is allowed for; 0: not controlled",
    )
    cooldown_seconds: float | None = Field(
        default=None, ge=0, le=DAY, description="quiet time of a source after an alert has closed"
    )
    sources: tuple[SourceSettings, ...] | None = Field(
        default=None,
        max_length=1000,
        description="rules for some sources, instead of the real ones",
    )
    bundle: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        examples=["/models/bundle"],
        description="directory of a fitted bundle, which scores of its own come from",
    )
    bundle_digest: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{8,64}$",
        examples=["8 to 64 hexadecimal digits"],
        description="what the digest of the bundle must begin with",
    )

    @model_validator(mode="after")
    def _pins_a_bundle(self) -> Self:
        if self.bundle_digest is not None and self.bundle is None:
            raise ValueError("must name the bundle that bundle_digest pins")
        return self

    @model_serializer(mode="wrap")
    def _without_the_rest(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}

    @property
    def changes(self) -> dict[str, object]:
        """What is otherwise than in the real rules."""
        rules = ("false_alarms_per_day", "false_discovery_rate", "cooldown_seconds", "sources")
        return {n: value for n in rules if (value := getattr(self, n)) is not None}
