from hypothesis import given
from hypothesis import strategies as st

from tests.report.builders import ORIGIN, SECOND, alert_span, at, camera, label, points
from worker.report import series
from worker.report.lanes import Numbered, lanes
from worker.report.model import CameraLine, Point

SPAN = series.Extent(at(0), at(10))


def test_the_extent_covers_moments_and_alerts_of_all_cameras() -> None:
    cameras = (camera(), camera("/b", points=(), alerts=(alert_span(6, 9),)))
    assert series.extent(cameras) == series.Extent(at(0), at(9))


def test_cameras_without_moments_have_no_extent() -> None:
    assert series.extent([camera(points=())]) is None


@given(st.integers(1, 10**7), st.integers(-(10**5), 10**5), st.integers(2, 15))
def test_ticks_are_inside_the_extent_and_bounded(length: int, first: int, at_most: int) -> None:
    span = series.Extent(at(first), at(first + length))
    found = series.ticks(span, ORIGIN, at_most)
    assert len(found) <= at_most
    assert all(span.start <= tick <= span.end for tick in found)


@given(
    st.lists(st.none() | st.floats(0, 1), max_size=300),
    st.integers(1, 40),
)
def test_reduction_is_bounded_and_keeps_the_highest_score(
    scores: list[float | None], at_most: int
) -> None:
    found = series.reduced(points(*scores), at_most)
    assert len(found) <= at_most
    known = [score for score in scores if score is not None]
    assert max((p.score for p in found if p.score is not None), default=None) == max(
        known, default=None
    )


def test_reduction_hides_no_missing_modality() -> None:
    whole = (*points(0.1, 0.2), Point(at(2), at(3), 0.1, missing=("audio",)))
    assert series.reduced(whole, 1)[0].missing == ("audio",)


def test_the_score_line_breaks_at_gaps_and_at_moments_that_were_not_judged() -> None:
    whole = (*points(0.1, 0.2, None, 0.3), Point(at(8), at(9), 0.4))
    stretches = [[p.score for p in s] for s in series.scored_stretches(whole)]
    assert stretches == [[0.1, 0.2], [0.3], [0.4]]


def test_neighbouring_moments_without_a_modality_are_one_run() -> None:
    line = camera(points=points(0.1, 0.1, missing=("frame",)))
    assert series.missing_runs(line) == {"frame": [series.Run(at(0), at(2))]}


def drawn(line: CameraLine, *, label_lane: bool = False) -> str:
    return lanes(line, SPAN, ORIGIN, {}, label_lane=label_lane).line


def test_scores_are_drawn_as_steps_from_top_to_bottom() -> None:
    assert drawn(camera(points=points(0.0, 1.0))) == "M0.0 100.0V100.0H100.0V0.0H200.0"


def test_flags_that_would_cover_each_other_go_to_a_second_row() -> None:
    line = camera(alerts=(alert_span(2, 3, 1), alert_span(2.4, 3, 2), alert_span(8, 9, 3)))
    numbers = {f"id-{i}": Numbered(i, f"alert-{i}") for i in (1, 2, 3)}
    flags = lanes(line, SPAN, ORIGIN, numbers, label_lane=False).flags
    assert [flag.y > 0 for flag in flags] == [False, True, False]


def test_where_flags_crowd_the_most_severe_alert_keeps_its_flag() -> None:
    severities = ("low", "low", "low", "critical")
    spans = tuple(alert_span(2 + i / 10, 3, i, severity=s) for i, s in enumerate(severities))
    numbers = {f"id-{i}": Numbered(i, "") for i in range(4)}
    drawing = lanes(camera(alerts=spans), SPAN, ORIGIN, numbers, label_lane=False)
    assert [flag.number for flag in drawing.flags] == [0, 3]
    assert len(drawing.alerts) == 4


def test_a_label_outside_the_shown_time_is_not_drawn() -> None:
    line = camera(labels=(label(4, 5), label(50, 60)))
    assert len(lanes(line, SPAN, ORIGIN, {}, label_lane=True).labels) == 1


def test_a_missing_modality_adds_a_named_lane() -> None:
    line = camera(points=points(0.1, missing=("audio",)))
    drawing = lanes(line, SPAN, ORIGIN, {}, label_lane=False)
    assert [lane.name for lane in drawing.names] == ["no sound"]
    assert drawing.height > lanes(camera(), SPAN, ORIGIN, {}, label_lane=False).height


def test_times_before_the_start_are_clipped() -> None:
    assert SPAN.share(at(-5)) == 0
    assert SPAN.share(at(0) + 11 * SECOND) == 1
