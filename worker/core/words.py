"""Names and numbers as a person reads them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from worker.core.policy import Severity
from worker.core.rfc3339 import MICROSECONDS

MODALITY_WORDS = {"frame": "picture", "caption": "caption", "audio": "sound"}
THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
YEAR_SECONDS = 365 * 86_400
_UNITS = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400), ("week", 604_800))


def modality(name: str) -> str:
    """Return a modality in plain words.

    >>> modality("frame")
    'picture'
    """
    return MODALITY_WORDS.get(name, name.replace("_", " "))


def reason(name: str) -> str:
    """Return a reason in a few plain words.

    >>> reason("inconsistent:frame-caption"), reason("trigger:fire"), reason("visual:covered")
    ('picture and caption disagree', 'watch phrase “fire”', 'picture (covered)')
    """
    kind, _, detail = name.partition(":")
    if kind == "inconsistent":
        return " and ".join(modality(part) for part in detail.split("-")) + " disagree"
    if kind == "trigger":
        return f"watch phrase “{detail}”"
    plain = {"visual": "picture", "text": "caption", "audio": "sound", "fused": "all together"}
    if kind in plain and detail:
        return f"{plain[kind]} ({spaced(detail)})"
    return plain.get(kind, modality(name))


def spaced(name: str) -> str:
    """Return an identifier as words.

    >>> spaced("people_on_lawn")
    'people on lawn'
    """
    return name.replace("_", " ").strip()


def camera(source: str) -> str:
    """Return the last part of a source id.

    >>> camera("/cameras/lawn"), camera("lawn")
    ('lawn', 'lawn')
    """
    return source.rstrip("/").rpartition("/")[2] or source


def cameras(sources: Iterable[str]) -> dict[str, str]:
    """Return a short name per source; the whole id where two short names would be equal.

    >>> cameras(["/a/gate", "/b/gate", "/b/lawn"])
    {'/a/gate': '/a/gate', '/b/gate': '/b/gate', '/b/lawn': 'lawn'}
    """
    ids = list(dict.fromkeys(sources))
    short = [camera(source) for source in ids]
    return {
        source: name if short.count(name) == 1 else source
        for source, name in zip(ids, short, strict=True)
    }


def encodable(text: str) -> str:
    """Return the text without what UTF-8 cannot hold, such as undecodable bytes of a file's name.

    >>> encodable("caf\\udce9")
    'caf?'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def severity_rank(severity: str) -> int:
    """Return 1 for the mildest severity to 4; an unknown one counts as the mildest.

    >>> severity_rank("critical")
    4
    """
    return next((known.rank + 1 for known in Severity if known == severity), 1)


def clock(micros: int) -> str:
    """Return an offset in microseconds as minutes and seconds, with tenths where there are any.

    >>> clock(52_500_000), clock(3_600_000_000), clock(-5_000_000).replace(MINUS, "-")
    ('0:52.5', '1:00:00', '-0:05')
    """
    tenths = round(abs(micros) * 10 / MICROSECONDS)
    whole, tenth = divmod(tenths, 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return (MINUS if micros < 0 and tenths else "") + text + (f".{tenth}" if tenth else "")


def whole(number: float) -> str:
    """Return a whole number with thin spaces between thousands.

    >>> whole(1234567).split()
    ['1', '234', '567']
    """
    return f"{number:,.0f}".replace(",", THIN)


def measured(number: float) -> str:
    """Return a measured number with three significant digits, never in exponent form.

    >>> measured(0.01234), measured(12.345), measured(0)
    ('0.0123', '12.3', '0')
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:,.{min(digits, 6)}f}".replace(",", THIN)


def duration(seconds: float) -> str:
    """Return a duration in the unit that reads best.

    >>> duration(0.25), duration(79.5), duration(7200)
    ('0.2 s', '79.5 s', '2.0 h')
    """
    if seconds < 600:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def odds(p_value: float) -> str:
    """Return a p-value as "1 in so many", two digits, down to one in a thousand million.

    >>> odds(0.25), odds(0)
    ('1 in 4', 'under 1 in 10⁹')
    """
    if p_value < 1e-9:
        return "under 1 in 10⁹"
    times = 1 / p_value
    step = 10 ** max(0, math.floor(math.log10(times)) - 1)
    return f"1 in {whole(round(times / step) * step)}"


def how_often(p_value: float, window_seconds: float) -> str:
    """Return how often a normal Moment is expected to be at least this unusual.

    One Moment per window: the mean interval is `window_seconds / p_value`. Beyond a year the
    number would be an extrapolation that nobody has seen, so it is not given.

    >>> how_often(2e-5, 1), how_often(1e-12, 1)
    ('about once in 14 hours', 'less than once a year')
    """
    if not 0 <= p_value <= 1:
        raise ValueError("a p-value is between 0 and 1")
    if p_value * YEAR_SECONDS < window_seconds:
        return "less than once a year"
    interval = window_seconds / p_value
    unit, size = max((u for u in _UNITS if u[1] <= max(interval, 1)), key=lambda u: u[1])
    count = round(interval / size)
    if count <= 1:
        return "about once an hour" if unit == "hour" else f"about once a {unit}"
    return f"about once in {count} {unit}s"
