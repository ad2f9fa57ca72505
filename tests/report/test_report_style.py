"""The colours: readable in both schemes, and severities that differ without hue."""

import re
from itertools import pairwise

import pytest

from tests.report.builders import report
from worker.report.page import render

SCHEMES = ("light", "dark")


def colours(scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", render(report()), re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})[;]", blocks[SCHEMES.index(scheme)]))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_has_a_contrast_of_at_least_four_and_a_half(scheme: str) -> None:
    found = colours(scheme)
    for text in ("ink", "soft", "line", "good", "bad"):
        for ground in ("page", "card"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
    for i in range(1, 5):
        assert contrast(found[f"on-{i}"], found[f"sev-{i}"]) >= 4.5, i


@pytest.mark.parametrize("scheme", SCHEMES)
def test_severities_stand_out_more_the_higher_they_are_even_in_greyscale(scheme: str) -> None:
    found = colours(scheme)
    steps = [contrast(found[f"sev-{i}"], found["card"]) for i in range(1, 5)]
    assert all(later / earlier > 1.3 for earlier, later in pairwise(steps))
