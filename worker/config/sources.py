"""Where settings come from: a file, the environment, the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import yaml
from pydantic.fields import FieldInfo

from worker.config.model import known_fields
from worker.errors import OperatorError

PREFIX = "MMWORKER_"
# Read by tests and scripts, which start workers with the environment that they have; and what a
# container image says about itself.
_NOT_SETTINGS = frozenset({"MMWORKER_K8S", "MMWORKER_REQUIRE_SERVICES", "MMWORKER_REVISION"})
# What Kubernetes puts into every pod beside a Service of the name `mmworker` or `mmworker-...`.
_SERVICE_LINK = re.compile(
    r"MMWORKER(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?"
    r"|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value for one key, `section.field`, and where it stands."""

    key: str
    value: object
    origin: str


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that stands twice; YAML itself would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for name, _ in node.value:
            if str(name.value) in seen:
                problem = f"the key {name.value!r} stands twice"
                raise yaml.constructor.ConstructorError(
                    problem=problem, problem_mark=name.start_mark
                )
            seen.add(str(name.value))
        return super().construct_mapping(node, deep=deep)


def from_file(path: Path) -> Iterator[Setting]:
    """Yield the settings of a YAML or TOML file. Raises OperatorError."""
    origin = f"file {path}"
    for section, fields in _parsed_file(path).items():
        if fields is None:
            continue  # a section with nothing in it
        if not isinstance(fields, Mapping):
            raise OperatorError(f"{section} ({origin}) must be a section of `field: value` lines")
        for field, value in fields.items():
            yield Setting(_checked_key(f"{section}.{field}", origin), value, origin)


def from_environment(environ: Mapping[str, str]) -> Iterator[Setting]:
    """Yield the settings of the variables `MMWORKER_SECTION__FIELD`. Raises OperatorError."""
    keys = {_variable(key): key for key in known_fields()}
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS or _SERVICE_LINK.fullmatch(name):
            continue
        if name not in keys:
            hint = _nearest(name, list(keys))
            raise OperatorError(f"environment variable {name} is not a known setting{hint}")
        origin = f"environment {name}"
        yield Setting(keys[name], _from_text(keys[name], text, origin), origin)


def from_command_line(overrides: Mapping[str, object]) -> Iterator[Setting]:
    """Yield settings given by key; texts are read like environment variables."""
    origin = "command line"
    for key, value in overrides.items():
        known = _checked_key(key, origin)
        parsed = _from_text(known, value, origin) if isinstance(value, str) else value
        yield Setting(known, parsed, origin)


def _parsed_file(path: Path) -> Mapping[str, Any]:
    if path.suffix not in {".yaml", ".yml", ".toml"}:
        raise OperatorError(f"configuration file {path} must end with .yaml, .yml or .toml")
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else _yaml(text)
    except OSError as error:
        raise OperatorError(
            f"configuration file {path} must be readable: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise OperatorError(f"configuration file {path} must be UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise OperatorError(f"configuration file {path} must be TOML: {error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise OperatorError(f"configuration file {path} must be YAML: {_problem(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise OperatorError(f"configuration file {path} must consist of sections, such as `kafka:`")
    return content


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a subclass of SafeLoader


def _problem(error: Exception) -> str:
    """Return YAML's complaint in one line, without the excerpt: it may hold a secret.

    A date that does not exist is a plain ValueError.
    """
    problem = getattr(error, "problem", None) or "it cannot be read"
    mark = getattr(error, "problem_mark", None)
    return problem if mark is None else f"{problem} in line {mark.line + 1}"


def _from_text(key: str, text: str, origin: str) -> object:
    """Read text as a YAML value; where the setting is a text, it stays as it is (`no`, `007`)."""
    if _is_text(known_fields()[key]):
        return text
    try:
        return _yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise OperatorError(f"{key} ({origin}) must be a YAML value: {_problem(error)}") from None


def _is_text(field: FieldInfo) -> bool:
    options = set(get_args(field.annotation)) - {NoneType} or {field.annotation}
    return all(option in (str, Path) or isinstance(option, str) for option in options)


def _checked_key(key: str, origin: str) -> str:
    if key not in known_fields():
        raise OperatorError(f"{key} ({origin}) is not a known setting{_nearest(key)}")
    return key


def _nearest(name: str, known: list[str] | None = None) -> str:
    """Return a hint at the known name that is most like `name`; empty where none is."""
    matches = get_close_matches(name, known or list(known_fields()), n=1, cutoff=0.5)
    return f": did you mean {matches[0]}?" if matches else ": see `mmworker config show`"


def _variable(key: str) -> str:
    return PREFIX + key.upper().replace(".", "__")
