"""Measured plans on disk: one small JSON file per machine, libraries, model and settings.

A file that cannot be read, or holds anything unexpected, is as good as none; a directory that
cannot be written costs a new measurement at the next start, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import platformdirs

from worker.models.processor import Processor
from worker.models.runtimes import Plan
from worker.models.settings import ModelSettings

_LIBRARIES = ("torch", "openvino", "transformers")
_FORM = 2  # of the file and of the way plans are measured
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
            "libraries": {name: version(name) for name in _LIBRARIES},
            "asked": [settings.runtime, settings.dtype, settings.batch_size, settings.threads],
        }
        directory = settings.cache_directory or platformdirs.user_cache_path("multimodal-worker")
        return cls(directory, key)

    @property
    def path(self) -> Path:
        """The file."""
        name = hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()[:32]
        return self.directory / f"plan-{name}.json"

    def read(self) -> Plan | None:
        """Return the plan, or None where there is none that can be used."""
        try:
            document = json.loads(self.path.read_bytes())
            if document["key"] != self.key:
                return None
            return _plan(document["plan"])
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def write(self, plan: Plan) -> None:
        """Keep the plan: written aside, then renamed, so that no reader sees half a file."""
        content = json.dumps({"key": self.key, "plan": asdict(plan)}, indent=1)
        with contextlib.suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.directory, suffix=".tmp")
            aside = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(content)
                aside.replace(self.path)
            finally:
                aside.unlink(missing_ok=True)


def _plan(fields: Mapping[str, object]) -> Plan:
    match fields:
        case {
            "runtime": "torch" | "compiled" | "openvino" | "int8" as runtime,
            "dtype": "float32" | "bfloat16" | "float16" as dtype,
            "batch_size": int(batch_size),
            "threads": int(threads),
        } if 0 < batch_size <= _MAX_BATCH_SIZE and 0 < threads <= _MAX_THREADS:
            return Plan(runtime, dtype, batch_size, threads)
        case _:
            raise ValueError("not a plan")
