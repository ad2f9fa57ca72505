"""`make bench-models`: each way to run the encoders, with its speed and what it does to vectors.

Speed is CPU time per item on one thread, the least of a few runs, so that neighbours on the
machine count little; the cosine is the smallest of the sample to float32 torch. A way that cannot
run here is told with its reason.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from worker.core.events import Modality
from worker.models.base import Encoder
from worker.models.plan import Dtype, Runtime
from worker.models.registry import DEFAULTS, build
from worker.models.samples import TEXTS, typical_clips, typical_frames, typical_texts
from worker.models.settings import ModelSettings

WAYS: Sequence[tuple[Runtime, Dtype]] = (
    ("torch", "float32"),
    ("torch", "bfloat16"),
    ("torch", "float16"),
    ("compiled", "float32"),
    ("compiled", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("int8", "float32"),
)
ITEMS, REPEATS = 16, 3
BATCH = {Modality.FRAME: 8, Modality.CAPTION: 1, Modality.AUDIO: 1}


@dataclass(frozen=True, slots=True)
class Row:
    """One encoder run in one way; `failure` is empty where it could be measured."""

    encoder: str
    runtime: str
    dtype: str
    batch_size: int
    cpu_ms_per_item: float
    cosine: float
    failure: str = ""


def main(
    output: Annotated[Path, typer.Option(help="Directory for models.json.")] = Path("out/bench"),
    frame: Annotated[str, typer.Option(help="Frame encoder.")] = DEFAULTS[Modality.FRAME],
    caption: Annotated[str, typer.Option(help="Caption encoder.")] = DEFAULTS[Modality.CAPTION],
    audio: Annotated[str, typer.Option(help="Audio encoder; the default has no network.")] = "",
) -> None:
    """Measure and print one table; write the same as JSON."""
    names = {Modality.FRAME: frame, Modality.CAPTION: caption, Modality.AUDIO: audio}
    with TemporaryDirectory() as cache:
        used = [(modality, name) for modality, name in names.items() if name]
        rows = [row for modality, name in used for row in _rows(name, modality, Path(cache))]
    output.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "machine": measure.machine(),
        "versions": measure.versions(),
        "commit": measure.commit(),
        "rows": [asdict(row) for row in rows],
    }
    (output / "models.json").write_text(json.dumps(document, indent=2) + "\n")
    Console().print(_table(rows))


def _rows(name: str, modality: Modality, cache: Path) -> Iterator[Row]:
    exact: NDArray[np.float64] | None = None
    for runtime, dtype in WAYS:
        settings = ModelSettings("cpu", dtype, runtime, BATCH[modality], 1, cache_directory=cache)
        try:
            encoder = build(name, modality, settings)
            batch = _batch(encoder)
            rows = encoder.encode(batch).astype(np.float64)
            seconds = min(_cpu_seconds(encoder, batch) for _ in range(REPEATS))
        except Exception as error:  # a compiler that is missing, an operation without this dtype
            yield Row(name, runtime, dtype, BATCH[modality], np.nan, np.nan, _reason(error))
            continue
        exact = rows if exact is None else exact
        cosine = float((rows * exact).sum(axis=1).min())
        yield Row(name, runtime, dtype, BATCH[modality], 1000 * seconds / len(batch), cosine)


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
    table = Table("encoder", "runtime", "dtype", "batch", "CPU ms/item", "x", "cosine")
    baseline: Mapping[str, float] = {
        row.encoder: row.cpu_ms_per_item
        for row in rows
        if (row.runtime, row.dtype) == ("torch", "float32")
    }
    for row in rows:
        speedup = baseline[row.encoder] / row.cpu_ms_per_item
        numbers = [f"{row.cpu_ms_per_item:.2f}", f"{speedup:.2f}", f"{row.cosine:.4f}"]
        told = [row.failure, "", ""] if row.failure else numbers
        table.add_row(row.encoder, row.runtime, row.dtype, str(row.batch_size), *told)
    return table


if __name__ == "__main__":
    run(main, "bench-models")
