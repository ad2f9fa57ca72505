"""What the processor is, as far as it bears on the choice of a plan."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # x86, x86, Arm


@dataclass(frozen=True, slots=True)
class Processor:
    """`cores` is how many this process may keep busy; `bfloat16` is support in hardware."""

    model: str
    cores: int
    bfloat16: bool


def this_processor(
    cpuinfo: Path = Path("/proc/cpuinfo"), quota: Path = Path("/sys/fs/cgroup/cpu.max")
) -> Processor:
    """Read what the kernel says; without these files the processor has no bfloat16 and no quota."""
    fields = _first_processor(_text(cpuinfo))
    flags = f"{fields.get('flags', '')} {fields.get('Features', '')}".split()
    return Processor(
        model=fields.get("model name") or platform.processor() or platform.machine(),
        cores=min(_affine_cores(), _quota_cores(_text(quota))),
        bfloat16=bool(_BFLOAT16_FLAGS.intersection(flags)),
    )


def _first_processor(cpuinfo: str) -> dict[str, str]:
    lines = cpuinfo.split("\n\n", 1)[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _affine_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota_cores(cpu_max: str) -> int:
    """Return the cores of a control group's quota (`<quota> <period>`), rounded up.

    >>> _quota_cores("150000 100000"), _quota_cores("max 100000") > 1000
    (2, True)
    """
    match cpu_max.split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period):
            return max(1, math.ceil(int(quota) / int(period)))
        case _:
            return 1 << 20


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
