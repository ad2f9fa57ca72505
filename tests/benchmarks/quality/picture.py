"""The results as a picture: AUROC by group, and false alarms on nuisances, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt  # the backend has to be chosen first

from tests.benchmarks.quality.incidents import GROUPS
from tests.benchmarks.quality.judged import BASELINE, NOW


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of the held part's results."""
    methods = document["held"]["methods"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 1))
    for place, name in enumerate((BASELINE, NOW)):
        row = methods[name]
        values = [row["auroc"], *(row["groups"][group] for group in GROUPS)]
        left.bar([x + 0.4 * place for x in range(len(values))], values, 0.38, label=name)
        right.bar([place], [row["nuisances_below_01"]], 0.6)
    left.set_xticks([x + 0.2 for x in range(len(GROUPS) + 1)], ["all", *GROUPS])
    left.set(ylim=(0.4, 1), ylabel="AUROC, held-out scenes")
    left.legend()
    right.set_xticks([0, 1], ["before", "now"])
    right.set(ylabel="share of nuisance Moments with p < .01")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
