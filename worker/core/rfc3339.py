"""RFC 3339 times to and from microseconds since the epoch, exactly (no floats)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FORM = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
MICROSECONDS = 1_000_000  # per second


def parse(text: str) -> int:
    """Return microseconds since the epoch; digits beyond the sixth are cut.

    Raises ValueError where the text is not RFC 3339 or has no zone.

    >>> parse("1970-01-01T00:00:01.5Z")
    1500000
    >>> parse("1970-01-01T01:00:00+01:00")
    0
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time with a zone")
    date, clock, fraction, zone = match.groups()
    whole = datetime.fromisoformat(f"{date}T{clock}{zone.replace('z', 'Z')}")
    return (whole - _EPOCH) // _MICROSECOND + int((fraction or "0").ljust(6, "0")[:6])


def format(micros: int) -> str:  # noqa: A001 - read as rfc3339.format
    """Return the UTC time with milliseconds, or with microseconds where they are not zero.

    >>> format(1500000)
    '1970-01-01T00:00:01.500Z'
    """
    precision = "milliseconds" if micros % 1000 == 0 else "microseconds"
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def seconds(value: float) -> int:
    """Return a duration in seconds as whole microseconds.

    >>> seconds(0.25)
    250000
    """
    return round(value * MICROSECONDS)
