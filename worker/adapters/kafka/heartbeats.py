"""Tells a member whose place somebody else has taken so.

kafka-python 3.0.12 logs the brokers' refusal of a static member's heartbeat, sends no more of them,
and lets the member poll on as if nothing had happened until it commits something.
"""

from __future__ import annotations

from typing import Any

from kafka.errors import FencedInstanceIdError


class Heartbeats:
    """Watches the answers to a consumer's heartbeats. `fenced` is the refusal, once it came."""

    def __init__(self, consumer: Any) -> None:
        coordinator = consumer._coordinator
        self._handle = coordinator._handle_heartbeat_response
        coordinator._handle_heartbeat_response = self._watched
        self.fenced: FencedInstanceIdError | None = None

    def _watched(self, response: Any, sent: float) -> None:
        try:
            self._handle(response, sent)
        except FencedInstanceIdError as error:
            self.fenced = error
            raise
