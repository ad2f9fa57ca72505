"""report.html: one page that holds everything it shows and needs no network."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from worker.core import rfc3339, words
from worker.report.model import Report
from worker.report.outcome import outcome_of
from worker.report.scene import scene_of
from worker.report.stories import stories_of

_TEMPLATES = files("worker.report") / "templates"


def render(report: Report) -> str:
    """Return the page. All text of the report is escaped; the page's policy refuses any request."""
    stories = stories_of(report)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            outcome=outcome_of(report),
            scene=scene_of(report, stories),
            stories=stories,
            names=words.cameras(camera.source for camera in report.cameras),
            css=stylesheet(),
            js=Markup(_asset("report.js")),  # noqa: S704 - our own file, not input
            policy=policy(),
        )
    )


@cache
def policy() -> str:
    """Return the content security policy: our own style and script by digest, data: media."""
    return (
        "default-src 'none'; img-src data:; media-src data:; "
        f"style-src {_digest(_asset('report.css'))}; script-src {_digest(_asset('report.js'))}; "
        "base-uri 'none'; form-action 'none'"
    )


def stylesheet() -> Markup:
    """Return the style of all pages, which `policy` allows."""
    return Markup(_asset("report.css"))  # noqa: S704 - our own file, not input


@cache
def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def environment(templates: Path = Path(str(_TEMPLATES))) -> jinja2.Environment:
    """Return what renders the templates of a directory, with the filters of all pages."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": words.clock,
        "duration": words.duration,
        "measured": words.measured,
        "modality": words.modality,
        "odds": words.odds,
        "reason": words.reason,
        "spaced": words.spaced,
        "utc": rfc3339.format,
        "whole": words.whole,
    }
    return environment
