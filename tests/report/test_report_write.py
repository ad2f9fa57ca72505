import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.report.builders import alert_span, at, camera, label, points, report
from worker.errors import OperatorError
from worker.report.model import CameraLine, Point
from worker.report.timeline import WIDTH, timeline_png
from worker.report.write import write_report


def image(content: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(content))
    opened.load()
    return opened


def ink(line: CameraLine) -> int:
    """Count the pixels that are not white."""
    grey = np.asarray(image(timeline_png(report(cameras=(line,)))).convert("L"))
    return int((grey < 250).sum())


def test_the_time_line_is_a_png_as_wide_as_promised_and_grows_with_the_cameras() -> None:
    one = image(timeline_png(report()))
    three = image(timeline_png(report(cameras=tuple(camera(f"/c{i}") for i in range(3)))))
    assert (one.format, one.width, three.width) == ("PNG", WIDTH, WIDTH)
    assert three.height == one.height + 2 * 175


def test_alerts_labels_and_missing_modalities_leave_marks() -> None:
    bare = camera(points=points(0.1, 0.2, 0.3, 0.4))
    plain = ink(bare)
    assert ink(replace(bare, alerts=(alert_span(1, 3),))) > plain + 5000
    assert ink(replace(bare, labels=(label(1, 3),))) > plain + 500
    silent = replace(bare, points=points(0.1, 0.2, 0.3, 0.4, missing=("audio",)))
    assert ink(silent) > plain + 500


def test_an_alert_of_seconds_is_seen_on_the_time_line_of_a_day() -> None:
    day = Point(at(0), at(86_400), 0.1)
    plain = ink(camera(points=(day,)))
    assert ink(camera(points=(day,), alerts=(alert_span(40_003, 40_005),))) > plain + 80


@pytest.mark.parametrize("name", ["$\\frac$", "カメラ", "a" * 500, "100%\n2", "$x"])
def test_a_camera_may_have_any_name(name: str) -> None:
    assert image(timeline_png(report(cameras=(camera(name),), title=name))).width == WIDTH


def test_a_time_line_of_nothing_is_a_picture_too() -> None:
    assert image(timeline_png(report(cameras=(), alerts=()))).width == WIDTH


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "new" / "out")
    assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == [
        "report.html",
        "timeline.png",
    ]


def test_an_older_report_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    write_report(report(), tmp_path)
    assert (tmp_path / "report.html").read_text("utf-8") != "old"


def test_text_that_utf8_cannot_hold_does_not_stop_the_report(tmp_path: Path) -> None:
    write_report(report(subtitle="broken \ud800 text"), tmp_path)
    assert "broken ? text" in (tmp_path / "report.html").read_text("utf-8")


def test_a_directory_that_cannot_be_written_is_an_operator_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OperatorError, match="choose an output directory"):
        write_report(report(), tmp_path / "file" / "out")


def test_a_failed_write_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OperatorError):
        write_report(report(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
