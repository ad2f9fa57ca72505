"""Measured plans on disk: one small JSON file per machine, libraries, model and settings.

A file that cannot be read, or holds anything unexpected, is as good as none; a directory that
cannot be written costs a new measurement at the next start, nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from worker.models.kept_files import (
    kept_directory,
    key_name,
    library_versions,
    read_own,
    write_whole,
)
from worker.models.plan import Plan
from worker.models.processor import Processor
from worker.models.settings import ModelSettings

_FORM = 5  # of the file and of the way plans are measured
_MAX_BATCH_SIZE = 4_096
_MAX_THREADS = 4_096


@dataclass(frozen=True, slots=True)
class PlanCache:
    """The place of one choice; `key` is all that it depends on."""

    directory: Path
    key: Mapping[str, object]

    @classmethod
    def of(cls, settings: ModelSettings, processor: Processor, digest: str) -> PlanCache:
        """Return the place for a model, by its digest, under these settings on this machine."""
        key = {
            "form": _FORM,
            "digest": digest,
            "processor": asdict(processor),
            "libraries": library_versions(),
            "asked": [settings.runtime, settings.dtype, settings.batch_size, settings.threads],
        }
        return cls(kept_directory(settings.cache_directory), key)

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / f"plan-{key_name(self.key)}.json"

    def read(self) -> Plan | None:
        """Return the plan, or None where there is none that can be used."""
        content = read_own(self.path)
        if content is None:
            return None
        try:
            document = json.loads(content)
            if document["key"] != self.key:
                return None
            return _plan(document["plan"])
        except (ValueError, LookupError, TypeError, RecursionError):
            return None

    def write(self, plan: Plan) -> None:
        """Keep the plan."""
        content = json.dumps({"key": self.key, "plan": asdict(plan)}, indent=1)
        write_whole(self.path, (content.encode(),))


def _plan(fields: Mapping[str, object]) -> Plan:
    match fields:
        case {
            "runtime": "torch" | "compiled" | "openvino" | "int8" as runtime,
            "dtype": "float32" | "bfloat16" | "float16" | "int8" as dtype,
            "batch_size": int(batch_size),
            "threads": int(threads),
        } if 0 < batch_size <= _MAX_BATCH_SIZE and 0 < threads <= _MAX_THREADS:
            return Plan(runtime, dtype, batch_size, threads)
        case _:
            raise ValueError("not a plan")
