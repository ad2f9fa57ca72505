"""What all sections of the configuration share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

MIB = 1024 * 1024
DAY = 86_400  # seconds


def _auto_as_none(value: object) -> object:
    return None if value == "auto" else value


def _empty_as_none(value: object) -> object:
    return None if value == "" else value


_Count = Annotated[int, Field(ge=1, le=1024)]
AutoCount = Annotated[  # None stands for `auto`: measured at start
    _Count | None,
    BeforeValidator(_auto_as_none, json_schema_input_type=_Count | Literal["auto"] | None),
]
OptionalFile = Annotated[  # an empty environment variable is no file, not the directory `.`
    Path | None, BeforeValidator(_empty_as_none, json_schema_input_type=str | None)
]


class Section(BaseModel):
    """What all sections share: frozen, no unknown fields, no truth values as numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: Any, info: ValidationInfo) -> Any:
        """Keep truth values and everything else apart: pydantic would read true as 1, 1 as true."""
        wanted = info.field_name and cls.model_fields[info.field_name].annotation is bool
        if isinstance(value, bool) and not wanted:
            raise ValueError("must not be true or false")
        if wanted and not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
