"""What `mmworker config show|schema` and the documents say about the configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from worker.config.model import Config, Loaded, known_fields
from worker.config.secrets import redact_url

# Changing one of these changes what a record comes to mean: it must not happen between a commit
# and the reading of what was left uncommitted. Where and how fast it is computed, and what is only
# checked or tried, is no part of it.
_MEANING = ("pairing", "models", "scoring", "limits")
_NO_MEANING = frozenset(
    {
        "pairing.max_buffered_bytes",
        "models.device",
        "models.frame_device",
        "models.caption_device",
        "models.audio_device",
        "models.batch_size",
        "models.threads",
        "models.frame_digest",
        "models.caption_digest",
        "models.audio_digest",
        "models.speech_digest",
        "models.allow_hub",
        "models.bundle_digest",
        "models.overload",
        "models.store_embeddings",
        "scoring.shadow",
        "limits.max_dead_letters_in_a_row",
        "limits.max_dead_letter_ratio",
        "limits.max_resident_bytes",
    }
)
_HASH_CHARS = 12


def values(config: Config) -> dict[str, object]:
    """Return the effective values by `section.field`, as JSON has them."""
    sections: dict[str, dict[str, object]] = config.model_dump(mode="json", by_alias=True)
    return {
        f"{s}.{field}": value for s, fields in sections.items() for field, value in fields.items()
    }


def meaning(config: Config) -> dict[str, object]:
    """Return the settings that change what a record comes to mean, by `section.field`."""
    return {
        key: value
        for key, value in values(config).items()
        if (key.partition(".")[0] in _MEANING and key not in _NO_MEANING)
        or key == "kafka.partitioner"  # decides which records are dead letters
    }


def config_hash(config: Config) -> str:
    """Return 12 hexadecimal digits of SHA-256 over all settings that change meaning."""
    text = json.dumps(meaning(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]


def show_rows(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Return (key, value, origin) of every setting; passwords are hidden."""
    shown = values(loaded.config) | {"redis.url": redact_url(loaded.config.redis.url)}
    return [(key, _text(key, value), loaded.origins[key]) for key, value in shown.items()]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration file."""
    schema = Config.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def markdown_table() -> str:
    """Return the table of all settings: key, default, meaning."""
    defaults = values(Config())
    rows = [
        f"| `{key}` | {_cell(_text(key, defaults[key]))} | {field.description} |"
        for key, field in known_fields().items()
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _text(key: str, value: object) -> str:
    if value is None:
        return "auto" if key in {"models.batch_size", "models.threads"} else ""
    if isinstance(value, list):
        return f"[{', '.join(_item(each) for each in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.16g}" if isinstance(value, float) else str(value)


def _item(item: object) -> str:
    """Return an item of a list; of a section what is set in it."""
    if isinstance(item, Mapping):
        return json.dumps({key: value for key, value in item.items() if value is not None})
    return str(item)


def _cell(text: str) -> str:
    return f"`{text}`" if text else "(empty)"
