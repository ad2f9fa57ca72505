"""Deciding anew: the same rules give the same decisions, other rules tell the difference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tests.runtime.builders import World, config, event, footage, in_time_order, picture
from worker.cli.app import app
from worker.cli.replay_run import Compared, Wanted, run_replay
from worker.config import Config
from worker.core.messages import Observation, to_json
from worker.core.policy import Severity
from worker.core.rfc3339 import seconds
from worker.errors import OperatorError
from worker.feed.events import FeedEvent
from worker.runtime.decision_diff import AlertLife, changes

QUICK = {"scoring__calibration_moments": 20, "scoring__false_alarms_per_day": 8640}


def stream(length: int = 60) -> list[FeedEvent]:
    """Three sources on two partitions: captions, a silence, a correlated event, an odd picture."""
    odd = [event("frame", 50.4 + n, name=f"odd-{n}", payload=picture(77)) for n in range(3)]
    paired = [event(kind, 33.2, "/cameras/b", correlation="c") for kind in ("frame", "audio")]
    pausing = [one for one in footage(length, "/cameras/e") if not 30e6 < one.time % 10**9 < 45e6]
    return in_time_order(footage(length), footage(length, "/cameras/b"), pausing, odd, paired)


def observed(here: Config, events: Sequence[FeedEvent]) -> list[Observation]:
    world = World(here, partitions=2)
    try:
        member = world.join()
        for one in events:
            world.append([one])
        member.run()
        world.fall_silent()
        member.run()
        member.leave()
        return world.observations()
    finally:
        world.close()


@pytest.fixture(scope="module")
def seen() -> list[Observation]:
    found = observed(config(**QUICK), stream())
    assert any(one.silent_after for one in found)
    assert any(one.correlation_id for one in found)
    assert any(one.modalities.carried for one in found)
    return found


def compared(seen: Sequence[Observation], **changed: object) -> Compared:
    def again() -> Iterator[Observation]:
        return iter(seen)

    return run_replay(again, config(**QUICK), config(**{**QUICK, **changed}))


def counts(found: Compared, wanted: Wanted | None = None) -> object:
    return found.document(wanted or Wanted())["counts"]


@settings(max_examples=5)
@given(
    st.sampled_from([2.0, 5000.0, 20_000.0]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 3.0, 60.0]),
    st.booleans(),
)
def test_a_replay_under_the_same_settings_gives_the_recorded_decisions(
    per_day: float, seed: int, cooldown: float, mute: bool
) -> None:
    here = config(
        scoring__calibration_moments=20,
        scoring__false_alarms_per_day=per_day,
        scoring__seed=seed,
        scoring__cooldown_seconds=cooldown,
        scoring__sources=[{"match": "/cameras/b", "mute": mute, "false_alarms_per_day": 9000}],
    )
    found = observed(here, stream(45))
    again = run_replay(lambda: iter(found), here, here)
    assert again.observations == len(found)
    assert again.differing == 0
    assert {each.kind for each in again.changes(Wanted())} <= {"same"}


def test_without_a_budget_all_alerts_are_lost(seen: list[Observation]) -> None:
    off = compared(seen, scoring__false_alarms_per_day=0)
    kinds = [each.kind for each in off.changes(Wanted())]
    assert kinds
    assert set(kinds) == {"lost"}
    assert (
        off.after.allowed(None) == 0 < off.before.allowed("/cameras/a") < off.before.allowed(None)
    )


def test_a_muted_source_loses_its_alerts_and_the_others_keep_theirs(
    seen: list[Observation],
) -> None:
    muted = compared(seen, scoring__sources=[{"match": "/cameras/a", "mute": True}])
    kinds = {(each.source, each.kind) for each in muted.changes(Wanted())}
    assert ("/cameras/a", "lost") in kinds
    assert {kind for source, kind in kinds if source != "/cameras/a"} == {"same"}
    assert set(muted.changes(Wanted(source="/cameras/a"))) < set(muted.changes(Wanted()))


def test_since_and_until_limit_the_alerts_not_what_is_learned_from(
    seen: list[Observation],
) -> None:
    off = compared(seen, scoring__false_alarms_per_day=0)
    times = sorted(each.time for each in off.changes(Wanted()))
    middle = times[len(times) // 2]
    early, late = off.changes(Wanted(until=middle)), off.changes(Wanted(since=middle))
    assert len(early) + len(late) == len(times)
    assert {each.kind for each in late} == {"lost"}
    assert min(each.time for each in late) == middle


def test_what_lies_before_the_first_observation_is_missed_and_that_is_told(
    seen: list[Observation],
) -> None:
    rest = seen[len(seen) // 2 :]
    assert compared(rest).differing > 0


def test_observations_out_of_order_are_refused(seen: list[Observation]) -> None:
    with pytest.raises(OperatorError, match=r"comes after number .*: give those of one run"):
        compared(seen[::-1])
    with pytest.raises(OperatorError, match="there are no Observations"):
        compared([])


def life(start: int, opened: int, closed: int | None, **other: object) -> AlertLife:
    usual = AlertLife("id", "/a", seconds(start), seconds(opened), None, Severity.LOW, ("visual",))
    ended = replace(usual, closed=None if closed is None else seconds(closed))
    return replace(ended, **other)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ([life(1, 3, 9)], [life(1, 3, 9)], ["same"]),
        ([life(1, 3, 9)], [life(1, 2, 9)], ["moved"]),
        ([life(1, 3, 9)], [life(1, 3, None)], ["moved"]),
        ([life(1, 3, 9)], [life(1, 3, 9, severity=Severity.HIGH)], ["changed"]),
        ([life(1, 3, 9)], [life(9, 11, 12)], ["lost", "gained"]),
        ([life(1, 3, 9)], [life(1, 3, 9, source="/b")], ["lost", "gained"]),
        ([life(1, 3, 90)], [life(1, 3, 9), life(20, 22, 30)], ["moved", "gained"]),
    ],
)
def test_alerts_of_one_source_that_overlap_are_one(
    before: list[AlertLife], after: list[AlertLife], kinds: list[str]
) -> None:
    assert [each.kind for each in changes(before, after)] == kinds


class TestTheCommand:
    @pytest.fixture
    def place(self, tmp_path: Path, seen: list[Observation]) -> Path:
        lines = b"\n".join(map(to_json, seen))
        (tmp_path / "observations.jsonl").write_bytes(lines + b"\n")
        scoring = "scoring: {calibration_moments: 20, false_alarms_per_day: %d}"
        (tmp_path / "now.yaml").write_text(scoring % 8640)
        (tmp_path / "other.yaml").write_text(scoring % 0)
        return tmp_path

    def run(self, place: Path, *more: str, other: str = "other.yaml") -> Result:
        options = ["--config", str(place / "now.yaml"), "--with", str(place / other)]
        files = ["--observations", str(place / "observations.jsonl")]
        return CliRunner().invoke(app, ["replay", *options, *files, *more])

    def test_it_prints_each_difference_and_the_totals(self, place: Path) -> None:
        done = self.run(place)
        assert done.exit_code == 0
        assert "lost" in done.stdout
        assert "after: 0 alerts, the budget allows 0 false ones" in done.stdout
        assert "decisions of before are those on record." in done.stdout

    def test_it_prints_json_for_programs(self, place: Path) -> None:
        found = json.loads(self.run(place, "--json", "--source", "/cameras/a").stdout)
        assert found["counts"]["lost"] == found["before"]["alerts"] > 0
        assert found["sources"].keys() == {"/cameras/a"}
        assert found["changes"][0]["after"] is None

    @pytest.mark.parametrize(
        ("spoil", "told"),
        [
            (
                ("other.yaml", b"pairing: {window_seconds: 2}"),
                "only scoring and models",
            ),
            (("observations.jsonl", b"{}\n"), "line 1 is no Observation: "),
            (("observations.jsonl", b"\n"), "there are no Observations"),
        ],
    )
    def test_what_cannot_be_replayed_is_refused_in_a_sentence(
        self, place: Path, spoil: tuple[str, bytes], told: str
    ) -> None:
        (place / spoil[0]).write_bytes(spoil[1])
        done = self.run(place)
        assert isinstance(done.exception, OperatorError)
        assert told in str(done.exception)
