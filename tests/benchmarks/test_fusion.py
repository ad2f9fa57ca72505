"""What `make bench-fusion` compares, without rendering or encoding anything."""

from __future__ import annotations

import torch

from tests.benchmarks.fusion.agreement import REPEATS, pairs_of
from tests.benchmarks.fusion.operators import folds, measured
from tests.benchmarks.fusion.site import DAYS, EVIDENCE, HARMLESS, UNUSUAL, Day, Site
from tests.benchmarks.quality.captions import EVERY
from tests.benchmarks.quality.scenes import SCENES
from tests.training.builders import labels, rows
from worker.training.dataset import assemble


def test_a_moment_is_unusual_where_at_least_one_modality_witnesses_something() -> None:
    evidence = {kind for kinds in EVIDENCE.values() for kind in kinds}
    assert not evidence & {kind for kinds in HARMLESS.values() for kind in kinds}
    witnesses = []
    for scene in SCENES:
        day = Day.of(scene, 0)
        for number, label in zip(day.numbers(), day.labels(), strict=True):
            shown = [each.kind for each in day.incidents if each.covers(number)]
            witnesses.append(len(evidence.intersection(shown)))
            assert (label == UNUSUAL) == (witnesses[-1] > 0)
            assert len(shown) <= 3
    assert {0, 1, 2, 3} == set(witnesses)
    assert all(each.start % EVERY == 0 for each in day.incidents)  # when a caption comes


def made_up() -> Site:
    found = rows(60, len(SCENES) * DAYS, missing=0)
    data = assemble(found, labels(found))
    return Site((), data, data.source % len(SCENES), data.source // len(SCENES))


def test_what_is_tested_on_shares_no_day_or_no_camera_with_what_was_learned() -> None:
    site = made_up()
    for split, kept in (("days", site.day), ("cameras", site.camera)):
        tested = 0
        for fold in folds(site, split):
            by_source = dict(zip(site.data.source.tolist(), kept.tolist(), strict=True))
            sides = [
                {by_source[source] for source in data.source.tolist()}
                for data in (fold.train, fold.test)
            ]
            assert not sides[0] & sides[1]
            tested += len(fold.test)
        assert tested == len(site)


def test_a_score_that_knows_the_class_by_one_modality_is_worth_what_masks_leave_of_it() -> None:
    data = made_up().data
    known = data.rows((data.label >= 0).nonzero().squeeze(1))
    aurocs = measured(lambda rows, present: (rows.label * present[:, 0]).numpy(), known)
    assert aurocs == [1.0, (1 + 1 + 0.5) / 3, (1 + 0.5 + 0.5) / 3]


def test_false_pairs_are_of_other_moments() -> None:
    site = made_up()
    data = site.data.rows((site.camera == 0).nonzero().squeeze(1))
    pairs = pairs_of(data, 0)
    false = pairs.true == 0
    assert (pairs.picture[~false] == pairs.caption[~false]).all()
    assert (pairs.picture[false] != pairs.caption[false]).all()
    assert len(data) < len(pairs.true) <= (1 + REPEATS) * len(data)
    assert torch.equal(torch.from_numpy(pairs.true), (torch.arange(len(false)) < len(data)).long())
