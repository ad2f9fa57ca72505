"""Manifests: events listed one by one, and what is wrong with a line is told with its number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.core.events import Modality
from worker.core.rfc3339 import parse, seconds
from worker.errors import OperatorError
from worker.feed.manifest import events, read_manifest

HEAD = "source,time,modality,path,text\n"
START = parse("2026-01-01T00:00:00Z")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    (tmp_path / "a.wav").write_bytes(b"sound")
    return tmp_path


def manifest(media: Path, *lines: str, head: str = HEAD, name: str = "manifest.csv") -> Path:
    path = media / name
    path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_rows_become_events_in_order_of_time(media: Path) -> None:
    path = manifest(
        media,
        "/a,1.5,audio,a.wav,",
        '/a,0.5,caption,,"A van, then nothing."',
        "/a,2026-01-01T00:00:01Z,frame,a.jpg,",
    )
    found = list(events(read_manifest(path), START))
    assert [(one.time - START, one.modality, one.payload) for one in found] == [
        (seconds(0.5), Modality.CAPTION, b"A van, then nothing."),
        (seconds(1), Modality.FRAME, b"picture"),
        (seconds(1.5), Modality.AUDIO, b"sound"),
    ]
    assert [one.content_type.partition(";")[0] for one in found] == [
        "text/plain",
        "image/jpeg",
        "audio/wav",
    ]
    assert len({one.id for one in found}) == 3


def test_json_lines_say_the_same_as_csv(media: Path) -> None:
    row = {"source": "/a", "time": 0.5, "modality": "frame", "path": "a.jpg"}
    lines = manifest(media, json.dumps(row), head="", name="manifest.jsonl")
    assert read_manifest(lines) == read_manifest(manifest(media, "/a,0.5,frame,a.jpg,"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (",0,frame,a.jpg,", "source must be a text"),
        ("/a,0,smell,a.jpg,", "modality must be one of frame, caption, audio"),
        ("/a,soon,frame,a.jpg,", "time must be RFC 3339"),
        ("/a,-1,frame,a.jpg,", "time must be RFC 3339"),
        ("/a,0,frame,none.jpg,", "path must be a file"),
        (f"/a,0,frame,{'a' * 300}.jpg,", "path must be a file"),
        ("/a,0,frame,a.wav,", "ends with .jpg"),
        ("/a,0,caption,, ", "a caption must have a text"),
    ],
)
def test_a_row_that_cannot_be_used_is_told_with_its_line(media: Path, line: str, told: str) -> None:
    path = manifest(media, "/a,0,frame,a.jpg,", line)
    with pytest.raises(OperatorError, match=r"manifest\.csv line 3: ") as caught:
        read_manifest(path)
    assert told in str(caught.value)


def test_a_manifest_without_a_column_or_a_row_is_refused(media: Path) -> None:
    with pytest.raises(OperatorError, match="lacks the column modality"):
        read_manifest(manifest(media, head="source,time,path\n"))
    with pytest.raises(OperatorError, match="lists no event"):
        read_manifest(manifest(media))
    with pytest.raises(OperatorError, match="line 1 must be a JSON object"):
        read_manifest(manifest(media, "[1]", head="", name="m.jsonl"))
    with pytest.raises(OperatorError, match="modality must be one of"):
        read_manifest(
            manifest(media, '{"source": "/a", "modality": ["frame"]}', head="", name="m.jsonl")
        )
    with pytest.raises(OperatorError, match="cannot be read"):
        read_manifest(media / "none.csv")
