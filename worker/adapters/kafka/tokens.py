"""Tokens for OAUTHBEARER, from a file that somebody else renews."""

from __future__ import annotations

from pathlib import Path

from kafka.net.sasl.oauth import AbstractTokenProvider

from worker.config import read_secret


class FileTokens(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
    """Reads the file at each login: a projected token is renewed there before it expires."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def token(self) -> str:
        """Return the token as it is now. Raises OperatorError."""
        return read_secret("kafka.sasl_token_file", self._file)
