from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import OperatorError
from worker.feed import captions
from worker.feed.captions import Caption

SRT = """1
00:00:05,000 --> 00:00:10,000
A man <i>walks</i>
along the path.

2
01:00:00,250 --> 01:00:01,000
{\\an8}He leaves.

3
01:00:02,000 --> 01:00:03,000

"""
VTT = """WEBVTT - a title

NOTE
05:00.000 --> this is a remark

STYLE
::cue { color: red }

intro
00:05.000 --> 00:10.000 align:start
<v Ann>Tom &amp; <00:06.000>Ann

01:00:00.250 --> 01:00:01.000
x < y
"""


def write(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    text = 'text,end_s,start_s,camera\n"One, two",9,2.5,gate\nFirst,9,0,\n'
    assert captions.read(write(tmp_path, "a.csv", text)) == [
        Caption(0, "First", None),
        Caption(2_500_000, "One, two", "gate"),
    ]


def test_csv_as_spreadsheets_save_it_is_read(tmp_path: Path) -> None:
    text = "\ufeffstart_s,text\r\n1,Grüße\r\n"
    assert captions.read(write(tmp_path, "a.CSV", text)) == [Caption(1_000_000, "Grüße")]


def test_json_lines_are_read_with_either_name_of_the_time(tmp_path: Path) -> None:
    text = '{"time": 1, "text": "a", "source": "s"}\n\n{"start_s": 0.5, "text": "b", "end_s": 3}\n'
    assert captions.read(write(tmp_path, "a.jsonl", text)) == [
        Caption(500_000, "b"),
        Caption(1_000_000, "a", "s"),
    ]


def test_srt_cues_are_read_without_their_markup_and_empty_ones_left_out(tmp_path: Path) -> None:
    assert captions.read(write(tmp_path, "a.srt", SRT)) == [
        Caption(5_000_000, "A man walks along the path."),
        Caption(3_600_250_000, "He leaves."),
    ]


def test_srt_from_windows_is_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + SRT.replace("\n", "\r\n").encode()
    assert len(captions.read(write(tmp_path, "a.srt", content))) == 2


def test_webvtt_cues_are_read_and_notes_and_styles_left_out(tmp_path: Path) -> None:
    assert captions.read(write(tmp_path, "a.vtt", VTT)) == [
        Caption(5_000_000, "Tom & Ann"),
        Caption(3_600_250_000, "x < y"),
    ]


@given(
    st.lists(st.tuples(st.integers(0, 10**10), st.text(st.characters(codec="utf-8"), min_size=1)))
)
def test_what_is_written_as_json_lines_comes_back_in_order_of_time(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[int, str]]
) -> None:
    told = [(micros, text) for micros, text in entries if text.strip()] or [(0, "x")]
    lines = [json.dumps({"start_s": micros / 1e6, "text": text}) for micros, text in told]
    path = write(tmp_path_factory.mktemp("json"), "a.jsonl", "\n".join(lines))
    expected = sorted([(micros, text.strip()) for micros, text in told], key=lambda pair: pair[0])
    assert [(caption.offset, caption.text) for caption in captions.read(path)] == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "start,text\n1,a\n", "line 1: the header needs the columns start_s and text"),
        ("a.csv", "", "line 1: the header"),
        ("a.csv", "start_s,text\n1,a\nsoon,b\n", "line 3: the start must be seconds .* not 'soon'"),
        ("a.csv", "start_s,text\n-1,a\n", "line 2: the start must be seconds"),
        ("a.csv", "start_s,text\nnan,a\n", "line 2: the start must be seconds"),
        ("a.csv", "start_s,text\n1,One, two\n", "line 2: more fields than the header; quote"),
        ("a.csv", "start_s,text\n1\n", "line 2: text is missing"),
        ("a.csv", "start_s,text\n1,  \n", "line 2: text is missing or empty"),
        ("a.csv", 'start_s,text\n1,"a"b\n', "line 2: "),
        ("a.jsonl", '{"start_s": 1, "text": "a"}\n{"start_s"\n', "line 2: not JSON"),
        ("a.jsonl", "[1]\n", "line 1: expected an object"),
        ("a.jsonl", '{"text": "a"}\n', "line 1: the start must be seconds .* not None"),
        ("a.jsonl", '{"time": "2026-01-01T00:00:00Z", "text": "a"}\n', "line 1: the start must be"),
        ("a.jsonl", f'{{"start_s": {10**400}, "text": "a"}}', "line 1: the start must be seconds"),
        ("a.jsonl", '{"start_s": 1700000000, "text": "a"}', "line 1: the start must be seconds"),
        ("a.jsonl", r'{"start_s": 1, "text": "a\ud800"}', "line 1: half of a surrogate pair"),
        ("a.jsonl", '{"start_s": true, "text": "a"}\n', "line 1: the start must be seconds"),
        ("a.jsonl", '{"start_s": 1, "text": 5}\n', "line 1: text is missing"),
        (
            "a.jsonl",
            '{"start_s": 1, "text": "a", "source": 5}\n',
            "line 1: source must be a string",
        ),
        ("a.srt", "1\n00:00:05 -> 00:00:06\nText\n", "line 2: expected a time such as"),
        ("a.srt", "1\n00:00:05,0 --> 00:00:06,0\nText\n\nalone\n", "line 5: expected a time"),
        ("a.vtt", "00:05.000 --> 00:06.000\nText\n", "line 1: a WebVTT file begins with WEBVTT"),
        ("a.vtt", "WEBVTT\n\n00:05.000 --> soon\nText\n", "line 3: expected a time"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(OperatorError, match=message) as caught:
        captions.read(write(tmp_path, name, text))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "start_s,text\n"), ("a.jsonl", "\n"), ("a.srt", ""), ("a.vtt", "WEBVTT")],
)
def test_a_file_without_captions_is_an_operator_error(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(OperatorError, match="holds no captions"):
        captions.read(write(tmp_path, name, text))


def test_a_file_that_is_not_utf8_is_an_operator_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="not UTF-8"):
        captions.read(write(tmp_path, "a.srt", b"1\n\xff\xfe"))


def test_a_missing_file_is_an_operator_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        captions.read(tmp_path / "none.csv")
