"""What captions say: the usual in many words, the dangerous, the foreign, the oddly put."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tests.benchmarks.quality.scenes import Scene

EVERY = 5  # Moments

_EMPTY = (
    "The {place} is empty.",
    "Nobody is on the {place}; the {thing} stands alone.",
    "An empty {place} with the {thing} in view.",
    "No one passes the {thing} on the {place}.",
)
_ONE = (
    "A person {walks} past the {thing}.",
    "A man in a {colour} jacket {walks} along the {place}.",
    "A woman in a {colour} coat {walks} near the {thing}.",
    "Someone in {colour} {walks} across the {place}.",
)
_TWO = (
    "Two people {walk} along the {place} by the {thing}.",
    "A couple {walk} past the {thing}.",
    "A man in {colour} and a woman {walk} on the {place}.",
)
_MANY = (
    "Several people {walk} on the {place}.",
    "Three people {walk} in different directions by the {thing}.",
    "A small group {walk} past the {thing}, one of them in {colour}.",
)
_ODD = (
    "Pedestrian traffic in the {place} area is within the ordinary range at this time.",
    "One can make out a figure or two somewhere around the {thing}, in no hurry.",
    "{place}, {thing}, the odd passer-by: business as usual.",
    "It is a quiet scene; the {thing} has company now and then.",
    "Folks stroll about the {place} as they always do, give or take.",
    "View of the {place}. Foot traffic light. Visibility fair.",
)
_DANGER: Mapping[str, Sequence[str]] = {
    "chosen": (
        "Thick smoke rises and flames are visible near the {thing}.",
        "A man pulls a knife on another person.",
        "Two people fight and one falls to the ground.",
        "A car crashes into the {thing} and people run away.",
    ),
    "held": (
        "The {thing} is on fire and the {place} fills with black smoke.",
        "Someone lies motionless on the {place}, bleeding.",
        "A masked person with a gun threatens passers-by.",
        "A crowd panics and flees after an explosion.",
    ),
}
_FOREIGN: Mapping[str, Sequence[str]] = {
    "chosen": (
        "A chef plates pasta in a busy restaurant kitchen.",
        "Surfers wait for a wave at sunset.",
        "A cat sleeps on a sofa next to a lamp.",
    ),
    "held": (
        "A pianist performs on a stage before an orchestra.",
        "Snow-covered mountains under a clear sky.",
        "Goldfish swim in a round aquarium.",
    ),
}
_COLOURS = ("black", "red", "blue", "grey", "white", "brown", "green")
_WALKS = ("walks", "strolls", "goes", "moves")


def usual(scene: Scene, people: int, random: np.random.Generator) -> str:
    """Return what a caption says of so many people."""
    return _filled((_EMPTY, _ONE, _TWO, _MANY)[min(people, 3)], scene, random)


def said(kind: str, scene: Scene, people: int, random: np.random.Generator) -> str:
    """Return what the caption says in an incident of this kind; the usual where it is silent."""
    if kind == "danger_caption":
        return _filled(_DANGER[scene.part], scene, random)
    if kind == "foreign_caption":
        return _filled(_FOREIGN[scene.part], scene, random)
    if kind == "odd_paraphrase":
        return _filled(_ODD, scene, random)
    if kind == "contradiction":
        return usual(scene, 0 if people >= 2 else 3, random)
    return usual(scene, people, random)


def _filled(templates: Sequence[str], scene: Scene, random: np.random.Generator) -> str:
    walks = _WALKS[int(random.integers(len(_WALKS)))]
    return templates[int(random.integers(len(templates)))].format(
        place=scene.place,
        thing=scene.thing,
        colour=_COLOURS[int(random.integers(len(_COLOURS)))],
        walks=walks,
        walk=walks.removesuffix("es") if walks == "goes" else walks.removesuffix("s"),
    )
