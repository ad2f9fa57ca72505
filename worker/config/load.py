"""Reads the configuration once: defaults, then a file, the environment and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from worker.config.allowed import Within, allowed, fields_of, is_section, path_text
from worker.config.model import Config, Loaded, known_fields
from worker.config.sources import Setting, from_command_line, from_environment, from_file
from worker.errors import OperatorError

DEFAULT = "default"
_SECRET_KEYS = frozenset({"redis.url"})
_NOTHING: Mapping[str, object] = {}
_MAX_QUOTED = 60  # characters of a wrong value
_MAX_PROBLEMS = 5


def load(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] = _NOTHING
) -> Loaded:
    """Return the effective configuration; later sources win: file, environment, `overrides`.

    `overrides` are values by `section.field`. Raises OperatorError, one sentence, for anything that
    is unknown, malformed or out of bounds.
    """
    settings = _merged(
        chain(
            from_file(path) if path is not None else (),
            from_environment(environ),
            from_command_line(overrides),
        )
    )
    origins = dict.fromkeys(known_fields(), DEFAULT)
    origins |= {key: setting.origin for key, setting in settings.items()}
    return Loaded(_validated(settings), origins)


def _merged(settings: Iterable[Setting]) -> dict[str, Setting]:
    return {setting.key: setting for setting in settings}


def _validated(settings: Mapping[str, Setting]) -> Config:
    sections: dict[str, dict[str, object]] = {}
    for setting in settings.values():
        section, field = setting.key.split(".")
        sections.setdefault(section, {})[field] = setting.value
    try:
        return Config.model_validate(sections)
    except ValidationError as error:
        # `from None`: the chained error would quote the values, a password in a URL among them
        raise OperatorError(_sentence(error.errors(include_url=False), settings)) from None


def _sentence(errors: list[ErrorDetails], settings: Mapping[str, Setting]) -> str:
    """One problem per key: a union reports one for each of its members."""
    problems: dict[str, str] = {}
    for error in errors:
        key = ".".join(str(part) for part in error["loc"][:2])
        within = _within(key, error)
        problems.setdefault(key + path_text(within), _problem(key, within, error, settings))
    told = list(problems.values())[:_MAX_PROBLEMS]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _problem(key: str, within: Within, error: ErrorDetails, settings: Mapping[str, Setting]) -> str:
    place, origin = key + path_text(within), _origin(key, settings)
    prefix = f"{place} ({origin}) " if key in settings else f"{place or 'settings'} ({origin}): "
    if error["type"] == "value_error":
        return prefix + str(error["ctx"]["error"])
    if error["type"] == "extra_forbidden" and within:
        return f"{prefix}is not known: there are {', '.join(fields_of(key, within[:-1]))}"
    value = error["input"] if within else settings[key].value
    return f"{prefix}must be {allowed(key, within)}{_quoted(key, value)}"


def _within(key: str, error: ErrorDetails) -> Within:
    """Return where in a section, or a list of them, the problem is.

    Of others it is the name that a union has for one of its members.
    """
    rest = error["loc"][2:]
    return rest if rest and (isinstance(rest[0], int) or is_section(key)) else ()


def _origin(key: str, settings: Mapping[str, Setting]) -> str:
    """Return where the key was set; of a section, or of all, wherever anything in it was."""
    if key in settings:
        return settings[key].origin
    within = [s.origin for s in settings.values() if not key or s.key.startswith(f"{key}.")]
    return ", ".join(dict.fromkeys(within))


def _quoted(key: str, value: Any) -> str:
    if key in _SECRET_KEYS:
        return ""
    text = repr(value)
    return f", not {text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + '...'}"
