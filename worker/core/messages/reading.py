"""From bytes to typed fields: every fault is a ValueError with one sentence that names the field.

The sentences name fields and never quote values, which may be personal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

from worker.core import rfc3339

T = TypeVar("T")
Choice = TypeVar("Choice", bound=str)


class Fields:
    """The fields of one JSON object. Those that nobody asks for are ignored."""

    __slots__ = ("_path", "_values")

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{path} must be a JSON object")
        self._values: dict[str, object] = value
        self._path = path

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """Return what `read` makes of the field, or None where it is absent or null."""
        return None if self._values.get(name) is None else read(name)

    def nullable(self, name: str, read: Callable[[str], T]) -> T | None:
        """Return what `read` makes of the field, or None where it is null."""
        return None if self._value(name) is None else read(name)

    def text(self, name: str) -> str:
        """Return a text."""
        value = self._value(name)
        if isinstance(value, str):
            return value
        raise self._wrong(name, "a text")

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._value(name)
        if isinstance(value, bool):
            return value
        raise self._wrong(name, "true or false")

    def integer(self, name: str) -> int:
        """Return a whole number from 0 on."""
        value = self._value(name)
        if type(value) is int and value >= 0:
            return value
        raise self._wrong(name, "a whole number from 0 on")

    def number(self, name: str) -> float:
        """Return a finite number."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number")
        if not abs(value) <= sys.float_info.max:  # infinite, or an integer beyond any float
            raise self._wrong(name, "a finite number")
        return float(value)

    def time(self, name: str) -> int:
        """Return an RFC 3339 time in microseconds since the epoch."""
        text = self.text(name)
        try:
            return rfc3339.parse(text)
        except (ValueError, OverflowError):
            raise self._wrong(name, "an RFC 3339 time with a zone") from None

    def choice(self, name: str, choices: tuple[Choice, ...]) -> Choice:
        """Return the one of `choices` that the field is."""
        return self._choose(name, self._value(name), choices)

    def choices(self, name: str, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """Return a list of members of `choices`."""
        return tuple(self._choose(name, value, choices) for value in self._list(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self._list(name)
        if all(isinstance(value, str) for value in values):
            return tuple(map(str, values))
        raise self._wrong(name, "a list of texts")

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers from 0 on."""
        numbers = [value for value in self._list(name) if type(value) is int and value >= 0]
        if len(numbers) == len(self._list(name)):
            return tuple(numbers)
        raise self._wrong(name, "a list of whole numbers from 0 on")

    def nested(self, name: str) -> Fields:
        """Return the fields of an object."""
        return Fields(self._value(name), f"{self._path}.{name}")

    def each(self, name: str) -> tuple[Fields, ...]:
        """Return the fields of each object of a list."""
        return tuple(Fields(value, f"{self._path}.{name}[]") for value in self._list(name))

    def numbers(self, name: str) -> dict[str, float]:
        """Return an object whose fields are all finite numbers."""
        inner = self.nested(name)
        return {key: inner.number(key) for key in inner}

    def _value(self, name: str) -> object:
        try:
            return self._values[name]
        except KeyError:
            raise ValueError(f"{self._path} has no field {name}") from None

    def _list(self, name: str) -> list[object]:
        value = self._value(name)
        if isinstance(value, list):
            return value
        raise self._wrong(name, "a list")

    def _choose(self, name: str, value: object, choices: tuple[Choice, ...]) -> Choice:
        for choice in choices:
            if choice == value:
                return choice
        raise self._wrong(name, "one of " + ", ".join(choices))

    def _wrong(self, name: str, wanted: str) -> ValueError:
        return ValueError(f"{self._path}.{name} must be {wanted}")


def fields_of(value: bytes, name: str) -> Fields:
    """Return the fields of the message `name`. Raises ValueError where it is not a JSON object."""
    try:
        document = json.loads(value.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError(f"the {name} is not JSON in UTF-8") from None
    return Fields(document, name)


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python reads though they are not JSON."""
    raise ValueError(constant)
