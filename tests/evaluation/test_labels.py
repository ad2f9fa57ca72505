"""Labels: one format in two forms, mistakes in one sentence, published annotations as labels."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.schemas.files import faults, load_example, load_schema
from worker.cli.app import app
from worker.core import rfc3339
from worker.core.rfc3339 import seconds
from worker.errors import OperatorError
from worker.evaluation.annotations import convert
from worker.evaluation.labels import EventLabel, Time, read_labels, write_csv


def written(tmp_path: Path, text: str | bytes, suffix: str = ".csv") -> Path:
    path = tmp_path / f"labels{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


CSV = """source,start,end,kind,modality
/a,2026-03-14T09:00:00Z,2026-03-14T10:00:02+01:00,fire,frame
/b,1.5,3,"shots, two",
"""


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"source": "/a", "start": "2026-03-14T09:00:00Z", "end": "2026-03-14T09:00:02Z"},
        {"source": "/b", "start": 1.5, "end": 3},
    ]
    rows[0] |= {"kind": "fire", "modality": "frame"}
    rows[1] |= {"kind": "shots, two"}
    found = read_labels(written(tmp_path, "\n".join(map(json.dumps, rows)), ".jsonl"))
    assert found == read_labels(written(tmp_path, CSV))
    begin = rfc3339.parse("2026-03-14T09:00:00Z")
    assert found[0].start.resolved(0) == begin
    assert found[1].end.resolved(begin) == begin + seconds(3)


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path, CSV))
    text = StringIO()
    write_csv(labels, text)
    assert read_labels(written(tmp_path, text.getvalue())) == labels


def test_the_schema_describes_a_line(tmp_path: Path) -> None:
    example = load_example("label")
    assert faults(example, load_schema("label.v1")) == []
    (found,) = read_labels(written(tmp_path, json.dumps(example), ".jsonl"))
    assert found.source == example["source"]
    assert faults({**example, "modality": "smell"}, load_schema("label.v1"))


@pytest.mark.parametrize(
    ("text", "suffix", "told"),
    [
        ("", ".txt", "must end with .csv or .jsonl"),
        ("a,b\n", ".csv", "lacks the column end: its first line must be source,start,end,kind"),
        ("", ".jsonl", "holds no label"),
        ("source,start,end,kind\n", ".csv", "holds no label"),
        ("3\n", ".jsonl", "line 1 must be a JSON object"),
        ('{"source": ""}', ".jsonl", "line 1: source must be a text"),
        ("source,start,end,kind\n/a,1,2,\n", ".csv", "line 2: kind must be a text"),
        ("source,start,end,kind\n/a,2,1,fire\n", ".csv", "line 2: end must be after start"),
        ("source,start,end,kind\n/a,noon,1,fire\n", ".csv", "start must be an RFC 3339 time with"),
        ("source,start,end,kind\n/a,nan,1,fire\n", ".csv", "start must be from 0 to"),
        ("source,start,end,kind\n/a,1\n", ".csv", "line 2: kind must be a text"),
        (
            "source,start,end,kind,modality\n/a,1,2,fire,smell\n",
            ".csv",
            "modality must be frame, caption, audio or left out",
        ),
        (
            '{"source": "/a", "start": 1, "end": 2, "kind": "fire", "modality": ["frame"]}',
            ".jsonl",
            "modality must be frame, caption, audio or left out",
        ),
        ("[" * 100_000, ".jsonl", "line 1 must be a JSON object"),
        (r'{"source": "\ud800"}', ".jsonl", "line 1 holds half a surrogate pair"),
        (b"\xff\xfe", ".csv", "must be UTF-8"),
        ("source,start,end,kind\n/a,1,2," + "x" * 200_000, ".csv", "is no CSV file"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path, text: str | bytes, suffix: str, told: str
) -> None:
    with pytest.raises(OperatorError, match=told):
        read_labels(written(tmp_path, text, suffix))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"cannot be read \(No such file"):
        read_labels(tmp_path / "absent.csv")


def spans(labels: list[EventLabel]) -> list[tuple[str, str, float, float]]:
    return [(o.source, o.kind, o.start.micros / 1e6, o.end.micros / 1e6) for o in labels]


def test_annotations_of_xd_violence_become_labels_at_24_frames_a_second() -> None:
    found = convert(
        [
            "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6 360 719 840 959\n",
            "v=38GQ9L2meyE__#1_label_B6-0-0.mp4 0 23\n",
            "\n",
        ],
        "xd-violence",
    )
    film = "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6"
    assert spans(found) == [
        (film, "explosion+shooting+car accident", 15, 30),
        (film, "explosion+shooting+car accident", 35, 40),
        ("v=38GQ9L2meyE__#1_label_B6-0-0", "car accident", 0, 1),
    ]
    assert all(one.start.is_relative for one in found)


def test_annotations_of_ucf_crime_become_labels_at_30_frames_a_second() -> None:
    found = convert(
        [
            "Abuse028_x264.mp4  Abuse  165  239  -1  -1  \n",
            "Arson011_x264.mp4  Arson  150  419  680  1266\n",
            "Normal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1\n",
        ],
        "ucf-crime",
    )
    assert spans(found) == [
        ("Abuse028_x264", "abuse", 5.5, 8),
        ("Arson011_x264", "arson", 5, 14),
        ("Arson011_x264", "arson", 22.666667, 42.233333),
    ]


@pytest.mark.parametrize("line", ["name", "name 1", "name 5 4", "name one two"])
def test_a_line_that_is_no_annotation_is_told_with_its_number(line: str) -> None:
    with pytest.raises(OperatorError, match="line 1 is no annotation of xd-violence"):
        convert([line], "xd-violence")


def test_the_command_prints_labels_that_evaluate_reads(tmp_path: Path) -> None:
    annotations = tmp_path / "annotations.txt"
    annotations.write_text("film_label_B1-0-0 50 99\n")
    options = ["--from", "xd-violence", "--fps", "25"]
    done = CliRunner().invoke(app, ["labels", "convert", str(annotations), *options])
    begin, end = (Time(seconds(each), is_relative=True) for each in (2, 4))
    expected = EventLabel("film_label_B1-0-0", begin, end, "fighting")
    assert read_labels(written(tmp_path, done.stdout)) == [expected]
