"""One plain sentence per alert: what deviated and how rarely that is expected. Pure.

It never says what happened: the worker knows that something is unusual for a camera, not what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.core import words
from worker.core.messages.explanation import Region

MAX_CLAUSES = 2
MAX_QUOTE = 90  # characters of a caption

_CLAUSES = {
    "visual": "the picture looks unlike what it usually shows",
    "audio": "the sound is unlike what it usually picks up",
    "text": "the caption is unlike the earlier ones",
    "fused": "picture, sound and caption are unusual together, though none of them alone",
}
_DETAILED_CLAUSES = {
    "visual:dark": "the picture has gone dark",
    "visual:covered": "the picture shows no shapes, as if the lens were covered",
    "visual:defocused": "the picture is less sharp than usual",
    "visual:moved": "the edges in the picture are not where they used to be, as if it were moved",
    "visual:frozen": "the picture stands still",
    "audio:silent": "the sound is more silent than usual",
    "text:danger": "the caption resembles descriptions of danger",
}
_REASON_OF_MODALITY = {"frame": "visual", "caption": "text", "audio": "audio"}
_SIGNS = {
    "visual_embedding": "most of all in its content",
    "visual_grid": "most of all against its usual background",
}
_PLACES = (
    ("in its upper left", "in its upper part", "in its upper right"),
    ("in its left part", "in its middle", "in its right part"),
    ("in its lower left", "in its lower part", "in its lower right"),
)
_UNKNOWN = "something is unlike the usual"


def explain(
    *,
    source: str,
    reasons: Sequence[str],
    contributions: Mapping[str, float],
    experts: Mapping[str, tuple[float, float | None]],
    caption: str | None,
    p_value: float,
    window_seconds: float,
    region: Region | None = None,
    derived: Sequence[str] = (),
) -> str:
    """Return the sentence. `reasons` come strongest first; `window_seconds` is a Moment's length.

    `experts` are (score, p-value) by name, `region` is where in the picture it is, `derived` are
    modalities that something made from another one speaks for. Raises ValueError where `p_value` is
    not in [0, 1].
    """
    named = _named(reasons, contributions)
    clauses = [_clause(reason) for reason in named[:MAX_CLAUSES]] or [_UNKNOWN]
    what = " and ".join(clauses) + _more(len(named) - MAX_CLAUSES)
    details = _sign(named, experts) + _place(named, region) + _quote(named, caption)
    details += _origin(named, derived)
    often = words.how_often(p_value, window_seconds)
    return (
        f"On camera {words.camera(source)}, {what}{details}; "
        f"a normal moment is expected to score this high {often}."
    )


def _named(reasons: Sequence[str], contributions: Mapping[str, float]) -> list[str]:
    if reasons:
        return list(dict.fromkeys(reasons))
    strongest = max(contributions, key=lambda name: contributions[name], default=None)
    if strongest is None or contributions[strongest] <= 0:
        return []
    return [_REASON_OF_MODALITY.get(strongest, strongest)]


def _clause(reason: str) -> str:
    kind, _, detail = reason.partition(":")
    if kind == "inconsistent":
        pair = " and ".join(f"the {words.modality(part)}" for part in detail.split("-"))
        return f"{pair} do not fit together"
    if kind == "trigger":
        return f"the moment resembles the watch phrase “{detail}”"
    if reason in _DETAILED_CLAUSES:
        return _DETAILED_CLAUSES[reason]
    return _CLAUSES.get(kind, f"the check “{words.spaced(reason)}” stands out")


def _more(hidden: int) -> str:
    if hidden <= 0:
        return ""
    return f" (and {hidden} more sign{'s' if hidden > 1 else ''})"


def _sign(named: Sequence[str], experts: Mapping[str, tuple[float, float | None]]) -> str:
    """Name the aspect of the picture that stands out, where the picture is the first reason."""
    if list(named[:MAX_CLAUSES]) != ["visual"]:
        return ""
    seen = {name: score for name, (score, _) in experts.items() if name in _SIGNS}
    if not seen:
        return ""
    return f", {_SIGNS[max(seen, key=lambda name: seen[name])]}"


def _place(named: Sequence[str], region: Region | None) -> str:
    """Say where in the picture it is, by ninths of it, where the picture is the first reason."""
    if list(named[:MAX_CLAUSES]) != ["visual"] or region is None or not region.cells:
        return ""
    total = sum(cell.heat for cell in region.cells)
    row = sum(cell.heat * (cell.row + 0.5) for cell in region.cells) / total / region.rows
    column = sum(cell.heat * (cell.column + 0.5) for cell in region.cells) / total / region.columns
    return f", {_PLACES[int(3 * row)][int(3 * column)]}"


def _quote(named: Sequence[str], caption: str | None) -> str:
    if not _about_text(named) or caption is None or not caption.strip():
        return ""
    return f" (“{_shortened(' '.join(caption.split()).rstrip('.'))}”)"


def _origin(named: Sequence[str], derived: Sequence[str]) -> str:
    """Say that a caption was, or was in part, what somebody said."""
    return ", speech as text included" if "caption" in derived and _about_text(named) else ""


def _about_text(named: Sequence[str]) -> bool:
    return any(
        r.partition(":")[0] == "text" or (r.startswith("inconsistent:") and "caption" in r)
        for r in named
    )


def _shortened(text: str) -> str:
    if len(text) <= MAX_QUOTE:
        return text
    return text[:MAX_QUOTE].rsplit(" ", 1)[0].rstrip(",;:.") + "…"
