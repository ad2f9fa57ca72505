"""What makes encoding cheaper, and what that costs: `make bench-variants`.

The held-out scenes, one stream each or more, with the sensor's noise and without, are encoded once
with every frame in float32 and once in each cheaper way, then judged. int8 is calibrated on the
sources' own first pictures, out of their warm-up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from tests.benchmarks import measure
from tests.benchmarks.command import run
from tests.benchmarks.quality import measures
from tests.benchmarks.quality.features import Encoded, batches, stacked
from tests.benchmarks.quality.incidents import ANOMALIES, WARM_UP
from tests.benchmarks.quality.judged import NOW, Judged, judge
from tests.benchmarks.quality.material import Array
from tests.benchmarks.quality.run import streams
from tests.benchmarks.quality.stream import Stream
from worker.cli.options import config_of
from worker.cli.quantise import decoded
from worker.core.events import Modality
from worker.core.moment import Moment
from worker.core.references import References
from worker.core.rfc3339 import seconds
from worker.media.limits import Limits
from worker.models.int8 import quantise, write_int8
from worker.models.network_encoders import FrameEncoder
from worker.models.tuning import cosines
from worker.pipeline import Pipeline
from worker.runtime.assemble import build_encoders, build_pipeline

EXACT = "every frame, float32"
NOISES: Mapping[str, float] = {"with noise": 1.0, "without noise": 0.0}
AGE = seconds(10)  # as models.reuse_seconds
PICTURES = 300  # to calibrate int8 by
BLOCK, RESAMPLES = 30, 500  # Moments drawn together, and how often


@dataclass(frozen=True, slots=True)
class Seen:
    """A stream as a pipeline sees it; `vectors` (frames, D) stand for its frames in order."""

    encoded: Encoded
    vectors: Array
    frames_encoded: int
    cpu_seconds: float  # of the encoder


@dataclass(frozen=True, slots=True)
class Row:
    """One way on all streams. Differences of AUROC are to EXACT, with a 95% interval."""

    auroc: float
    difference: float
    low: float
    high: float
    average_precision: float
    normal_below_01: float
    nuisances_below_01: float
    share_encoded: float
    cpu_ms_per_frame: float  # of those that came
    mean_cosine: float
    cosine_p01: float  # 1st percentile


def main(
    output: Annotated[Path, typer.Option(help="Directory for variants.json.")] = Path("out/bench"),
    seeds: Annotated[int, typer.Option(min=1, max=3, help="Streams of each scene.")] = 1,
    int8: Annotated[bool, typer.Option(help="Also in int8, which needs NNCF.")] = True,
    only: Annotated[str, typer.Option(help=f"One of: {', '.join(NOISES)}.")] = "",
) -> None:
    """Compare reuse and int8 with every frame in float32."""
    output.mkdir(parents=True, exist_ok=True)
    console = Console(width=170)
    found: dict[str, Any] = {}
    for name, noise in NOISES.items():
        if only not in {"", name}:
            continue
        chosen = [replace(each, noise=noise) for each in streams("held", seeds)]
        console.print(f"Rendering {len(chosen)} streams {name}")
        moments = [list(stream.moments()) for stream in chosen]
        ways = _ways(moments, output / "frames.int8" if int8 else None)
        seen = {
            way: [_seen(pipeline, *each) for each in zip(chosen, moments, strict=True)]
            for way, pipeline in ways.items()
        }
        rows = _rows(seen)
        found[name] = {way: asdict(row) for way, row in rows.items()}
        console.print(_table(name, rows))
    about = {"machine": measure.machine(), "versions": measure.versions()}
    document = {**about, "commit": measure.commit(), "seeds": seeds, "streams": found}
    (output / "variants.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _ways(moments: Sequence[Sequence[Moment]], file: Path | None) -> dict[str, Pipeline]:
    plain = {"models.dtype": "float32", "models.reuse": "off", "models.threads": 1}
    ways = {EXACT: _pipeline(plain), "reuse": _pipeline({**plain, "models.reuse": "auto"})}
    if file is not None:
        encoder = ways[EXACT].encoders[Modality.FRAME]
        assert isinstance(encoder, FrameEncoder)
        _calibrate(encoder, moments, file)
        int8 = {"models.dtype": "int8", "models.int8_network": str(file)}
        ways["int8"] = _pipeline({**plain, **int8})
    return ways


def _pipeline(settings: Mapping[str, object]) -> Pipeline:
    config = config_of(None, settings)
    return build_pipeline(config, build_encoders(config))


def _calibrate(encoder: FrameEncoder, moments: Sequence[Sequence[Moment]], file: Path) -> None:
    first = [
        moment for each in moments for moment in each[: min(WARM_UP, PICTURES // len(moments))]
    ]
    pictures = decoded((m.of(Modality.FRAME)[0] for m in first), Limits(), encoder.input_size)
    write_int8(file, quantise(encoder.network().openvino, pictures), encoder.float_digest)


def _seen(pipeline: Pipeline, stream: Stream, moments: Sequence[Moment]) -> Seen:
    embedded, vectors, count, cpu = [], [], 0, 0.0
    references = References(AGE)
    for batch in batches(
        pipeline.complete(pipeline.choose(pipeline.look(moment, references), references))
        for moment in moments
    ):
        wanted = pipeline.wanted(batch)
        frames = wanted.pop(Modality.FRAME)
        began = time.process_time()
        of_frames = pipeline.encode(Modality.FRAME, frames)
        cpu, count = cpu + time.process_time() - began, count + len(frames)
        others = {k: v for m, items in wanted.items() for k, v in pipeline.encode(m, items).items()}
        of_frames |= references.vectors(stream.source)
        fused = pipeline.fuse(batch, of_frames | others)
        for each in fused:
            references.keep(each.remembered)
        embedded += fused
        vectors += [of_frames[item.key] for one in batch for item in one.items[Modality.FRAME]]
    arrays = stacked(embedded)
    return Seen(Encoded(stream, arrays, arrays.pop("carried")), np.stack(vectors), count, cpu)


def _rows(seen: Mapping[str, Sequence[Seen]]) -> dict[str, Row]:
    judged = {way: judge([each.encoded for each in every])[0] for way, every in seen.items()}
    exact = np.concatenate([each.vectors for each in seen[EXACT]])
    return {
        way: _row(judged[way], judged[EXACT], every, exact.astype(np.float32))
        for way, every in seen.items()
    }


def _row(
    judged: Sequence[Judged], reference: Sequence[Judged], seen: Sequence[Seen], exact: Array
) -> Row:
    kinds, p_values = measures.joined(judged, [each.p_values[NOW] for each in judged])
    _, before = measures.joined(reference, [each.p_values[NOW] for each in reference])
    ranking, honesty = measures.ranking(kinds, p_values), measures.honesty(kinds, p_values)
    differences = _resampled(np.isin(kinds, list(ANOMALIES)), p_values, before)
    similar = cosines(np.concatenate([each.vectors for each in seen]).astype(np.float32), exact)
    low, high = np.quantile(differences, [0.025, 0.975])
    return Row(
        auroc=ranking.auroc,
        difference=ranking.auroc - measures.ranking(kinds, before).auroc,
        low=float(low),
        high=float(high),
        average_precision=ranking.average_precision,
        normal_below_01=honesty.below_01,
        nuisances_below_01=honesty.nuisances_below_01,
        share_encoded=sum(each.frames_encoded for each in seen) / len(exact),
        cpu_ms_per_frame=1000 * sum(each.cpu_seconds for each in seen) / len(exact),
        mean_cosine=float(similar.mean()),
        cosine_p01=float(np.quantile(similar, 0.01)),
    )


def _resampled(unusual: Array, p_values: Array, before: Array) -> list[float]:
    """Return differences of AUROC by a paired bootstrap of blocks: neighbours are alike."""
    random, blocks = (
        np.random.default_rng(0),
        np.array_split(np.arange(len(unusual)), max(1, len(unusual) // BLOCK)),
    )
    found = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([blocks[n] for n in random.integers(0, len(blocks), len(blocks))])
        if 0 < unusual[drawn].sum() < len(drawn):
            aurocs = [roc_auc_score(unusual[drawn], -p[drawn]) for p in (p_values, before)]
            found.append(float(aurocs[0] - aurocs[1]))
    return found


def _table(name: str, rows: Mapping[str, Row]) -> Table:
    columns = ("", "AUROC", "difference (95%)", "AP", "normal p<.01", "nuisances p<.01")
    more = ("frames encoded", "CPU ms/frame", "cosine", "1st percentile")
    table = Table(*columns, *more, title=f"Held-out scenes, {name}")
    for way, row in rows.items():
        table.add_row(
            way,
            f"{row.auroc:.3f}",
            f"{row.difference:+.4f} ({row.low:+.4f}..{row.high:+.4f})",
            *(f"{each:.3f}" for each in (row.average_precision, row.normal_below_01)),
            f"{row.nuisances_below_01:.3f}",
            f"{row.share_encoded:.0%}",
            f"{row.cpu_ms_per_frame:.2f}",
            f"{row.mean_cosine:.4f}",
            f"{row.cosine_p01:.4f}",
        )
    return table


if __name__ == "__main__":
    run(main, "bench-variants")
