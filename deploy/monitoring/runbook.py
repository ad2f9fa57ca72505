"""Where people find what to do: `deploy/RUNBOOK.md`, under one base address."""

from __future__ import annotations

import re

BASE = "https://runbooks.example/multimodal-worker/RUNBOOK.md"  # `--runbook-url` replaces it


def link(heading: str, base: str = BASE) -> str:
    """Return the address of a section of the runbook.

    >>> link("Is it keeping up?", "RUNBOOK.md")
    'RUNBOOK.md#is-it-keeping-up'
    """
    return f"{base}#{anchor(heading)}"


def anchor(heading: str) -> str:
    """Return the anchor that renderers of Markdown give a heading.

    >>> anchor("Add partitions (drain)")
    'add-partitions-drain'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
