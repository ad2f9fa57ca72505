"""Structured logs on stderr: one line per event, no raw source ids, no control characters.

Log values, never payloads or texts of captions; name sources by `source_hash`.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.runtime.log_limits import RepeatFilter

_PROCESS_KEY = secrets.token_bytes(32)
_HASH_BYTES = 6


def configure(
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["json", "console"],
    stream: TextIO | None = None,
) -> None:
    """Send the logs of the worker and of its libraries to `stream` (stderr where None).

    Libraries are heard from warnings up, and lines that repeat are bounded, unless the level is
    debug.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    target = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,  # so that a later call takes effect everywhere
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Plain tracebacks: the pretty ones print local variables, payloads among them.
                structlog.processors.format_exc_info,
                escape_control_characters if form == "json" else _escape_for_people,
                _renderer(form, target),
            ],
        )
    )
    if level != "debug":
        handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number if level == "debug" else max(number, logging.WARNING))
    logging.getLogger("worker").setLevel(number)
    # It warns on a new machine that its first picture takes longer.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def source_hash(source: str, seed: int | None = None) -> str:
    """Return 12 hexadecimal digits that name a source in logs.

    Keyed by a secret of this process, so that nobody can look for known ids in the logs. With a
    `seed` the names stay the same in every process, but whoever knows it can.
    """
    key = _PROCESS_KEY if seed is None else seed.to_bytes(8, "big")
    return hashlib.blake2b(source.encode(), digest_size=_HASH_BYTES, key=key).hexdigest()


def escape_control_characters(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    r"""Replace what is not printable in all texts, also nested ones, by escapes such as `\x1b`."""
    return {_escaped(key): _escaped(value) for key, value in event.items()}


def _escape_for_people(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Like the other, but the lines of a traceback stay lines; indented, so that none looks new."""
    traceback = event.pop("exception", "")
    escaped = escape_control_characters(logger, method, event)
    if traceback:
        lines = [f"    {_escaped(line)}" for line in traceback.split("\n")]
        escaped["exception"] = "\n".join(lines)
    return escaped


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return value if value.isprintable() else "".join(map(_escaped_character, value))
        case Mapping():
            return {_escaped(key): _escaped(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_escaped(item) for item in value]
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"  # may be a payload
        case None | bool() | int() | float():
            return value
    return _escaped(repr(value))


def _escaped_character(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def _renderer(form: Literal["json", "console"], target: TextIO) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=target.isatty())
