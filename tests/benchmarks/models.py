"""`make bench-models`: each way to run the encoders, with its speed and what it does to vectors.

Speed is CPU time per item on one thread, the least of a few runs, so that neighbours on the
machine count little; the cosine is the smallest of the sample to float32 torch. A way that cannot
run here is told with its reason. The last ways have the smallest weights set to zero, as `fit
--prune` begins; what training makes up for is not in them.

A second table has what a process takes until an encoder is ready, imports included: the first time
on a machine, where networks are converted and plans measured, and again, where both are kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks import measure
from tests.benchmarks.command import run
from tests.benchmarks.own_process import told_by
from worker.core.events import Modality
from worker.models.base import Encoder
from worker.models.minilm import as_directory
from worker.models.names import tuned
from worker.models.plan import Dtype, Runtime
from worker.models.registry import DEFAULTS, build
from worker.models.samples import TEXTS, typical_clips, typical_frames, typical_texts
from worker.models.settings import ModelSettings
from worker.models.shipped import MINILM
from worker.models.trainable import open_trainable
from worker.training.pruning import Pruned

WAYS: Sequence[tuple[Runtime, Dtype]] = (
    ("torch", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("torch", "bfloat16"),
    ("int8", "float32"),
    ("openvino", "float16"),
    ("torch", "float16"),  # from here on minutes; compiled float16 took longer than that on a CPU
    ("compiled", "float32"),
    ("compiled", "bfloat16"),
)
START = "tests.benchmarks.start"
STARTS: Sequence[Runtime] = ("torch", "openvino")
PRUNED: Sequence[tuple[Runtime, float]] = (("torch", 0.3), ("openvino", 0.3), ("torch", 0.6))
ITEMS, REPEATS = 16, 3
BATCH = {Modality.FRAME: 8, Modality.CAPTION: 1, Modality.AUDIO: 1}


@dataclass(frozen=True, slots=True)
class Row:
    """One encoder run in one way.

    Figures are None, and `failure` says why, where it cannot be. `speedup` is to float32 torch.
    """

    encoder: str
    runtime: str
    dtype: str
    batch_size: int
    cpu_ms_per_item: float | None = None
    speedup: float | None = None
    cosine: float | None = None
    failure: str = ""
    zeros: float = 0.0


@dataclass(frozen=True, slots=True)
class Start:
    """CPU seconds of a process until an encoder is ready, float32 on one thread."""

    encoder: str
    runtime: str
    first: float
    again: float


def main(
    output: Annotated[Path, typer.Option(help="Directory for models.json.")] = Path("out/bench"),
    frame: Annotated[str, typer.Option(help="Frame encoder.")] = DEFAULTS[Modality.FRAME],
    caption: Annotated[str, typer.Option(help="Caption encoder.")] = DEFAULTS[Modality.CAPTION],
    audio: Annotated[str, typer.Option(help="Audio encoder; the default has no network.")] = "",
) -> None:
    """Measure and print both tables; write the same as JSON."""
    names = {Modality.FRAME: frame, Modality.CAPTION: caption, Modality.AUDIO: audio}
    used = [(modality, name) for modality, name in names.items() if name]
    rows: list[Row] = []
    starts: list[Start] = []
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as cache:
        for modality, name in used:
            for row in _rows(name, modality, Path(cache)):
                rows.append(row)
                _write(output, rows, starts)
    for modality, name in used:
        for runtime in STARTS:
            starts.append(_start(name, modality, runtime))
            _write(output, rows, starts)
    Console().print(_table(rows), _table_of_starts(starts))


def _write(output: Path, rows: Sequence[Row], starts: Sequence[Start]) -> None:
    """Write what is measured so far: all of it takes minutes."""
    document: dict[str, Any] = {
        "machine": measure.machine(),
        "versions": measure.versions(),
        "commit": measure.commit(),
        "rows": [asdict(row) for row in rows],
        "starts": [asdict(start) for start in starts],
    }
    (output / "models.json").write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def _rows(name: str, modality: Modality, cache: Path) -> Iterator[Row]:
    exact: NDArray[np.float64] | None = None
    reference = np.nan
    pruned = {share: _pruned(name, modality, share, cache) for _, share in PRUNED}
    ways = [(name, runtime, dtype, 0.0) for runtime, dtype in WAYS]
    ways += [(pruned[share], runtime, "float32", share) for runtime, share in PRUNED]
    for built, runtime, dtype, zeros in ways:
        settings = _settings(modality, runtime, dtype, cache)
        row = Row(name, runtime, dtype, BATCH[modality], zeros=zeros)
        try:
            encoder = build(built, modality, settings)
            batch = _batch(encoder)
            rows = encoder.encode(batch).astype(np.float64)
            seconds = min(_cpu_seconds(encoder, batch) for _ in range(REPEATS))
        except Exception as error:  # a compiler that is missing, an operation without this dtype
            yield replace(row, failure=_reason(error))
            continue
        if exact is None:
            exact, reference = rows, seconds
        cosine = float((rows * exact).sum(axis=1).min())
        yield replace(
            row,
            cpu_ms_per_item=1000 * seconds / len(batch),
            speedup=reference / seconds,
            cosine=cosine,
        )


def _pruned(name: str, modality: Modality, share: float, cache: Path) -> str:
    """Write the encoder with a share of its weights at zero, and return its name."""
    place = cache / f"{modality}-{share}"
    place.mkdir(exist_ok=True)
    if name == MINILM:
        for file, content in as_directory().items():
            (place / file).write_bytes(content)
    base = f"transformers:{place}" if name == MINILM else name
    network = open_trainable(base, modality, ModelSettings("cpu"))
    Pruned.smallest(network.module, share)
    for file, content in network.files().items():
        (place / file).write_bytes(content)
    return tuned(name, place)


def _start(name: str, modality: Modality, runtime: Runtime) -> Start:
    """Start twice, each time in a process of its own."""
    with TemporaryDirectory() as cache:
        first, again = (told_by(START, name, modality, runtime, cache) for _ in range(2))
    return Start(name, runtime, first, again)


def _settings(modality: Modality, runtime: Runtime, dtype: Dtype, cache: Path) -> ModelSettings:
    return ModelSettings("cpu", dtype, runtime, BATCH[modality], 1, cache_directory=cache)


def _batch(encoder: Encoder) -> Any:
    if encoder.modality is Modality.FRAME:
        return typical_frames(ITEMS, encoder.input_size)
    if encoder.modality is Modality.CAPTION:
        return typical_texts(ITEMS // len(TEXTS))
    return list(typical_clips(ITEMS))


def _cpu_seconds(encoder: Encoder, batch: Any) -> float:
    began = time.process_time()
    encoder.encode(batch)
    return time.process_time() - began


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:80]


def _table(rows: Sequence[Row]) -> Table:
    table = Table("encoder", "runtime", "dtype", "zeros", "batch", "CPU ms/item", "x", "cosine")
    for row in rows:
        told = (
            [row.failure, "", ""]
            if row.failure
            else [f"{row.cpu_ms_per_item:.2f}", f"{row.speedup:.2f}", f"{row.cosine:.4f}"]
        )
        way = (row.encoder, row.runtime, row.dtype, f"{row.zeros:.0%}", str(row.batch_size))
        table.add_row(*way, *told)
    return table


def _table_of_starts(starts: Sequence[Start]) -> Table:
    table = Table("encoder", "runtime", "first start, CPU s", "again")
    for start in starts:
        table.add_row(start.encoder, start.runtime, f"{start.first:.1f}", f"{start.again:.1f}")
    return table


if __name__ == "__main__":
    run(main, "bench-models")
