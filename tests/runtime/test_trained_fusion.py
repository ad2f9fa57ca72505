"""With a bundle: fused by what was fitted, agreement judged, and recovered like all the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.models.bundles import random_bundle
from tests.runtime.builders import World, config, encoders, footage, in_time_order
from tests.runtime.test_recovery import interrupted, uninterrupted
from tests.test_pipeline import moment_of
from worker.config import Config
from worker.core.events import PAIRS, Modality
from worker.core.messages import Observation
from worker.feed.events import FeedEvent
from worker.pipeline import Pipeline
from worker.runtime.assemble import build_pipeline, worker_rules
from worker.scoring.experts import agreement_feature
from worker.stages import Embedded


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return random_bundle(tmp_path / "bundle", encoders())


@pytest.fixture
def world(bundle: Path) -> Iterator[World]:
    here = World(settings_with(bundle))
    yield here
    here.close()


def settings_with(bundle: Path) -> Config:
    return config(
        models__bundle=str(bundle),
        scoring__calibration_moments=20,
        scoring__false_alarms_per_day=8640,
    )


def observed(here: World) -> list[Observation]:
    member = here.join()
    here.append(in_time_order(footage(90), footage(90, "/cameras/b", captions=False)))
    member.run()
    here.fall_silent()
    member.run()
    return here.observations()


def embedded(pipeline: Pipeline, *batches: list[FeedEvent]) -> list[Embedded]:
    prepared = [pipeline.prepare(moment_of(*events)) for events in batches]
    vectors = {
        key: vector
        for modality, contents in pipeline.wanted(prepared).items()
        for key, vector in pipeline.encode(modality, contents).items()
    }
    return pipeline.fuse(prepared, vectors)


def agreements(features: Mapping[str, object]) -> set[str]:
    return {pair for pair in PAIRS if agreement_feature(pair) in features}


def test_agreement_is_judged_per_pair_of_what_is_there(world: World) -> None:
    seen = observed(world)
    judged = [each for each in seen if each.assessment.consistency]
    assert judged
    full = {each.source: set(each.assessment.consistency) for each in judged}
    assert full == {"/cameras/a": set(PAIRS), "/cameras/b": {"frame-audio"}}
    for each in judged:
        told = each.assessment.consistency
        assert set(told) <= agreements(each.features)
        assert not set(told) & set(each.assessment.experts)
        assert all(one.p_value is not None and 0 < one.p_value <= 1 for one in told.values())
        assert set(told) <= set(each.raw_scores)


def test_missing_modalities_are_masked_and_have_no_weight(bundle: Path) -> None:
    pipeline = build_pipeline(config(models__bundle=str(bundle)), encoders())
    (one,) = embedded(pipeline, [each for each in footage(1) if each.modality is Modality.FRAME])
    assert one.weights == {"frame": 1.0, "caption": 0.0, "audio": 0.0}
    assert agreements(one.features) == set()
    assert np.linalg.norm(one.fused.astype(np.float32)) == pytest.approx(1, abs=1e-2)


def test_a_moment_is_fused_the_same_whatever_stands_beside_it(bundle: Path) -> None:
    pipeline = build_pipeline(config(models__bundle=str(bundle)), encoders())
    batches = [footage(1, f"/cameras/{name}") for name in "abc"]
    together = embedded(pipeline, *batches)
    for batch, beside in zip(batches, together, strict=True):
        (alone,) = embedded(pipeline, batch)
        assert alone.fused.tobytes() == beside.fused.tobytes()
        for name, value in alone.features.items():
            assert value.tobytes() == beside.features[name].tobytes()


@pytest.mark.parametrize("crashes", [{50, 90, 131}, {200, 260}])
def test_a_crash_changes_nothing_that_is_written(bundle: Path, crashes: set[int]) -> None:
    events = in_time_order(footage(90), footage(90, "/cameras/b", captions=False))
    first, second = World(settings_with(bundle)), World(settings_with(bundle))
    assert interrupted(second, events, crashes) == uninterrupted(first, events)
    first.close()
    second.close()


def test_another_bundle_is_another_meaning(tmp_path: Path, bundle: Path) -> None:
    other = random_bundle(tmp_path / "other", encoders(), seed=1)
    copy = random_bundle(tmp_path / "copy", encoders())
    meanings = []
    for place in ("", str(bundle), str(copy), str(other)):
        settings = config(models__bundle=place)
        pipeline = build_pipeline(settings, encoders())
        meanings.append(worker_rules(settings, pipeline, 1, {}).shard.meaning.model)
    plain, here, there, changed = meanings
    assert here == there
    assert len({plain, here, changed}) == 3


def test_embeddings_are_kept_where_they_are_asked_for() -> None:
    kept = build_pipeline(config(models__store_embeddings=True), encoders())
    plain = build_pipeline(config(), encoders())
    (one,), (other,) = embedded(kept, footage(1)), embedded(plain, footage(1))
    assert one.features.keys() - other.features.keys() == {"frame_embedding", "audio_embedding"}
    assert one.fused.tobytes() == other.fused.tobytes()
    assert kept.digest == plain.digest
