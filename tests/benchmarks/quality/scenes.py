"""The scenes, and which of them nothing is chosen on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scene:
    """A camera's place. Pedestrians walk with their feet in `lane` (rows) and are `tall` (pixels).

    `arrivals` per second, `speed` in pixels per second, `place` and `thing` are words for captions.
    Those who are `lane[0]` far down are the farthest and smallest.
    """

    name: str
    part: str
    backdrop: str
    lane: tuple[float, float]
    tall: tuple[float, float]
    arrivals: float
    speed: tuple[float, float]
    ambience: str
    place: str
    thing: str


# "chosen": what experts, constants and their combination were chosen on. "held": nothing was.
SCENES = (
    Scene(
        "plaza-path", "chosen", "plaza:0,0", (72, 105), (18, 27), 0.20, (11, 18),
        "path-west.ogg", "path", "cones",
    ),
    Scene(
        "workshop", "chosen", "motorcycle_left.png", (129, 142), (60, 80), 0.08, (18, 33),
        "lawn.ogg", "workshop", "motorcycle",
    ),
    Scene(
        "field", "chosen", "coins.png over grass.png", (90, 135), (17, 36), 0.12, (9, 18),
        "road-south.ogg", "field", "wall",
    ),
    Scene(
        "plaza-kerb", "held", "plaza:192,144", (36, 78), (24, 40), 0.10, (11, 20),
        "road-east.ogg", "kerb", "lamp post",
    ),
    Scene(
        "launch-site", "held", "rocket.jpg", (123, 141), (12, 20), 0.06, (6, 12),
        "path-west.ogg", "launch site", "tower",
    ),
    Scene(
        "yard", "held", "brick.png over gravel.png", (96, 138), (24, 42), 0.18, (12, 24),
        "lawn.ogg", "yard", "brick wall",
    ),
)  # fmt: skip
