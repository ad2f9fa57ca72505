"""Render, encode, judge, measure: `make bench-quality`.

On the scenes of "chosen" and "further" experts and constants were chosen, on those of "held"
nothing was. The first time takes minutes, to render and to encode; then features are on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.command import run
from tests.benchmarks.quality import discoveries, extras, further, long, measures, targets
from tests.benchmarks.quality.bundled import fitted_on, joined_by
from tests.benchmarks.quality.features import Encoded, FeatureStore
from tests.benchmarks.quality.incidents import GROUPS, plan
from tests.benchmarks.quality.judged import BASELINE, EXPERTS, NOW, Cost, Judged, judge, without
from tests.benchmarks.quality.material import PARTS
from tests.benchmarks.quality.picture import draw
from tests.benchmarks.quality.scenes import SCENES
from tests.benchmarks.quality.stream import Stream
from worker.cli.options import config_of
from worker.runtime.assemble import build_encoders, build_pipeline

Part = Literal["all", "chosen", "further", "held", "long"]
WITH_BUNDLE = "this worker with a bundle"
ROUNDS = 3  # seeds for which kinds of incidents are spread evenly over streams


def main(
    output: Annotated[Path, typer.Option(help="Directory for results.")] = Path(
        "out/bench-quality"
    ),
    seeds: Annotated[int, typer.Option(min=1, max=ROUNDS, help="Streams of each scene.")] = 3,
    frames: Annotated[
        bool, typer.Option(help="Encode frames; without, the two experts on embeddings are silent.")
    ] = True,
    part: Annotated[
        Part, typer.Option(help="Which scenes; the calm hours are a part too.")
    ] = "all",
) -> None:
    """Judge streams with known anomalies and nuisances, and compare with a common baseline."""
    console = Console(width=150)
    config = config_of(None)
    pipeline = build_pipeline(config, build_encoders(config))
    document: dict[str, Any] = {"seeds": seeds, "frames": frames}
    for name in (*PARTS, further.PART, "long") if part == "all" else (part,):
        rendering = "long" if name == "long" else ""
        store = FeatureStore(output / "features", pipeline, frames=frames, rendering=rendering)
        if name == "long":
            calm = [_encoded(store, stream, console) for stream in long.calm_streams("held")]
            document[name] = long.measured(calm)
            console.print(_long(document[name]))
            console.print(_targets(targets.of_hours(document[name])))
            continue
        rendered = further.streams() if name == further.PART else streams(name, seeds)
        encoded = [_encoded(store, stream, console) for stream in rendered]
        judged, cost = judge(encoded)
        document[name] = {
            **_measured(judged, cost),
            "bundle": _with_bundle(encoded),
            "masks": extras.by_mask(encoded),
            "watched": extras.watched(encoded, pipeline.encoders),
            "placed": extras.placed(judged),
            "discoveries": discoveries.controlled(judged),
        }
        _show(console, name, document[name])
        console.print(_targets(targets.of_part(document[name])))
    text = json.dumps(document, indent=2)
    (output / "results.json").write_text(text + "\n", encoding="utf-8")
    if "held" in document:
        draw(document, output / "results.png")


def streams(part: str, seeds: int) -> list[Stream]:
    """Return the streams of a part: each scene with each seed."""
    scenes = [scene for scene in SCENES if scene.part == part]
    rounds = ROUNDS * len(scenes)
    return [
        Stream.with_incidents(scene, seed, plan(seed * len(scenes) + place, rounds, 0))
        for seed in range(seeds)
        for place, scene in enumerate(scenes)
    ]


def _encoded(store: FeatureStore, stream: Stream, console: Console) -> Encoded:
    if not store.has(stream):
        console.print(f"Rendering and encoding {stream.source}: {stream.length} Moments")
    return store.encoded(stream)


def _measured(judged: Sequence[Judged], cost: Cost) -> dict[str, Any]:
    methods = {name: [each.p_values[name] for each in judged] for name in (NOW, BASELINE)}
    alone = {name: [each.experts[name] for each in judged] for name in EXPERTS}
    dropped = {name: [without(name, each) for each in judged] for name in EXPERTS}
    return {
        "methods": {name: _method(judged, p) for name, p in methods.items()},
        "experts": {name: _ranking(judged, p) for name, p in alone.items()},
        "without": {name: _ranking(judged, p) for name, p in dropped.items()},
        "first_reason_right": measures.named_right(judged),
        "cause_right": measures.cause_right(judged),
        "cost": asdict(cost),
        "moments": sum(len(each.kinds) for each in judged),
    }


def _with_bundle(encoded: Sequence[Encoded]) -> dict[str, Any]:
    """Return what the streams come to with a bundle that is fitted on their beginning."""
    trained = fitted_on(encoded)
    judged, _ = judge([joined_by(trained, each) for each in encoded], added=trained.pairs)
    alone = {pair: [each.experts[pair] for each in judged] for pair in trained.pairs}
    return {
        WITH_BUNDLE: _method(judged, [each.p_values[NOW] for each in judged]),
        **{pair: _ranking(judged, p) for pair, p in alone.items()},
    }


def _method(judged: Sequence[Judged], p_values: Sequence[Any]) -> dict[str, Any]:
    return {
        **_ranking(judged, p_values),
        **asdict(measures.honesty(*measures.joined(judged, p_values))),
        "two_per_day": asdict(measures.alerts(judged, p_values)),
        "one_per_hour": asdict(measures.alerts(judged, p_values, measures.PER_HOUR)),
    }


def _ranking(judged: Sequence[Judged], p_values: Sequence[Any]) -> dict[str, Any]:
    return asdict(measures.ranking(*measures.joined(judged, p_values)))


def _show(console: Console, part: str, measured: Mapping[str, Any]) -> None:
    console.print(_methods(part, measured))
    console.print(_groups(part, measured))
    console.print(_masks(part, measured["masks"]))
    cost, placed, watched = measured["cost"], measured["placed"], measured["watched"]
    free, held = measured["discoveries"]["without"], measured["discoveries"]["with"]
    console.print(
        f"First reason right: {measured['first_reason_right']:.0%}; where there is a name for the"
        f" cause, that is right: {measured['cause_right']:.0%}. The hottest cell is where"
        f" something was put: {placed['share']:.0%} of {placed['pictures']} pictures.\n"
        f"Watch phrases for dangerous captions: AUROC {watched['auroc']:.3f}, named in"
        f" {watched['named']:.0%} of the unusual Moments; normal p<.01 with them:"
        f" {watched['below_01']:.4f}.\n"
        f"At {discoveries.PER_DAY} false alarms a day {free['true']} true and {free['false']} false"
        f" alerts; with a false-discovery rate of {discoveries.RATE} {held['true']} and"
        f" {held['false']}.\n"
        f"A Moment costs {cost['moment_us']:.0f} us to score and learn; a source is"
        f" {cost['source_bytes'] / 1e6:.2f} MB.\n"
    )


def _methods(part: str, measured: Mapping[str, Any]) -> Table:
    table = Table(title=f"Part: {part} ({measured['moments']} Moments)")
    columns = ("", "AUROC", "AP", "nuisances p<.01", "normal p<.01", "p<.001", "KS")
    for name in (*columns, "recall 2/day", "recall 1/h", "delay s", "false alarms at 1/h"):
        table.add_column(name)
    bundled = {WITH_BUNDLE: measured["bundle"][WITH_BUNDLE]}
    for name, row in {**measured["methods"], **bundled}.items():
        strict, loose = row["two_per_day"], row["one_per_hour"]
        table.add_row(
            name,
            *(f"{row[key]:.3f}" for key in ("auroc", "average_precision", "nuisances_below_01")),
            *(f"{row[key]:.4f}" for key in ("below_01", "below_001")),
            f"{row['ks_distance']:.2f}",
            f"{strict['recall']:.2f}",
            f"{loose['recall']:.2f}",
            "" if loose["delay_seconds"] is None else f"{loose['delay_seconds']:.0f}",
            f"{loose['false_alarms']} of {loose['normal_moments']}, nuisances"
            f" {loose['nuisance_share']:.0%}",
        )
    return table


def _masks(part: str, measured: Mapping[str, Any]) -> Table:
    table = Table(title=f"Part {part}: where modalities are always missing")
    for name in ("", "normal p<.01", "p<.001", "nuisances p<.01", "false alarms at 1/h"):
        table.add_column(name)
    for name, row in measured.items():
        shares = (row["below_01"], row["below_001"], row["nuisances_below_01"])
        table.add_row(name, *(f"{each:.4f}" for each in shares), str(row["false_alarms"]))
    return table


def _long(measured: Mapping[str, Any]) -> Table:
    moments = measured[NOW]["moments"]
    table = Table(title=f"Hours in which nothing happens ({moments} Moments of held-out scenes)")
    for name in ("", "p<.01", "of the worst source", "p<.001", "KS", "alerts at 1/h"):
        table.add_column(name)
    for name, row in measured.items():
        shares = (row["below_01"], row["worst_source_below_01"], row["below_001"])
        cells = (*(f"{each:.4f}" for each in shares), f"{row['ks_distance']:.2f}")
        table.add_row(name, *cells, str(row["alerts"]))
    return table


def _targets(verdicts: Sequence[targets.Verdict]) -> Table:
    table = Table("target", "figure", "bound", "reached")
    for each in verdicts:
        reached = "yes" if each.is_reached else "no"
        table.add_row(each.target, f"{each.figure:.3f}", f"{each.bound:.3f}", reached)
    return table


def _groups(part: str, measured: Mapping[str, Any]) -> Table:
    table = Table(title=f"AUROC by group, part {part}; 'less' is all without that expert")
    for name in ("", "all", *GROUPS, "less: AUROC", "AP"):
        table.add_column(name)
    rows = {**measured["methods"], **measured["bundle"], **measured["experts"]}
    for name, row in rows.items():
        groups = [f"{row['groups'][group]:.3f}" for group in GROUPS]
        less = measured["without"].get(name)
        rest = ("", "") if less is None else (less["auroc"], less["average_precision"])
        cells = [each if isinstance(each, str) else f"{each:.3f}" for each in rest]
        table.add_row(name, f"{row['auroc']:.3f}", *groups, *cells)
    return table


if __name__ == "__main__":
    run(main, "bench-quality")
