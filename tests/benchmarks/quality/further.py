"""Further scenes that the design was chosen on: three scenes let a lot look better than it is.

They share pedestrians, objects, sounds and words with the part "chosen", and no place with "held".
"""

from __future__ import annotations

from tests.benchmarks.quality.incidents import plan
from tests.benchmarks.quality.scenes import Scene
from tests.benchmarks.quality.stream import Stream

PART = "further"
SEEDS = 2  # streams of each scene
PLAN_SEED = 7  # their incidents come in another order than those of the other parts

SCENES = (
    Scene(
        "plaza-north", "chosen", "plaza:192,0", (60, 100), (18, 30), 0.14, (10, 18),
        "road-south.ogg", "square", "trees",
    ),
    Scene(
        "plaza-south", "chosen", "plaza:0,144", (70, 125), (24, 38), 0.10, (11, 20),
        "lawn.ogg", "pavement", "bench",
    ),
    Scene(
        "counter", "chosen", "coffee.png", (120, 141), (34, 56), 0.10, (10, 22),
        "path-west.ogg", "counter", "cup",
    ),
    Scene(
        "meadow", "chosen", "camera.png over moon.png", (95, 140), (16, 28), 0.08, (8, 15),
        "lawn.ogg", "meadow", "tripod",
    ),
    Scene(
        "mural-hall", "chosen", "ihc.png over text.png", (100, 138), (26, 44), 0.18, (12, 24),
        "road-south.ogg", "hall", "mural",
    ),
    Scene(
        "observatory", "chosen", "hubble_deep_field.jpg over chessboard_GRAY.png", (110, 141),
        (12, 22), 0.06, (6, 13), "path-west.ogg", "terrace", "dome",
    ),
)  # fmt: skip


def streams() -> list[Stream]:
    """Return the streams of each scene."""
    count = len(SCENES)
    return [
        Stream.with_incidents(scene, seed, plan(seed * count + place, 3 * count, PLAN_SEED))
        for seed in range(SEEDS)
        for place, scene in enumerate(SCENES)
    ]
