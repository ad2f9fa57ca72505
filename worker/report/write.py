"""Puts report.html and timeline.png into a directory; readers see a whole file or none."""

from __future__ import annotations

import os
from pathlib import Path

from worker.core import words
from worker.errors import OperatorError
from worker.report.model import Report
from worker.report.page import render
from worker.report.timeline import timeline_png

REPORT = "report.html"
TIMELINE = "timeline.png"


def write_report(report: Report, directory: Path) -> None:
    """Write both files, making the directory where it is not there.

    Raises OperatorError where that is not possible.
    """
    page = words.encodable(render(report)).encode("utf-8")
    timeline = timeline_png(report)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        replace_file(directory / REPORT, page)
        replace_file(directory / TIMELINE, timeline)
    except OSError as error:
        raise OperatorError(
            f"The report cannot be written to {directory} ({error.strerror}): "
            "choose an output directory that can be written."
        ) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write a file of which readers see all or nothing. Raises OSError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
