"""Dead letters and late events in print. All of it comes from strangers: escaped, never markup."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import islice

from rich import box
from rich.table import Table
from rich.text import Text

from worker.cli.consoles import table_console
from worker.core import rfc3339
from worker.core.redrive import counts_text
from worker.core.set_aside import SetAside
from worker.media.recognise import as_text, recognise

_PAGE = 500  # rows of a table, which has to know all of them before it is printed
_MAX_SHOWN_CHARS = 16_384
_COLUMNS = ("at", "set aside", "source", "reason", "original", "attempts", "bytes", "message")


def where(found: SetAside) -> str:
    """Return the coordinates in the dead-letter topic itself, as `show` takes them."""
    return f"{found.record.partition}:{found.record.offset}"


def print_tables(found: Iterable[SetAside]) -> None:
    """Print tables of bounded length to stdout."""
    console = table_console()
    rows = iter(found)
    while page := list(islice((_cells(each) for each in rows), _PAGE)):
        table = Table(*_COLUMNS, box=box.SIMPLE_HEAD)
        table.columns[0].no_wrap = True  # it is copied into `show`
        for cells in page:
            table.add_row(*map(Text, cells))
        console.print(table)


def json_row(found: SetAside) -> dict[str, object]:
    """Return what `list --json` prints of a record."""
    record, origin = found.record, found.origin
    row: dict[str, object] = {
        "partition": record.partition,
        "offset": record.offset,
        "time": rfc3339.format(record.timestamp),
        "source": None if record.key is None else printable(record.key),
        "original": None
        if origin is None
        else {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset},
        "attempts": found.attempts,
        "size": found.size,
        "value_kept": not found.is_digest,
    }
    if found.kind == "late":
        return row | {"watermark": found.watermark}
    return row | {"reason": found.reason, "stage": found.stage, "message": found.message}


def counts_line(found: Counter[str], kind: str) -> str:
    """Return how many there are by reason; late events by topic."""
    noun = "dead letter" if kind == "dead-letter" else "late event"
    return f"{found.total()} {noun}{'' if found.total() == 1 else 's'}{counts_text(found)}"


def label(found: SetAside) -> str:
    """Return by what the record is counted."""
    if found.kind == "dead-letter":
        return found.reason or "unknown"
    return found.origin.topic if found.origin else "unknown"


def details(found: SetAside) -> Iterator[str]:
    """Yield the lines of `show`."""
    record, value = found.record, found.record.value
    yield f"{record.topic} {where(found)}, set aside {rfc3339.format(record.timestamp)}"
    yield "key: " + ("none" if record.key is None else printable(record.key))
    yield f"headers ({len(record.headers)}):"
    for name, content in record.headers:
        shown = "none" if content is None else printable(content)
        yield f"  {printable(name.encode())}: {shown}"
    if value is None:
        yield f"value: none{f' (its {found.size} bytes were not kept)' if found.is_digest else ''}"
        return
    yield from _value_lines(value)


def document(found: SetAside) -> dict[str, object]:
    """Return everything but the value itself, byte for byte."""
    record, value = found.record, found.record.value
    return {
        "topic": record.topic,
        **json_row(found),
        "key": _exact(record.key),
        "headers": [{"name": name, **_exact(content)} for name, content in record.headers],
        "value_sha256": None if value is None else sha256(value).hexdigest(),
    }


def printable(content: bytes) -> str:
    """Return one line; what is no printable UTF-8 is escaped."""
    text = content.decode("utf-8", errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cells(found: SetAside) -> tuple[str, ...]:
    origin = found.origin
    message = found.message if found.kind == "dead-letter" else f"late for {found.watermark}"
    return (
        where(found),
        rfc3339.format(found.record.timestamp),
        "-" if found.record.key is None else printable(found.record.key),
        "late" if found.kind == "late" else printable((found.reason or "unknown").encode()),
        "-"
        if origin is None
        else f"{printable(origin.topic.encode())}:{origin.partition}:{origin.offset}",
        str(found.attempts),
        str(found.size),
        printable((message or "").encode()),
    )


def _value_lines(value: bytes) -> Iterator[str]:
    text = as_text(value)
    if text is None:
        kind = recognise(value) or "of no known media type"
        yield f"value: {len(value)} bytes, {kind}, sha256 {sha256(value).hexdigest()}"
        return
    yield f"value ({len(value)} bytes of text):"
    yield text[:_MAX_SHOWN_CHARS]
    if len(text) > _MAX_SHOWN_CHARS:
        yield "... (--value FILE writes all of it)"


def _exact(content: bytes | None) -> Mapping[str, object]:
    """Return the content as text where it is UTF-8, else as base64."""
    if content is None:
        return {"value": None}
    try:
        return {"value": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"value_base64": base64.b64encode(content).decode("ascii")}
