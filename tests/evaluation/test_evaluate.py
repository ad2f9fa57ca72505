"""Runs against labels: what is measured of what, and what cannot be."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.evaluation.builders import SETTINGS, label, moment
from tests.schemas.files import load_example
from worker.cli.app import app
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.evaluation.evaluate import Evaluation, RunResult, evaluate
from worker.evaluation.labels import EventLabel
from worker.evaluation.moments import Judged, judged
from worker.evaluation.page import render
from worker.evaluation.slices import Measured

FIRE = label(20, 25)


def run(
    p_unusual: float = 1e-6, *, opened: tuple[int, ...] = (21,), source: str = "/a"
) -> list[Judged]:
    """Return a minute that warms up for ten seconds and is unusual from 20 to 25."""
    found = []
    for at in range(60):
        p = None if at < 10 else p_unusual if 20 <= at < 25 else 0.1 + (at * 7 % 10) / 11
        told = at in opened
        found.append(moment(at, p, source, told=told, alert_id=f"{at}" if told else None))
    return found


def measured(*runs: list[Judged], labels: tuple[EventLabel, ...] = (FIRE,)) -> Evaluation:
    return evaluate({f"run {n}": each for n, each in enumerate(runs)}, labels, SETTINGS)


def part(result: RunResult, group: str, name: str) -> Measured:
    (found,) = [each for each in result.measured if (each.group, each.name) == (group, name)]
    return found


def test_a_perfect_run_ranks_all_and_finds_the_event_in_time() -> None:
    evaluation = measured(run())
    (result,) = evaluation.runs
    assert (evaluation.moments, evaluation.left_out) == (50, 10)
    assert result.whole.auroc is not None
    assert result.whole.auroc.value == 1
    assert result.whole.recall_at_budget is not None
    assert result.whole.recall_at_budget.value == 1
    assert (result.events_found, result.seconds_to_detect) == (1, 2)
    assert (result.alerts, result.false_alarms) == (1, 0)


def test_alerts_of_no_event_are_false_and_an_event_without_alert_is_missed() -> None:
    (result,) = measured(run(opened=(15, 40))).runs
    assert (result.alerts, result.false_alarms, result.events_found) == (2, 2, 0)
    assert result.false_alarms / result.source_days == pytest.approx(2 * 1440)
    assert result.seconds_to_detect is None


def test_it_is_measured_by_label_expert_mask_source_and_day_part() -> None:
    moments = [
        replace(
            each,
            experts={"audio": 1e-5 if 20 <= number < 25 else 0.5} if number % 2 else {},
            present=(Modality.FRAME,) if number >= 40 else each.present,
        )
        for number, each in enumerate(run())
    ]
    (result,) = measured(
        moments + run(source="/b", opened=()),
        labels=(label(20, 25, modality=Modality.AUDIO), label(50, 52, "/b", Modality.FRAME)),
    ).runs
    assert part(result, "labels of", "audio").unusual == 5
    assert part(result, "labels of", "frame").unusual == 2
    assert part(result, "expert", "audio").moments == 25
    assert part(result, "modalities", "frame").moments == 20
    assert part(result, "modalities", "frame").auroc is None  # nothing unusual in it
    assert part(result, "source", "/b").unusual == 2
    assert part(result, "day part", "morning").moments == 100


def test_runs_are_compared_on_the_moments_that_both_have_judged() -> None:
    late = [replace(each, p_value=None) if n < 15 else each for n, each in enumerate(run(0.4))]
    evaluation = measured(run(), late)
    assert (evaluation.moments, evaluation.left_out) == (45, 15)
    (difference,) = evaluation.differences
    assert difference["auroc"].value < 0
    high = difference["auroc"].high
    assert high is not None
    assert high < 0.1
    assert {each["auroc"].value for each in measured(run(), run()).differences} == {0}


def test_labels_that_match_nothing_are_counted_or_refused() -> None:
    assert measured(run(), labels=(FIRE, label(1, 2, "/z"))).labels_without_moments == 1
    with pytest.raises(OperatorError, match=r"no label matches .* such as /a"):
        measured(run(), labels=(label(1, 2, "/z"), label(500, 600)))


@pytest.mark.parametrize(
    ("runs", "labels", "told"),
    [
        ([[]], (FIRE,), "there are no Observations"),
        ([run()], (label(0, 60),), "all 50 judged Moments are unusual"),
        ([run()], (label(0, 5),), "all 50 judged Moments are normal"),
        ([[moment(1, None)]], (label(0, 5),), "no Moment that was judged in every run"),
        ([run(), run(source="/b")], (FIRE,), "no Moment that was judged in every run"),
        (
            [run(), run()[5:]],
            (FIRE,),
            r"Observation of /a, which is at .*:00.* in run 0, .*:05",
        ),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    runs: list[list[Judged]], labels: tuple[EventLabel, ...], told: str
) -> None:
    with pytest.raises(OperatorError, match=told):
        measured(*runs, labels=labels)


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            assert name not in {"src", "href"}, "the page must need nothing else"
            if name == "points":
                self.lines.append(value or "")


def test_the_page_holds_both_curves_of_every_run_and_escapes_names() -> None:
    text = render(
        evaluate({"<b>one": run(), "two": run(0.3)}, [FIRE], SETTINGS), "against <i>labels"
    )
    assert len(_Page(text).lines) == 4
    assert "&lt;b&gt;one" in text
    assert "<b>one" not in text
    assert "against &lt;i&gt;labels" in text
    assert "default-src &#39;none&#39;" in text


class TestTheCommand:
    def run(self, tmp_path: Path, labels: str, *more: str) -> Result:
        usual = load_example("observation.full")
        for name, p_value in (("one", 1e-6), ("two", 0.5)):
            lines = []
            for n in range(20):
                clock = f"2026-03-14T09:26:{n + 10}"
                window = {"window_start": f"{clock}.000Z", "window_end": f"{clock}.900Z"}
                assessment = usual["assessment"] | {"p_value": p_value if n >= 15 else 0.5}
                one = usual | window | {"observation_id": f"{n:032x}", "assessment": assessment}
                lines.append(json.dumps(one))
            (tmp_path / name).mkdir()
            (tmp_path / name / "observations.jsonl").write_text("\n".join(lines))
        (tmp_path / "labels.csv").write_text(f"source,start,end,kind\n{labels}\n")
        files = [str(tmp_path / name / "observations.jsonl") for name in ("one", "two")]
        options = ["--labels", str(tmp_path / "labels.csv"), "--output", str(tmp_path / "out")]
        return CliRunner().invoke(app, ["evaluate", *files, *options, *more])

    def test_it_writes_numbers_and_page_and_prints_a_line_per_run(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, "/cameras/north-gate,15,20,fire")
        assert done.exit_code == 0, done.output
        assert "1.000" in done.stdout
        document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
        assert [each["name"] for each in document["runs"]] == ["one", "two"]
        assert document["runs"][0]["slices"][0]["auroc"]["value"] == 1
        assert document["differences_to_first"][0]["auroc"]["value"] == -0.5
        assert "<svg" in (tmp_path / "out" / "evaluation.html").read_text()

    def test_it_prints_what_it_writes_for_programs(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, "/cameras/north-gate,15,20,fire", "--json")
        assert json.loads(done.stdout) == json.loads(
            (tmp_path / "out" / "evaluation.json").read_text()
        )

    def test_labels_of_other_sources_are_refused(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, "/cameras/other,15,20,fire")
        assert isinstance(done.exception, OperatorError)


def test_an_amendment_is_not_measured() -> None:
    from worker.core.messages import read_observation

    usual = load_example("observation.full")
    usual["amends"] = "0" * 32
    assert judged([read_observation(json.dumps(usual).encode())]) == []
