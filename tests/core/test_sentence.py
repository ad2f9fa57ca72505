from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core import words
from worker.core.messages import Cell, Region
from worker.core.sentence import explain


def sentence(**changes: Any) -> str:
    fields: dict[str, Any] = {
        "source": "/cameras/lawn",
        "reasons": ("visual",),
        "contributions": {"frame": 1.0},
        "experts": {},
        "caption": None,
        "p_value": 1e-5,
        "window_seconds": 1,
    }
    return explain(**(fields | changes))


def test_it_says_which_camera_what_deviated_and_how_rare_that_is() -> None:
    assert sentence() == (
        "On camera lawn, the picture looks unlike what it usually shows; "
        "a normal moment is expected to score this high about once a day."
    )


def test_the_strongest_visual_expert_is_named_when_the_picture_alone_is_the_reason() -> None:
    experts = {"visual_embedding": (0.2, 0.01), "visual_grid": (0.9, 1e-9)}
    assert "most of all against its usual background" in sentence(experts=experts)
    assert "background" not in sentence(experts=experts, reasons=("visual", "audio"))


def test_the_part_of_the_picture_is_named_where_the_picture_alone_is_the_reason() -> None:
    lower_left = Region(12, 16, (Cell(9, 3, 0.4), Cell(10, 2, 0.2)))
    assert "shows, in its lower left; " in sentence(region=lower_left)
    assert "in its middle" in sentence(region=Region(12, 16, (Cell(6, 8, 0.3),)))
    assert "lower" not in sentence(region=lower_left, reasons=("audio", "visual"))


def test_two_reasons_are_joined_and_further_ones_are_counted() -> None:
    text = sentence(reasons=("audio", "visual", "text", "trigger:fire"))
    assert "usually picks up and the picture looks" in text
    assert "(and 2 more signs)" in text


def test_a_contradiction_names_both_modalities_and_quotes_the_caption() -> None:
    text = sentence(reasons=("inconsistent:frame-caption",), caption=" A  car burns.\n")
    assert "the picture and the caption do not fit together (“A car burns”)" in text


def test_the_caption_is_not_quoted_when_it_is_not_the_reason() -> None:
    assert "burns" not in sentence(caption="A car burns.")


def test_a_long_caption_is_cut_at_a_word() -> None:
    text = sentence(reasons=("text",), caption="word " * 60)
    assert "word word…”" in text
    assert len(text) < 300


def test_a_watch_phrase_is_quoted() -> None:
    assert "resembles the watch phrase “fire”" in sentence(reasons=("trigger:fire",))


def test_without_reasons_the_largest_contribution_speaks() -> None:
    text = sentence(reasons=(), contributions={"frame": 0.2, "audio": 0.8})
    assert "the sound is unlike" in text


def test_without_reasons_and_contributions_it_still_makes_a_sentence() -> None:
    assert "something is unlike the usual" in sentence(reasons=(), contributions={"frame": 0.0})


def test_an_unknown_reason_is_named_as_it_is() -> None:
    assert "the check “new check” stands out" in sentence(reasons=("new_check",))


@pytest.mark.parametrize(
    ("p_value", "window", "often"),
    [
        (1.0, 1, "about once a second"),
        (1 / 30, 1, "about once in 30 seconds"),
        (1 / 3600, 1, "about once an hour"),
        (1 / 43_200, 1, "about once in 12 hours"),
        (1e-5, 10, "about once in 2 weeks"),
        (1 / (200 * 86_400), 1, "about once in 29 weeks"),
        (1e-9, 1, "less than once a year"),
        (0.0, 1, "less than once a year"),
    ],
)
def test_rarity_is_told_in_the_unit_that_fits(p_value: float, window: float, often: str) -> None:
    assert words.how_often(p_value, window) == often


@pytest.mark.parametrize("p_value", [-0.1, 1.1, float("nan")])
def test_what_is_not_a_p_value_is_refused(p_value: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        sentence(p_value=p_value)


@given(
    reasons=st.lists(st.text(max_size=30), max_size=6),
    caption=st.none() | st.text(max_size=400),
    p_value=st.floats(0, 1),
)
def test_any_input_gives_one_line_that_ends_in_a_full_stop(
    reasons: list[str], caption: str | None, p_value: float
) -> None:
    text = sentence(reasons=reasons, caption=caption, p_value=p_value)
    assert text.endswith(".")
    assert "expected to score this high" in text


@given(st.integers(-(10**13), 10**13))
def test_a_clock_time_reads_back_to_a_tenth_of_a_second(micros: int) -> None:
    text = words.clock(micros)
    whole, _, tenth = text.lstrip(words.MINUS).partition(".")
    seconds = 0
    for part in whole.split(":"):
        seconds = seconds * 60 + int(part)
    value = (seconds + int(tenth or 0) / 10) * (-1 if text.startswith(words.MINUS) else 1)
    assert abs(value - micros / 1e6) <= 0.0501
