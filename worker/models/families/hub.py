"""Where a `transformers:` model lies. A hub is asked at start, if `models.allow_hub` says so."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from worker.errors import OperatorError
from worker.models.names import Name

_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model")


def local_directory(name: Name, allow_hub: bool) -> Path:
    """Return the directory; without a path in it, the name is one of a hub (`org/name@revision`).

    Raises OperatorError where a hub is not allowed or does not give the model.
    """
    if name.is_path:
        return name.path
    if not allow_hub:
        raise OperatorError(
            f"{name.text!r} is not a directory (/..., ./... or ~...): a model hub is asked only if"
            " models.allow_hub is true."
        )
    repository, _, revision = name.location.partition("@")
    try:
        found = snapshot_download(
            repository, revision=revision or None, allow_patterns=list(_PATTERNS)
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OperatorError(f"the hub did not give {name.location}: {told}") from None
    return Path(found)
