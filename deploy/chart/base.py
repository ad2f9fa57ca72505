"""What all groups of chart values share, and the names that Kubernetes allows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

ObjectName = Annotated[
    str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)?$")
]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
Digest = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")]
Port = Annotated[int, Field(ge=1, le=65_535)]
Quantity = int | Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
Labels = dict[str, str]
FreeForm = dict[str, Any]  # an object of Kubernetes' own, which the API server checks


class Values(BaseModel):
    """A group of values: no unknown keys, in the spelling of Kubernetes."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")
