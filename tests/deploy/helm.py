"""Helm's own library, in a process of its own.

Its Go runtime takes over the signals of the process that loads it: a write to a connection that
the other side has closed, which Python ignores the signal of, would end the tests.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

RELEASE, NAMESPACE = "mm", "cameras"


class ValuesRefusedError(Exception):
    """The schema of the chart refuses the values."""


class RenderRefusedError(Exception):
    """A template refuses the values."""


class Complaints(NamedTuple):
    """What `helm lint --strict` says."""

    errors: list[str]
    messages: list[str]


def rendered(
    chart: Path, values: Mapping[str, Any], release: str = RELEASE, namespace: str = NAMESPACE
) -> dict[str, str]:
    """Return what each template gives, by its path.

    Raises ValuesRefusedError or RenderRefusedError.
    """
    return _process().submit(_render, chart, dict(values), release, namespace).result()


def lint(chart: Path, values: Mapping[str, Any], version: str) -> Complaints:
    """Return what there is to say about a chart with these values, on this Kubernetes."""
    return _process().submit(_lint, chart, dict(values), version).result()


@cache
def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _render(path: Path, values: dict[str, Any], release: str, namespace: str) -> dict[str, str]:
    import helm_python

    try:
        with helm_python.Chart.load(path) as chart:
            return chart.render(values, name=release, namespace=namespace)
    except helm_python.HelmValuesError as error:
        raise ValuesRefusedError(str(error)) from None
    except helm_python.HelmRenderError as error:
        raise RenderRefusedError(str(error)) from None


def _lint(path: Path, values: dict[str, Any], version: str) -> Complaints:
    import helm_python

    report = helm_python.lint(path, values, strict=True, kube_version=version)
    return Complaints(report["errors"], [each["error"] for each in report["messages"]])
