"""A bundle that is tried: scored, decided and learned beside the live one, and never heard of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.models.bundles import random_bundle
from tests.runtime.builders import (
    HashEncoder,
    World,
    config,
    encoders,
    event,
    footage,
    in_time_order,
    shapes,
)
from tests.runtime.test_recovery import interrupted, later, settled, uninterrupted
from worker.cli.app import app
from worker.cli.replay_run import Wanted, run_replay
from worker.core.events import Modality
from worker.core.messages import (
    BundleRecord,
    Feedback,
    Observation,
    read_observation,
)
from worker.core.policy import Budget
from worker.errors import OperatorError
from worker.models.bundles.bundle import open_bundle
from worker.models.bundles.settings import Input
from worker.runtime.alert_book import AlertBook
from worker.runtime.assemble import build_pipeline, worker_rules
from worker.runtime.fusions import open_shadow, shadow_fusion
from worker.runtime.other_fusion import OtherFusion
from worker.runtime.policies import alert_policies, scoring_rules, shadow_policies
from worker.runtime.seen import Seen
from worker.runtime.shadow import Shadow
from worker.scoring import sources as sources_module
from worker.scoring.recent import Mark
from worker.scoring.scorer import Scorer

MakeWorld = Callable[..., World]
QUICK = {"scoring__calibration_moments": 20, "scoring__false_alarms_per_day": 8640}
QUIET = {"scoring__false_alarms_per_day": 0}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return random_bundle(tmp_path / "bundle", encoders())


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return random_bundle(tmp_path / "other", encoders(), seed=1)


def tried(place: Path, **rules: object) -> dict[str, object]:
    return {**QUICK, "scoring__shadow": {"bundle": str(place), **rules}}


STREAM = in_time_order(footage(45), [event("frame", 40.4, name="odd", payload=shapes())])


def observed(world: World) -> list[Observation]:
    uninterrupted(world, STREAM)
    return world.observations()


def records(observations: list[Observation]) -> list[BundleRecord]:
    found = [each.shadow.bundle for each in observations if each.shadow is not None]
    return [each for each in found if each is not None]


def test_nothing_of_what_holds_changes_and_all_that_is_tried_is_on_record(
    world: MakeWorld, bundle: Path
) -> None:
    plain, here = world(**QUICK), world(**tried(bundle))
    before, after = observed(plain), observed(here)
    for one, other in zip(before, after, strict=True):
        document, same = one.document(), other.document()
        assert "shadow" not in document
        assert {name: same[name] for name in document} == document
    assert plain.values("alerts") == here.values("alerts") != []
    found = records(after)
    assert len(found) == len(after)
    assert {each.digest for each in found} == {open_bundle(bundle).digest}
    assert [each.assessment.warming_up for each in found] == [
        each.assessment.warming_up for each in after
    ]
    judged = sum(each.assessment.p_value is not None for each in found)
    assert here.members[-1].metric("shadow_p_value_count") == judged > 0
    assert plain.members[-1].metric("shadow_p_value_count") == 0
    assert found[-1].assessment.consistency
    assert not after[-1].assessment.consistency
    assert found[-1].features.keys() >= {"fused", "agreement_frame-audio"}
    assert not np.array_equal(found[-1].features["fused"], after[-1].features["fused"])


def test_the_live_bundle_in_its_own_shadow_says_the_same(world: MakeWorld, bundle: Path) -> None:
    here = world(**tried(bundle), models__bundle=str(bundle))
    for each in observed(here):
        assert each.shadow is not None
        assert each.shadow.bundle is not None
        assert each.shadow.decision == each.decision
        assert each.shadow.bundle.assessment == each.assessment
        assert each.shadow.bundle.raw_scores == each.raw_scores


def test_a_bundle_that_is_tried_decides_by_the_rules_that_are_tried(
    world: MakeWorld, bundle: Path
) -> None:
    here = world(**{**tried(bundle, false_alarms_per_day=20_000), **QUIET})
    kinds = {each.shadow.decision.kind for each in observed(here) if each.shadow is not None}
    assert "open" in kinds
    assert here.values("alerts") == []


@pytest.mark.parametrize("replay", [1, 4000])
def test_a_crash_changes_nothing_of_what_is_tried(
    world: MakeWorld, bundle: Path, replay: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "REPLAY_MOMENTS", replay)
    first, second = world(**tried(bundle)), world(**tried(bundle))
    assert interrupted(second, STREAM, {40, 70, 85}) == uninterrupted(first, STREAM)


def test_another_bundle_in_shadow_warms_up_while_the_live_scores_go_on(
    world: MakeWorld, bundle: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "REPLAY_MOMENTS", 1)
    here = world(**tried(bundle))
    here.append(footage(40))
    member = here.join()
    member.run()
    member.leave()  # with windows open: it is no change of meaning, so nothing has to be drained
    assert stored(here, b"shadow:")
    here.settings = config(**tried(other))
    here.append(later(footage(8), 40))
    settled(here)
    assert not stored(here, b"shadow:") - stored(here, b"scorer:")
    seen = here.observations()[-1]
    assert not seen.assessment.warming_up
    (last,) = records([seen])
    assert last.digest == open_bundle(other).digest
    assert last.assessment.warming_up
    assert last.assessment.warmup is not None
    assert 0 < last.assessment.warmup.have < 10
    here.settings = config(**QUICK)
    here.append(later(footage(4), 60))
    settled(here)
    assert not stored(here, b"shadow:")
    assert here.observations()[-1].shadow is None
    assert not here.observations()[-1].assessment.warming_up


def stored(here: World, prefix: bytes) -> set[bytes]:
    """Return the sources of which there are numbers of a kind."""
    return {key.removeprefix(prefix) for key in here.state_keys() if key.startswith(prefix)}


class TestABundleIsRefused:
    def test_where_it_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(OperatorError, match="is no directory"):
            open_shadow(config(**tried(tmp_path / "none")))

    def test_where_it_is_not_the_pinned_one(self, bundle: Path) -> None:
        digest = open_bundle(bundle).digest
        assert open_shadow(config(**tried(bundle, bundle_digest=digest[:12]))) is not None
        with pytest.raises(OperatorError, match=r"scoring\.shadow\.bundle_digest is 00000000 but"):
            open_shadow(config(**tried(bundle, bundle_digest="0" * 8)))

    def test_where_it_is_pinned_and_not_named(self) -> None:
        with pytest.raises(OperatorError, match="must name the bundle that bundle_digest pins"):
            config(scoring__shadow={"bundle_digest": "0" * 8})

    def test_where_it_was_fitted_with_other_encoders(self, bundle: Path) -> None:
        frames = HashEncoder(Modality.FRAME)
        frames.digest = "f" * 64
        with pytest.raises(OperatorError, match="was fitted on frame vectors of hash-frame"):
            build_pipeline(config(**tried(bundle)), encoders(frame=frames))

    def test_where_it_was_fitted_with_encoders_of_its_own(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = open_bundle(bundle).preprocessing.inputs["caption"]
        own = Input(**{**read.model_dump(), "tuned": True, "digest": "e" * 64})
        opened = open_bundle(bundle)
        monkeypatch.setitem(opened.preprocessing.inputs, "caption", own)
        monkeypatch.setattr("worker.runtime.fusions.open_shadow", lambda _: opened)
        told = r"encoders of its own \(caption\).*without tuning, or run it in a group of its own"
        with pytest.raises(OperatorError, match=told):
            shadow_fusion(config(**tried(bundle)), encoders())


def test_its_digest_is_no_part_of_the_live_meaning(bundle: Path, other: Path) -> None:
    found = [
        worker_rules(settings, build_pipeline(settings, encoders()), 1, {})
        for settings in (config(**QUICK), config(**tried(bundle)), config(**tried(other)))
    ]
    assert len({rules.shard.meaning for rules in found}) == 1
    assert len({rules.composer.model for rules in found}) == 1
    models = [None if r.recovery.shadow is None else r.recovery.shadow.model for r in found]
    assert models[0] is None
    assert len(set(models)) == 3


def test_it_is_gated_by_the_budget_that_is_tried(bundle: Path) -> None:
    settings = config(**tried(bundle, false_alarms_per_day=200))
    rules = worker_rules(settings, build_pipeline(settings, encoders()), 1, {}).recovery
    assert rules.scoring.alpha == Budget.of(8640, 1).alpha
    assert rules.shadow is not None
    assert rules.shadow.scoring.alpha == Budget.of(200, 1).alpha
    assert shadow_policies(config(**tried(bundle))) == alert_policies(config(**QUICK))


def test_what_people_say_of_alerts_that_were_sent_changes_what_is_normal_in_shadow() -> None:
    settings = config(**QUICK)
    scorer = Scorer(scoring_rules(settings, 1))
    live = Scorer(scoring_rules(settings, 1))
    shadow = Shadow(AlertBook(alert_policies(settings), {}), scorer)
    features = {"fused": np.ones(64, np.float16)}
    for second in range(3):
        seen = Seen("/a", second, second + 1, {}, False, False, False, "ab" * 16, shadowed=features)
        scored = live.score("/a", {}, second, carried=False)
        shadow.decide(seen, scored, (), Mark("ab" * 16, "cd" * 16))
    memory = scorer._sources.get("/a")
    assert memory is not None
    said = Feedback("/a", "normal", 4, alert_id="cd" * 16)
    assert not any(each.is_accepted for each in memory.alerted._kept)
    shadow.heed(said)
    assert all(each.is_accepted for each in memory.alerted._kept)
    shadow.heed(Feedback("/a", "learn_anew", 5))
    assert scorer._sources.get("/a") is not memory


class TestAReplayOfTwoBundles:
    @pytest.fixture
    def seen(self, world: MakeWorld, bundle: Path) -> list[Observation]:
        return observed(world(**tried(bundle), models__store_embeddings=True))

    def test_decides_as_the_one_in_shadow_did(self, seen: list[Observation], bundle: Path) -> None:
        now, then = config(**QUICK), config(**QUICK, models__bundle=str(bundle))
        compared = run_replay(lambda: iter(seen), now, then)
        assert compared.differing == 0
        found = {each.alert_id for each in compared.after.lives.opened(None, None)}
        told = {
            each.shadow.decision.alert_id
            for each in seen
            if each.shadow is not None and each.shadow.decision.kind != "none"
        }
        assert found == told
        assert {each.kind for each in compared.changes(Wanted())} <= {
            "gained", "lost", "moved", "changed", "same",
        }  # fmt: skip

    def test_makes_the_features_that_were_on_record(
        self, seen: list[Observation], bundle: Path
    ) -> None:
        fusion = OtherFusion(open_bundle(bundle), None, 0)
        for each in seen:
            (kept,) = records([each])
            recorded = fusion.features(each)
            made = fusion.features(without_shadow(each))
            assert made.keys() == recorded.keys() >= kept.features.keys()
            for name, value in made.items():
                assert value.tobytes() == recorded[name].tobytes()

    def test_is_refused_where_observations_do_not_keep_what_it_takes(
        self, world: MakeWorld, bundle: Path
    ) -> None:
        seen = observed(world(**QUICK))
        fusion = OtherFusion(open_bundle(bundle), None, 0)
        with pytest.raises(OperatorError, match=r"does not keep: set models\.store_embeddings"):
            fusion.features(seen[-1])

    def test_does_not_go_back_to_no_bundle(self, tmp_path: Path) -> None:
        (tmp_path / "now.yaml").write_text("models: {bundle: /models/now}")
        (tmp_path / "other.yaml").write_text("{}")
        options = ["--config", str(tmp_path / "now.yaml"), "--with", str(tmp_path / "other.yaml")]
        with pytest.raises(OperatorError, match="name a bundle in the other configuration too"):
            CliRunner().invoke(app, ["replay", *options], catch_exceptions=False)

    def test_is_refused_where_their_encoders_differ(self, bundle: Path, tmp_path: Path) -> None:
        frames = HashEncoder(Modality.FRAME)
        frames.digest = "f" * 64
        foreign = random_bundle(tmp_path / "foreign", encoders(frame=frames))
        with pytest.raises(OperatorError, match="a replay has no encoders to make others"):
            OtherFusion(open_bundle(foreign), open_bundle(bundle), 0)


def without_shadow(observation: Observation) -> Observation:
    document = json.loads(json.dumps(observation.document()))
    del document["shadow"]
    return read_observation(json.dumps(document).encode())
