"""`make bench-models`: each way to run the encoders, with its speed and what it does to vectors.

Speed is CPU time per item on one thread, the least of a few runs, so that neighbours on the
machine count little; the cosine is the smallest of the sample to float32 torch. A way that cannot
run here is told with its reason. The last ways have the smallest weights set to zero, as `fit
--prune` begins; what training makes up for is not in them.
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
    ("torch", "bfloat16"),
    ("torch", "float16"),
    ("compiled", "float32"),
    ("compiled", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("int8", "float32"),
)
PRUNED: Sequence[tuple[Runtime, float]] = (("torch", 0.3), ("openvino", 0.3), ("torch", 0.6))
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
    zeros: float = 0.0


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
    pruned = {share: _pruned(name, modality, share, cache) for _, share in PRUNED}
    ways = [(name, runtime, dtype, 0.0) for runtime, dtype in WAYS]
    ways += [(pruned[share], runtime, "float32", share) for runtime, share in PRUNED]
    for built, runtime, dtype, zeros in ways:
        settings = ModelSettings("cpu", dtype, runtime, BATCH[modality], 1, cache_directory=cache)
        try:
            encoder = build(built, modality, settings)
            batch = _batch(encoder)
            rows = encoder.encode(batch).astype(np.float64)
            seconds = min(_cpu_seconds(encoder, batch) for _ in range(REPEATS))
        except Exception as error:  # a compiler that is missing, an operation without this dtype
            yield Row(name, runtime, dtype, BATCH[modality], np.nan, np.nan, _reason(error), zeros)
            continue
        exact = rows if exact is None else exact
        cosine = float((rows * exact).sum(axis=1).min())
        cost = 1000 * seconds / len(batch)
        yield Row(name, runtime, dtype, BATCH[modality], cost, cosine, zeros=zeros)


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
    baseline: Mapping[str, float] = {
        row.encoder: row.cpu_ms_per_item
        for row in rows
        if (row.runtime, row.dtype, row.zeros) == ("torch", "float32", 0)
    }
    for row in rows:
        speedup = baseline[row.encoder] / row.cpu_ms_per_item
        numbers = [f"{row.cpu_ms_per_item:.2f}", f"{speedup:.2f}", f"{row.cosine:.4f}"]
        told = [row.failure, "", ""] if row.failure else numbers
        way = (row.encoder, row.runtime, row.dtype, f"{row.zeros:.0%}", str(row.batch_size))
        table.add_row(*way, *told)
    return table


if __name__ == "__main__":
    run(main, "bench-models")
