"""Secrets come as files; whatever else may hold one is redacted before it is shown."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from worker.errors import OperatorError

REDACTED = "***"


def read_secret(key: str, path: Path) -> str:
    """Return the text of a secret's file, less the line end that editors add.

    `key` names the setting in the OperatorError that is raised where the file is of no use.
    """
    text = read_file(key, path).rstrip("\r\n")
    if not text:
        raise OperatorError(f"{key}: {path} must hold the secret, but it is empty")
    return text


def read_file(key: str, path: Path) -> str:
    """Return the text of a file that a setting names. Raises OperatorError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise OperatorError(f"{key}: {path} must be a readable file: {reason}") from None


def redact_url(url: str) -> str:
    """Return the URL with its password hidden.

    >>> redact_url("redis://worker:secret@cache:6379/0")
    'redis://worker:***@cache:6379/0'
    """
    parts = urlsplit(url)
    if parts.password is None:
        return url
    _, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{parts.username or ''}:{REDACTED}@{host}").geturl()
